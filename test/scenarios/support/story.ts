import type { RunKey, RunRow } from '../../../src/core/dag/rows.js';
import type { NewTask } from '../../../src/core/inputs.js';
import { DEFAULT_POLICY, type Policy } from '../../../src/core/policy.js';
import type { PartitionPolicy, TaskRow, TaskState, Work } from '../../../src/core/rows.js';
import type { TaskId } from '../../../src/kit/ids.js';
import { EventQueue } from '../../../src/testing/sim/events.js';
import { Agent, type Settings, type Stage, WorkerTrade } from './agent.js';
import { Coordinator } from './coordinator.js';
import { BUNDLE, ProcessorTrade } from './processor.js';
import type { Seen } from './seen.js';
import { spanOf, timeOfDay } from './time.js';
import { TriggererTrade } from './triggerer.js';
import { Words } from './words.js';

/** After a batch its answers travel through a few promises more, and a snapshot through some on its way in. */
const SETTLED_TURNS = 20;
/** More than this at one instant is a loop of somebody's. */
const STEPS_AT_ONCE = 1_000;
const TURNS_AT_ONCE = 5_000;
const LASTS = '10 s';

export interface Submission {
  /** How long its run goes on. Default 10 s. */
  readonly lasts?: string;
  readonly policy?: PartitionPolicy;
  readonly retries?: number;
}

/**
 * A coordinator, some agents and the networks between them, told line by line. All that decides is the real thing: the
 * coordinator's engine and core over a store in memory, and the cores of the agents. Clocks and network are the story's.
 */
export class Story {
  readonly words: Words;
  /** Every run that ever began, as somebody beside the agents saw it. */
  readonly runs: Seen[] = [];
  /** The same of every wait for an event. */
  readonly waits: Seen[] = [];
  readonly policy: Policy;
  readonly #events = new EventQueue();
  readonly #coordinator: Coordinator;
  readonly #agents = new Map<string, Agent>();
  readonly #processors = new Map<string, ProcessorTrade>();
  readonly #lasts = new Map<string, number>();

  private constructor(policy: Partial<Policy>) {
    this.policy = { ...DEFAULT_POLICY, ...policy };
    this.words = new Words(this.#events);
    this.#coordinator = new Coordinator(this.#events, this.words, this.policy);
  }

  static async begin(policy: Partial<Policy>): Promise<Story> {
    const story = new Story(policy);
    await story.coordinatorStarts();
    return story;
  }

  // — who is there —

  /** A worker starts; it is connected when a second has passed. */
  async worker(agentId: string, slots = 2): Promise<void> {
    const agent = this.#agent(agentId, 'worker', {
      slots,
      queues: ['default'],
      bundles: [],
      triggerKinds: [],
    });
    agent.trade = new WorkerTrade(agent, this.#stage, this.runs);
    await this.starts(agentId);
  }

  /** A triggerer starts, which can wait for spans of time. */
  async triggerer(agentId: string): Promise<void> {
    const settings = { slots: 100, queues: [], bundles: [], triggerKinds: ['delta'] };
    const agent = this.#agent(agentId, 'triggerer', settings);
    agent.trade = new TriggererTrade(agent, this.#stage, this.waits);
    await this.starts(agentId);
  }

  /** A DAG processor starts, with these files in its bundle. */
  async processor(agentId: string, files: Readonly<Record<string, string>>): Promise<void> {
    const agent = this.#agent(agentId, 'dag_processor', {
      slots: 0,
      queues: [],
      bundles: [BUNDLE],
      triggerKinds: [],
    });
    const trade = new ProcessorTrade(agent);
    agent.trade = trade;
    this.#processors.set(agentId, trade);
    await this.starts(agentId);
    await this.writes(agentId, files);
  }

  #agent(agentId: string, kind: 'worker' | 'dag_processor' | 'triggerer', settings: Settings): Agent {
    const agent = new Agent(agentId, kind, settings, this.#stage);
    this.#agents.set(agentId, agent);
    return agent;
  }

  get #stage(): Stage {
    return {
      events: this.#events,
      words: this.words,
      accept: (wire) => this.#coordinator.accept(wire),
      lasts: (taskId) => this.#lasts.get(this.words.nameOf(taskId).split('/').at(-1) ?? '') ?? spanOf(LASTS),
    };
  }

  agent(agentId: string): Agent {
    const agent = this.#agents.get(agentId);
    if (agent === undefined) throw new Error(`nobody is called ${agentId}`);
    return agent;
  }

  // — what somebody does —

  /** Its process starts, again if it was killed. */
  async starts(agentId: string): Promise<void> {
    this.#act(`${agentId} starts`);
    this.agent(agentId).start();
    await this.pass('1 s');
  }

  async killed(agentId: string): Promise<void> {
    this.#act(`${agentId} is killed`);
    this.agent(agentId).kill();
    await this.pass('0');
  }

  /** The network between an agent and the coordinator carries nothing, or nothing one way: `up` is towards the coordinator. */
  async cut(agentId: string, way: 'both' | 'up' | 'down' = 'both'): Promise<void> {
    const which = { both: '', up: ': nothing of it arrives', down: ': nothing arrives at it' }[way];
    this.#act(`${agentId} is cut off${which}`);
    this.agent(agentId).cut = { cutUp: way !== 'down', cutDown: way !== 'up' };
    await this.pass('0');
  }

  async heal(agentId: string): Promise<void> {
    this.#act(`the network of ${agentId} is mended`);
    this.agent(agentId).cut = { cutUp: false, cutDown: false };
    await this.pass('0');
  }

  /** Every message from and to it takes so long. */
  slowNetwork(agentId: string, delay: string): void {
    this.#act(`messages from and to ${agentId} take ${delay}`);
    this.agent(agentId).weather.delay = spanOf(delay);
  }

  /** From a permit to the start of its run so much time goes by. */
  slowStarts(agentId: string, span: string): void {
    this.#act(`what ${agentId} starts takes ${span} to begin`);
    this.agent(agentId).execMs = spanOf(span);
  }

  async coordinatorDies(): Promise<void> {
    this.#act('the coordinator is killed');
    this.#coordinator.kill();
    await this.pass('0');
  }

  async coordinatorStarts(): Promise<void> {
    this.#act('the coordinator starts');
    await this.#coordinator.start();
    await this.pass('0');
  }

  async submit(
    name: string,
    { lasts = LASTS, policy = 'reassign', retries = 0 }: Submission = {},
  ): Promise<void> {
    this.#act(`somebody submits ${name}${policy === 'reassign' ? '' : ` (${policy})`}`);
    this.lasting(name, lasts);
    const taskId = name as TaskId;
    const { retryBackoff, killGraceMs, holdTimeoutMs } = this.policy.task;
    const work: Work = {
      kind: 'command',
      ...{ argv: [name], env: {}, workingDirectory: '', memoryLimitBytes: null, cpuLimitMillis: null },
    };
    const task: NewTask = {
      ...{ taskId, queue: 'default', priority: 0, requiredLabels: {}, handler: '', partitionPolicy: policy },
      ...{ retries, retryBackoff, executionTimeoutMs: null, queuedTimeoutMs: this.policy.queuedTimeoutMs },
      ...{ killGraceMs, holdTimeoutMs, concurrencyKey: '', concurrencyLimit: 1 },
      ...{ startAfter: null, startBefore: null, idempotencyKey: '', contentHash: '' },
      spec: { taskId, work, traceparent: '' },
    };
    await this.#call((callId) => ({ kind: 'submit', callId, tasks: [task] }));
  }

  /** How long the runs of a task, or of a task of a DAG, go on. */
  lasting(task: string, span: string): void {
    this.#lasts.set(task, spanOf(span));
  }

  async writes(processor: string, files: Readonly<Record<string, string>>): Promise<void> {
    this.#act(`somebody writes ${Object.keys(files).join(' and ')}`);
    this.#processors.get(processor)?.write(files);
    await this.pass('1 s');
  }

  async triggers(dagId: string): Promise<void> {
    this.#act(`somebody triggers ${dagId}`);
    const call = { action: 'trigger', dagId, runId: '', logicalDate: null, params: {} } as const;
    await this.#call((callId) => ({ kind: 'dag', callId, call }));
  }

  /** Something happened to an asset, and somebody says so over the API. */
  async updates(asset: string): Promise<void> {
    this.#act(`somebody updates ${asset}`);
    const call = { action: 'emit_asset', asset, extra: '' } as const;
    await this.#call((callId) => ({ kind: 'dag', callId, call }));
  }

  async #call(make: Parameters<Coordinator['call']>[0]): Promise<void> {
    const reply = this.#coordinator.call(make);
    await this.pass('0');
    await reply;
  }

  #act(what: string): void {
    this.words.tell('—', what);
  }

  // — time —

  get now(): number {
    return this.#events.now;
  }

  /** Time passes: `15 s`, `2 min`. */
  async pass(span: string): Promise<void> {
    const end = this.#events.now + (span === '0' ? 0 : spanOf(span));
    let since = this.#events.now;
    for (let steps = 1; this.#events.step(end); steps++) {
      await this.#settle();
      if (this.#events.now > since) [since, steps] = [this.#events.now, 0];
      if (steps > STEPS_AT_ONCE) throw new Error(`at ${timeOfDay(since)} things happen without end`);
    }
    this.#events.now = end;
  }

  /** `00:05`, or `00:05:30`. */
  async until(time: string): Promise<void> {
    const [hours = 0, minutes = 0, seconds = 0] = time.split(':').map(Number);
    const ms = ((hours * 60 + minutes) * 60 + seconds) * 1_000 - this.#events.now;
    if (ms < 0) throw new Error(`${time} is over: it is ${timeOfDay(this.#events.now)}`);
    await this.pass(`${ms} ms`);
  }

  /** Lets every promise of this instant come to its end, so that nothing depends on the machine's own scheduling. */
  async #settle(): Promise<void> {
    for (let idle = 0, turns = 0; idle < SETTLED_TURNS; idle++) {
      if (++turns > TURNS_AT_ONCE) {
        // Else it would go on behind the story's back, and nothing else ever have its turn.
        void this.#coordinator.engine.stop();
        throw new Error(`at ${timeOfDay(this.#events.now)} one batch follows the other without end`);
      }
      if (this.#coordinator.busy) idle = 0;
      await Promise.resolve();
    }
  }

  // — what can be asked —

  /** When somebody first said this, in milliseconds after midnight. `—` is the world. */
  when(who: string, words: string): number {
    return this.words.transcript.when(who, words);
  }

  /** What somebody has said with these words in it, so far. */
  said(who: string, words = ''): string[] {
    return this.words.transcript.said(who, words);
  }

  async task(name: string): Promise<TaskRow> {
    for (const row of await this.#coordinator.store.listTasks({}, null, 10_000))
      if (this.words.nameOf(row.taskId) === name) return row;
    throw new Error(`no task ${name}`);
  }

  async state(name: string): Promise<TaskState> {
    return (await this.task(name)).state;
  }

  /** Names of what happened to a task, oldest first. */
  async history(name: string): Promise<string[]> {
    const rows = await this.#coordinator.store.readHistory((await this.task(name)).taskId);
    return rows.map(({ event }) => event);
  }

  /** Runs of a DAG, oldest first, as `weather@00:05 success`. */
  async dagRuns(dagId: string): Promise<string[]> {
    const rows: RunRow[] = await this.#coordinator.store.listRuns({ dagId }, null, 1_000);
    return rows.reverse().map(({ run, state }) => `${this.words.runName(run as RunKey)} ${state}`);
  }

  /** DAGs that are in force, with their versions. */
  get dags(): string[] {
    return [...this.#coordinator.engine.state.dags.dags.values()]
      .filter(({ active }) => active)
      .map(({ dagId, definitionVersion }) => `${dagId} ${definitionVersion}`)
      .sort();
  }

  /** On which agents a task began, in order. */
  startsOf(task: string): string[] {
    return this.runs.filter((run) => run.task === task).map(({ agentId }) => agentId);
  }
}
