import type { NewTask } from '../../core/inputs.js';
import { DEFAULT_POLICY, type Policy } from '../../core/policy.js';
import type { Work } from '../../core/rows.js';
import type { AgentId, InstanceId, TaskId } from '../../kit/ids.js';
import { type Random, seededRandom } from '../../kit/random.js';
import { later } from '../../kit/time.js';
import { CLOCK_BOUND, type Violation } from '../checker/index.js';
import { AgentNode } from './agent-node.js';
import type { AgentWorld } from './agent-world.js';
import { Auditor } from './auditor.js';
import { CoordinatorNode } from './coordinator-node.js';
import { DagWorkload } from './dags/workload.js';
import { Disk } from './disk.js';
import { EventQueue } from './events.js';
import { type FaultWorld, scheduleFaults } from './faults.js';
import { Host } from './host.js';
import { Idlers } from './idlers.js';
import { Moments } from './moments.js';
import { fairWeather } from './network.js';
import type { AgentSettings, RunScript } from './scripts.js';
import { STRAY_LIMITS } from './strays.js';

export interface SimOptions {
  readonly seed: number;
  /** Simulated minutes with faults; default 20. */
  readonly minutes?: number;
  readonly trace?: boolean;
}

export interface SimResult {
  readonly seed: number;
  readonly mode: 'safety' | 'liveness';
  readonly violations: readonly Violation[];
  readonly counts: ReadonlyMap<string, number>;
  /** How often each row of a rule table, answer, event and edge of the core was reached (COVERAGE_ROWS). */
  readonly coverage: ReadonlyMap<string, number>;
  readonly hash: string;
  readonly trace: readonly string[];
  /** What led to the first violation, when there is one and `trace` was set. */
  readonly story: readonly string[];
  readonly agents: number;
  readonly simulatedMs: number;
}

/** After the last fault everything must come to its end within this, in milliseconds. */
const CONVERGENCE_MS = 30 * 60_000;
/** From then on agents have their sessions and streams again, whatever was cut or held back. */
const RECOVERED_MS = 60_000;
/** K17: 8 s of the default interval of 5 s. An offer that nobody answers is taken back after 2 H: that must not be the rule. */
const PROMPT_INTERVALS = 1.6;
const LOOK_MS = 200;
/** After a batch its answers travel through a few promises more. */
const SETTLED_TURNS = 4;
/** Longer than a slow disk holds a commit that was begun before the faults ended, in seconds. */
const WATCHED_S = 30;
const LATE_BATCHES = 20;
const LATE_EVERY_MS = 3_000;

/** In some worlds clocks differ by this share: far more than the sixth that the gate closes before its lease. */
const WILD_CLOCKS = 0.4;

/** One of two that is judged to its end, one of two with faults to the end; by the last digits of its seed. */
const DAG_WORLDS: ReadonlySet<number> = new Set([3, 6]);

/** One of sixteen, by the last digits of its seed. */
const BUSY_AT_MOVES = 15;

const HANDLER = 'resize';
const COMMAND: Work = {
  ...{ kind: 'command', argv: ['true'], env: {}, workingDirectory: '' },
  ...{ memoryLimitBytes: null, cpuLimitMillis: null },
};
const CALL: Work = { kind: 'handler', name: HANDLER, input: new Uint8Array(), inputType: '' };

/** Runs one seed: the real coordinator engine and core, the real agent cores, a world that is out to get them. */
export async function simulate(options: SimOptions): Promise<SimResult> {
  const world = new World(options);
  await world.run();
  return world.result();
}

class World implements AgentWorld, FaultWorld {
  readonly random: Random;
  readonly events = new EventQueue();
  readonly auditor: Auditor;
  readonly policy: Policy;
  readonly agents: AgentNode[] = [];
  readonly coordinator: CoordinatorNode;
  readonly accepted = new Set<TaskId>();
  readonly faultsEnd: number;
  readonly disk: Disk;
  readonly losesCommits: boolean;
  readonly isBusyAtMoves: boolean;
  /** By how much the rates of any two clocks differ at most, as a share. */
  readonly clockError: number;
  /** In some worlds there are DAGs, with triggerers and processors; null in the others. */
  readonly dags: DagWorkload | null;
  readonly #seed: number;
  readonly #countsSleep: boolean;
  readonly #mode: 'safety' | 'liveness';
  readonly #scripts = new Map<TaskId, RunScript>();
  #ids = 0;
  #tasks = 0;

  constructor({ seed, minutes = 20, trace = false }: SimOptions) {
    this.#seed = seed;
    this.random = seededRandom(seed);
    this.#mode = seed % 2 === 0 ? 'safety' : 'liveness';
    this.faultsEnd = minutes * 60_000 * (this.#mode === 'liveness' ? 0.5 : 1);
    // The default mostly: short intervals cost the most, and what they show is in every fourth world.
    const heartbeatIntervalMs = this.pick([1_000, 5_000, 5_000, 5_000]);
    const queuedTimeoutMs = this.pick([60_000, 600_000]);
    // Short enough that tasks are removed while their runs still report, drawn from the seed itself.
    const retention = { ageMs: 5 * 60_000, count: seed % 3 === 0 ? 5 : 200, agentAgeMs: 60_000 };
    const chosen = { heartbeatIntervalMs, queuedTimeoutMs, retention };
    this.dags = DAG_WORLDS.has(seed % 8) ? new DagWorkload(seed, HANDLER) : null;
    const most = this.dags === null ? 45 : 5;
    const count = 5 + Math.floor(this.random() ** 2 * most);
    const others = this.dags?.settings ?? [];
    // In some worlds tasks wait for an agent as long as it takes: there one serves everything, and alone has the label.
    const waits = this.chance(0.15);
    const isShort = !waits && this.chance(0.15);
    // Where there are DAGs somebody may be the only one who can do something, a triggerer above all.
    const sessions = others.length + (isShort && this.dags === null ? count - 1 : count);
    const limits = { ...DEFAULT_POLICY.limits, ...STRAY_LIMITS, sessions };
    const more = { limits, queuedTimeoutWaitsForAgent: waits, stormBrake: this.chance(0.7) };
    this.policy = { ...DEFAULT_POLICY, ...chosen, ...more };
    this.#countsSleep = this.chance(0.75);
    const slots = new Map<AgentId, number>();
    const workers = Array.from({ length: count }, (_, i): AgentSettings => {
      const agentId = `agent-${i}` as AgentId;
      const isOnly = waits && i === 0;
      const queues = this.chance(0.2) || isOnly ? ['q0', 'q1'] : [`q${i % 2}`];
      const labels: Record<string, string> = isOnly || (!waits && this.chance(0.3)) ? { disk: 'ssd' } : {};
      slots.set(agentId, 1 + Math.floor(this.random() * 4));
      // Some have the handler that some tasks need; of both queues.
      const handlers = isOnly || i % 3 === 0 ? [HANDLER] : [];
      const own = { agentId, queues, labels, handlers, slots: slots.get(agentId) ?? 1 };
      return { ...own, kind: 'worker', bundles: [], triggerKinds: [] };
    });
    this.losesCommits = this.chance(0.25);
    this.isBusyAtMoves = seed % 16 === BUSY_AT_MOVES;
    this.clockError = this.chance(0.08) ? WILD_CLOCKS : CLOCK_BOUND;
    const { events, policy, losesCommits, clockError } = this;
    this.auditor = new Auditor({ events, slots, policy, clockError, trace, losesCommits, dags: this.dags });
    this.disk = new Disk(this.events, this.random, this.chance(0.5), this.auditor);
    this.coordinator = new CoordinatorNode(this.#host(), this);
    for (const one of [...workers, ...others])
      this.agents.push(new AgentNode(one, this.#host(), fairWeather(), this));
  }

  async run(): Promise<void> {
    await this.coordinator.start();
    this.dags?.begin(this);
    for (const agent of this.agents) this.events.after(this.random() * 2_000, () => agent.start(false));
    this.#submitForEver();
    scheduleFaults(this);
    const moments = new Moments(this);
    this.auditor.watcher = (row) => moments.saw(row);
    await this.#runUntil(this.faultsEnd);
    if (this.#mode === 'safety') return this.auditor.over(this.accepted, false);
    this.auditor.tell('the faults end');
    await this.#heal();
    const end = this.events.now + CONVERGENCE_MS;
    const idlers = new Idlers(PROMPT_INTERVALS * this.policy.heartbeatIntervalMs * (1 + this.clockError));
    this.auditor.watcher = ({ event, agentId }) => {
      if (event === 'permitted') idlers.permitted(agentId as AgentId);
    };
    this.events.after(RECOVERED_MS, () => this.#look(idlers));
    // What was submitted before has mostly ended by then: some more, so that there is something to start.
    for (let i = 0; i < LATE_BATCHES; i++)
      this.events.after(RECOVERED_MS + i * LATE_EVERY_MS, () => this.submit());
    const settledFrom = this.events.now + RECOVERED_MS + LATE_BATCHES * LATE_EVERY_MS;
    while (this.events.now < end && (this.events.now < settledFrom || this.#unfinished()))
      await this.#runUntil(Math.min(end, this.events.now + 10_000));
    // A history that broke off was not given the time.
    if (this.auditor.violations.length === 0) this.dags?.over(this);
    this.auditor.over(this.accepted, true);
  }

  result(): SimResult {
    return {
      seed: this.#seed,
      mode: this.#mode,
      violations: this.auditor.violations,
      counts: this.auditor.counts,
      coverage: this.auditor.coverage.counts,
      hash: this.auditor.hash,
      trace: this.auditor.trace,
      story: this.auditor.story,
      agents: this.agents.length,
      simulatedMs: this.events.now,
    };
  }

  /** Looks without drawing from chance or touching anything: the history stays what it was. */
  #look(idlers: Idlers): void {
    this.auditor.looked(idlers, this.agents);
    this.events.after(LOOK_MS, () => this.#look(idlers));
  }

  async #runUntil(end: number): Promise<void> {
    while (this.auditor.violations.length === 0 && this.events.step(end))
      if (this.coordinator.awaits) await this.#settle();
    this.events.now = Math.max(this.events.now, end);
  }

  /** Lets every promise of this instant come to its end, so that nothing depends on the machine's own scheduling. */
  async #settle(): Promise<void> {
    for (let i = 0, idle = 0; idle < SETTLED_TURNS; i++) {
      if (i > 10_000)
        return this.auditor.broke('the coordinator', new Error('a batch neither ends nor waits'));
      idle = this.coordinator.busy ? 0 : idle + 1;
      await Promise.resolve();
    }
  }

  #unfinished(): boolean {
    for (const taskId of this.accepted) if (this.auditor.tasks.get(taskId)?.endedAt === null) return true;
    const isScheduling = this.dags !== null && this.events.now < this.dags.quietFrom;
    return isScheduling || this.auditor.dags.active.length > 0;
  }

  async #heal(): Promise<void> {
    this.disk.heal();
    if (!this.coordinator.up) await this.coordinator.start();
    this.coordinator.resume();
    // A clock that is a day behind delays what waits for an instant by a day, and shall not be waited for.
    this.coordinator.host.mendWall();
    this.dags?.heal(this);
    for (const queue of ['q0', 'q1'])
      void this.coordinator.call((callId) => ({ kind: 'limit_queue', callId, queue, limit: null }));
    for (const agent of this.agents) {
      Object.assign(agent.weather, fairWeather());
      agent.weatherChanged();
      agent.wake();
      agent.resume();
      agent.runner?.heal();
      agent.start(false);
      void this.coordinator.call((callId) => ({ kind: 'uncordon', callId, agentId: agent.settings.agentId }));
    }
    // Somebody watches over it: a commit that a slow disk holds may still end the process.
    for (let i = 1; i <= WATCHED_S; i++) this.events.after(i * 1_000, () => void this.coordinator.start());
    // An agent that was drained meanwhile ends; it is started again.
    for (let i = 1; i < 20; i++) {
      this.events.after(i * 60_000, () => {
        for (const agent of this.agents) agent.start(false);
      });
    }
  }

  #host(): Host {
    // Within P2's bound of 1 % between any two clocks, or far beyond it.
    const spread = this.clockError > CLOCK_BOUND ? WILD_CLOCKS : 0.008;
    const rate = 1 + (this.random() - 0.5) * spread;
    const clocks = { rate, countsSleep: this.#countsSleep };
    return new Host(this.events, clocks, (this.random() - 0.5) * 7_200_000, this.random() * 1e7);
  }

  // — workload —

  #submitForEver(): void {
    // Where there are DAGs, most tasks are theirs.
    const next = this.random() * (this.dags === null ? 4_000 : 20_000);
    this.events.after(next, () => {
      if (this.events.now > this.faultsEnd - 60_000) return;
      this.submit();
      this.#submitForEver();
    });
  }

  submit(): void {
    const tasks = Array.from({ length: 1 + Math.floor(this.random() ** 3 * 12) }, () => this.newTask());
    void this.coordinator
      .call((callId) => ({ kind: 'submit', callId, tasks }))
      .then((reply) => {
        if (reply.kind === 'submitted') for (const { taskId } of reply.tasks) this.accepted.add(taskId);
      });
  }

  newTask(): NewTask {
    const callsHandler = this.#tasks % 7 === 3;
    const taskId = this.newTaskId();
    const partitionPolicy = this.pick(['reassign', 'reassign', 'single_run', 'hold'] as const);
    this.#scripts.set(taskId, {
      durationMs: this.random() ** 3 * 60_000,
      outcome: this.chance(0.85) ? 'success' : 'failed',
      result: null,
      deferral: this.dags?.deferral() ?? null,
      stubborn: this.chance(0.2),
      deadly: this.chance(0.01),
    });
    const timed = this.chance(0.1);
    return {
      taskId,
      partitionPolicy,
      queue: this.pick(['q0', 'q1']),
      priority: Math.floor(this.random() * 3),
      handler: callsHandler ? HANDLER : '',
      requiredLabels: this.chance(0.1) ? { disk: 'ssd' } : {},
      retries: Math.floor(this.random() * 3),
      retryBackoff: { initialMs: 1_000, maxMs: 30_000 },
      executionTimeoutMs: timed ? 20_000 : null,
      queuedTimeoutMs: this.policy.queuedTimeoutMs,
      killGraceMs: this.pick([0, 2_000, 10_000, 30_000]),
      holdTimeoutMs: 300_000,
      ...this.#concurrency(),
      ...this.#window(),
      idempotencyKey: '',
      contentHash: '',
      spec: {
        taskId,
        work: callsHandler ? CALL : COMMAND,
        traceparent: '',
      },
    };
  }

  /** Few keys, so that their tasks meet; those of a key mostly agree on its limit. */
  #concurrency(): Pick<NewTask, 'concurrencyKey' | 'concurrencyLimit'> {
    if (!this.chance(0.25)) return { concurrencyKey: '', concurrencyLimit: 1 };
    const limit = this.pick([1, 2]);
    return { concurrencyKey: `key-${limit}`, concurrencyLimit: this.chance(0.05) ? 1 : limit };
  }

  /** Some tasks are to start later, and some are of use only for a while. */
  #window(): Pick<NewTask, 'startAfter' | 'startBefore'> {
    const wall = this.coordinator.host.rightWall();
    const startAfter = this.chance(0.1) ? later(wall, this.random() * 120_000) : null;
    const startBefore = this.chance(0.1) ? later(startAfter ?? wall, 1 + this.random() * 90_000) : null;
    return { startAfter, startBefore };
  }

  newTaskId(): TaskId {
    return `task-${String(this.#tasks++).padStart(5, '0')}` as TaskId;
  }

  script(taskId: TaskId): RunScript {
    return this.#scripts.get(taskId) ?? (this.dags?.script(taskId) as RunScript);
  }

  // — what agents need —

  connect(...[wire]: Parameters<AgentWorld['connect']>): ReturnType<AgentWorld['connect']> {
    return this.coordinator.accept(wire);
  }

  dutyOf(...[settings, process, ports]: Parameters<AgentWorld['dutyOf']>): ReturnType<AgentWorld['dutyOf']> {
    return this.dags?.dutyOf(settings, process, ports, this.auditor) ?? null;
  }

  newInstanceId(): InstanceId {
    return `instance-${String(this.#ids++).padStart(10, '0')}` as InstanceId;
  }

  newInode(): bigint {
    return BigInt(this.#ids++);
  }

  killed(node: AgentNode): void {
    this.events.after(0, () => node.kill(false));
    this.events.after(2_000 + this.random() * 60_000, () => node.start(this.chance(0.3)));
  }

  // — chance —

  chance(share: number): boolean {
    return this.random() < share;
  }

  pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.random() * values.length)] as T;
  }
}
