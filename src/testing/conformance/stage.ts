import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Permit, Report, StartRequest, Welcome } from '../../wire/gen/holdfast/v1/agent_service.js';
import type { Work } from '../../wire/gen/holdfast/v1/types.js';
import { durationOf } from '../../wire/time.js';
import type { Kind } from './case.js';
import { monoMs, pause } from './clock.js';
import { ScriptedCoordinator } from './coordinator.js';
import { Network } from './network.js';
import { AgentProcess } from './process.js';
import type { Stream, StreamHost, Terms } from './stream.js';
import { Stub, type StubChoice } from './stub.js';
import { Watched } from './watch.js';

/** How the agent under test is started, and at what pace it is played against. */
export interface StageOptions {
  /** Program and arguments; `{address}` and the other placeholders are filled in. */
  readonly command: readonly string[];
  /** Its working directory. */
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly kind: Kind;
  /** H, in milliseconds. */
  readonly heartbeatMs: number;
  /** How long something that must come is waited for, in milliseconds. */
  readonly patienceMs: number;
}

/** What a run is to be, beyond the defaults of a permit. */
export interface RunChoice extends StubChoice {
  readonly taskId?: string;
  readonly permit?: Partial<Permit>;
}

/** A run that was permitted on a stream. */
export interface Run {
  readonly token: bigint;
  readonly taskId: string;
  /** Names it in the stub's notes. */
  readonly tag: string;
  /** The permit as it was sent. */
  readonly permit: Permit;
}

/** Slots that the agent is asked to have. */
const SLOTS = 4;

/** One agent, one scripted coordinator, the network between them and the task, for one case. */
export class Stage implements StreamHost {
  readonly kind: Kind;
  readonly terms: Terms;
  readonly patienceMs: number;
  readonly watched = new Watched();
  readonly stub: Stub;
  /** The agent's id, and where it keeps its state: the same for every process that the case starts. */
  readonly agentId = 'conformance-1';
  readonly stateDirectory: string;
  /** The folder that a DAG processor reads; empty at first. */
  readonly bundleDirectory: string;
  readonly coordinator: ScriptedCoordinator;
  readonly #options: StageOptions;
  readonly #folder: string;
  readonly #processes: AgentProcess[] = [];
  #network: Network | null = null;
  readonly #others: ScriptedCoordinator[] = [];
  #tokens = 0n;
  #epochs = 0n;
  #tasks = 0;
  #mayEnd = false;

  private constructor(options: StageOptions) {
    const H = options.heartbeatMs;
    this.#options = options;
    this.kind = options.kind;
    this.terms = { heartbeatMs: H, leaseMs: 3 * H, gateMs: 2.5 * H };
    this.patienceMs = options.patienceMs;
    this.#folder = mkdtempSync(join(tmpdir(), 'holdfast-conformance-'));
    this.stateDirectory = join(this.#folder, 'state');
    this.bundleDirectory = join(this.#folder, 'bundle');
    for (const folder of [this.stateDirectory, this.bundleDirectory]) mkdirSync(folder, { mode: 0o700 });
    this.stub = new Stub(this.#folder, this.watched);
    this.coordinator = new ScriptedCoordinator(this);
  }

  static async open(options: StageOptions): Promise<Stage> {
    const stage = new Stage(options);
    await stage.coordinator.open();
    stage.#network = await Network.open(stage.coordinator.port);
    return stage;
  }

  get network(): Network {
    if (this.#network === null) throw new Error('the stage is not open');
    return this.#network;
  }

  // — the agent's process —

  /** The newest process. */
  get agent(): AgentProcess {
    const agent = this.#processes.at(-1);
    if (agent === undefined) throw new Error('the case has not started the agent');
    return agent;
  }

  /** Starts the agent: for the first time, or anew with the state that the one before has left. */
  start(): AgentProcess {
    const variables = this.#variables();
    const fill = (text: string): string =>
      text.replaceAll(
        /\{(\w+)\}/g,
        (whole, name: string) => variables[`HOLDFAST_${name.toUpperCase()}`] ?? whole,
      );
    const env = { ...this.#options.env, ...variables };
    const agent = new AgentProcess(this.#options.command.map(fill), env, this.#options.cwd, this.watched);
    this.#processes.push(agent);
    this.#mayEnd = false;
    return agent;
  }

  /** What the agent is told in its environment, and, in braces, in its arguments: `{coordinator}`, `{state_dir}`. */
  #variables(): Record<string, string> {
    const { address } = this.network;
    return {
      HOLDFAST_ADDRESS: address,
      HOLDFAST_COORDINATOR: address,
      HOLDFAST_AGENT_ID: this.agentId,
      HOLDFAST_KIND: this.kind,
      HOLDFAST_STATE_DIR: this.stateDirectory,
      HOLDFAST_QUEUE: 'conformance',
      HOLDFAST_SLOTS: String(SLOTS),
      HOLDFAST_BUNDLE: this.bundleDirectory,
      HOLDFAST_BUNDLE_NAME: 'conformance',
      // The kit speaks plaintext, whatever its caller's own settings say of another coordinator.
      HOLDFAST_TLS: 'false',
    };
  }

  /** The end of the agent is what comes next: expectations do not fail because of it. */
  mayEnd(): void {
    this.#mayEnd = true;
  }

  mustLive(): void {
    if (!this.#mayEnd) this.agent.mustLive();
  }

  // — streams and sessions —

  /** The next stream of the agent that is open, with its whole Hello; nothing has been answered yet. */
  accept(within = this.patienceMs, coordinator = this.coordinator): Promise<Stream> {
    return this.watched.until('a stream of the agent with its Hello', within, () => {
      this.mustLive();
      return coordinator.take();
    });
  }

  /** Another scripted coordinator, which the agent has to be told of; `address` is where it listens. */
  async another(): Promise<{ readonly address: string; readonly coordinator: ScriptedCoordinator }> {
    const coordinator = new ScriptedCoordinator(this);
    await coordinator.open();
    this.#others.push(coordinator);
    return { address: `127.0.0.1:${coordinator.port}`, coordinator };
  }

  /** Starts the agent if none runs, and welcomes its next stream in a new session. */
  async session(change: Partial<Welcome> = {}): Promise<Stream> {
    if (this.#processes.length === 0) this.start();
    const stream = await this.accept(START_MS);
    stream.welcome(this.nextEpoch(), change);
    await stream.heartbeat({ from: 0 });
    return stream;
  }

  /** The next stream of the session that `before` belonged to. */
  async resumed(before: Stream, change: Partial<Welcome> = {}): Promise<Stream> {
    const stream = await this.accept();
    stream.welcome(before.epoch, change);
    await stream.heartbeat({ from: 0 });
    return stream;
  }

  /** Kills the agent without a word and starts it anew with the same state directory; its first stream, not answered yet. */
  async restarted(): Promise<Stream> {
    await this.agent.kill();
    this.start();
    return this.accept(START_MS);
  }

  nextEpoch(): bigint {
    return ++this.#epochs;
  }

  nextToken(): bigint {
    return ++this.#tokens;
  }

  nextTask(): string {
    return `task-${++this.#tasks}`;
  }

  // — the handshake —

  /** A permit that answers `request` in the session of `stream`, for a task of the stub unless `choice` says otherwise. */
  permitOf(stream: Stream, request: StartRequest, choice: RunChoice = {}): Run {
    const token = choice.permit?.token ?? this.nextToken();
    const tag = `t${token}`;
    const work: Work = choice.permit?.work ?? this.stub.work(tag, choice);
    const permit: Permit = {
      nonce: request.nonce,
      token,
      epoch: stream.epoch,
      taskId: request.taskId,
      tryNumber: 1,
      queue: stream.queue,
      work,
      partitionPolicy: 1,
      executionTimeout: undefined,
      killGrace: durationOf(1_000),
      traceparent: '',
      resumption: undefined,
      instance: undefined,
      ...choice.permit,
    };
    return { token, taskId: request.taskId, tag, permit };
  }

  /** Offers a task and waits until it is asked for. */
  async ask(stream: Stream, taskId = this.nextTask()): Promise<StartRequest> {
    stream.offer(taskId);
    return stream.asked(taskId);
  }

  /** The whole handshake, until the task has noted its start. */
  async run(stream: Stream, choice: RunChoice = {}): Promise<Run> {
    const run = this.permitOf(stream, await this.ask(stream, choice.taskId), choice);
    stream.permit(run.permit);
    await this.stub.noted(run.tag, 'start', this.patienceMs);
    return run;
  }

  /** The whole handshake of a task that ends at once, until its report has come; it is not acknowledged yet. */
  async finish(stream: Stream, choice: RunChoice = {}): Promise<Run & { readonly report: Report }> {
    const run = await this.run(stream, choice);
    return { ...run, report: await stream.report(run.token) };
  }

  // — time —

  /**
   * Lets the agent's gate close: nothing that it sends from now on is acknowledged, while the coordinator goes on talking,
   * so that the stream is not taken for lost.
   */
  async closeGate(stream: Stream): Promise<void> {
    stream.acks = 'withheld';
    // What was acknowledged last was sent before now: La from here is later than the gate's end.
    await this.talk(stream, this.terms.gateMs / this.terms.heartbeatMs + 0.2);
  }

  /** Lets time pass, in heartbeat intervals, in which the coordinator says nothing new but is heard. */
  async talk(stream: Stream, intervals: number): Promise<void> {
    const endMs = monoMs() + intervals * this.terms.heartbeatMs;
    for (let leftMs = endMs - monoMs(); leftMs > 0; leftMs = endMs - monoMs()) {
      stream.push({});
      await pause(Math.min(leftMs, this.terms.heartbeatMs / 3));
      this.mustLive();
    }
  }

  // — judging —

  /** Lets time pass, in heartbeat intervals, while nothing is expected; the agent must live on. */
  async intervals(count: number): Promise<void> {
    await pause(count * this.terms.heartbeatMs);
    this.mustLive();
  }

  /** What the agents of this case have printed last, to explain a failure. */
  get output(): string {
    return this.#processes.map(({ output }) => output).join('');
  }

  /** The case has taken too long: whatever it waits for fails. */
  giveUp(limitMs: number): void {
    this.watched.close(`the case did not come to its end within ${limitMs} ms`);
  }

  async close(): Promise<void> {
    for (const agent of this.#processes) await agent.kill();
    this.stub.close();
    await this.#network?.close();
    for (const coordinator of [this.coordinator, ...this.#others]) coordinator.close();
    this.watched.close('the case is over');
    await remove(this.#folder);
  }
}

/** What an agent has left behind may still write for a moment: then the folder is removed again. */
async function remove(folder: string): Promise<void> {
  for (let tries = 0; existsSync(folder) && tries < REMOVALS; tries++) {
    if (tries > 0) await pause(REMOVAL_MS);
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

const REMOVALS = 20;
const REMOVAL_MS = 100;

/** A process may take this long to start and dial. */
const START_MS = 30_000;
