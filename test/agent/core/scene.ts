import type { AgentEvent, AgentNote, Effect } from '../../../src/agent/core/events.js';
import type { Instant } from '../../../src/agent/core/gate.js';
import type {
  Ack,
  Beat,
  Directive,
  Hello,
  Identity,
  Permit,
  Report,
  Verdict,
  Welcome,
} from '../../../src/agent/core/messages.js';
import { NOTHING_RECOVERED, type Recovered } from '../../../src/agent/core/reports.js';
import { AgentSession } from '../../../src/agent/core/session.js';
import type { AgentId, Epoch, InstanceId, Nonce, TaskId, Token } from '../../../src/kit/ids.js';
import type { BootMs, MonoMs, WallMs } from '../../../src/kit/time.js';

export const H = 1_000;
const L = 3 * H;
export const GATE = (5 / 6) * L;

export const token = (value: number | bigint): Token => BigInt(value) as Token;
export const nonce = (value: number | bigint): Nonce => BigInt(value) as Nonce;
export const task = (name: string): TaskId => name as TaskId;

export const IDENTITY: Identity = {
  agentId: 'agent-1' as AgentId,
  instanceId: 'instance-0000-0001' as InstanceId,
  kind: 'worker',
  queues: ['default'],
  slots: 2,
  labels: {},
  handlers: [],
  bundles: [],
  triggerKinds: [],
  software: 'test/1',
  hostname: 'host',
  process: { bootId: '', lockDevice: 0n, lockInode: 0n, pid: 1 },
  proof: null,
};

const NO_DIRECTIVE: Directive = { cordoned: false, draining: false, drainTimeoutMs: null };

export function permitOf(change: Partial<Permit> = {}): Permit {
  return {
    nonce: nonce(1),
    token: token(100),
    epoch: 7n as Epoch,
    taskId: task('t1'),
    tryNumber: 1,
    queue: 'default',
    partitionPolicy: 'reassign',
    executionTimeoutMs: null,
    killGraceMs: 500,
    work: null,
    traceparent: '',
    resumption: null,
    instance: null,
    ...change,
  };
}

export function reportOf(of: Token, change: Partial<Report> = {}): Report {
  return {
    token: of,
    taskId: task('t1'),
    kind: 'success',
    exitCode: 0,
    reason: '',
    message: '',
    result: null,
    resultType: '',
    final: false,
    startedAtMs: 0,
    endedAtMs: 0,
    ...change,
  };
}

/** The agent's core on a virtual clock: what is fed to it, and everything it wanted done. */
export class Scene {
  readonly session: AgentSession;
  mono = 10_000;
  wall = 1_700_000_000_000;
  boot = 20_000;
  readonly effects: Effect[] = [];
  epoch = 7n as Epoch;
  streamNo = 0n;
  /** Number of the last message told on the newest stream; the Welcome is 1. */
  number = 0;

  constructor(choice: { identity?: Partial<Identity>; recovered?: Recovered; random?: () => number } = {}) {
    const { identity = {}, recovered = NOTHING_RECOVERED, random = () => 0.5 } = choice;
    this.session = new AgentSession({ ...IDENTITY, ...identity }, recovered, random);
    this.#keep(this.session.begin());
  }

  get now(): Instant {
    return { mono: this.mono as MonoMs, wall: this.wall as WallMs, boot: this.boot as BootMs };
  }

  advance(ms: number): void {
    this.mono += ms;
    this.wall += ms;
    this.boot += ms;
  }

  /** The machine sleeps: its monotonic clock stands still (P2). */
  suspend(ms: number): void {
    this.wall += ms;
    this.boot += ms;
  }

  #keep(effects: readonly Effect[]): Effect[] {
    for (const effect of effects) if (effect.kind === 'dial') this.streamNo = effect.streamNo;
    this.effects.push(...effects);
    return [...effects];
  }

  /** One event, without the end of the turn. */
  step(event: AgentEvent): Effect[] {
    return this.#keep(this.session.step(event, this.now));
  }

  flush(): Effect[] {
    return this.#keep(this.session.flush(this.now));
  }

  /** One event as a turn of its own: all that it leads to. */
  turn(event: AgentEvent): Effect[] {
    return [...this.step(event), ...this.flush()];
  }

  tick(ms = 0): Effect[] {
    this.advance(ms);
    return this.turn({ kind: 'tick' });
  }

  /** The newest stream is up: the Hello that is sent on it. */
  opened(): Hello {
    const effects = this.turn({ kind: 'stream_opened', streamNo: this.streamNo });
    const hello = effects.flatMap((effect) =>
      effect.kind === 'send' && effect.message.kind === 'hello' ? [effect.message.hello] : [],
    )[0];
    if (hello === undefined) throw new Error('no Hello was sent');
    return hello;
  }

  welcome(change: Partial<Welcome> = {}, verdicts: readonly Verdict[] = []): Effect[] {
    return this.greeted(change, verdicts, true);
  }

  /** The Welcome; the turn may go on after it. */
  greeted(change: Partial<Welcome>, verdicts: readonly Verdict[], ends: boolean): Effect[] {
    this.number = 1;
    const welcome: Welcome = {
      epoch: this.epoch,
      heartbeatMs: H,
      leaseMs: L,
      gateMs: GATE,
      verdicts,
      acknowledgements: [],
      directive: NO_DIRECTIVE,
      ...change,
    };
    const effects = this.step({ kind: 'welcome', streamNo: this.streamNo, welcome });
    return ends ? [...effects, ...this.flush()] : effects;
  }

  connect(): Hello {
    const hello = this.opened();
    this.welcome();
    return hello;
  }

  /** The stream is lost, and the next one is up. */
  reconnect(): Hello {
    this.turn({ kind: 'stream_lost', streamNo: this.streamNo, denied: false, why: 'test' });
    return this.opened();
  }

  ackOf(change: Partial<Ack> = {}): Ack {
    return {
      number: ++this.number,
      received: this.seq,
      stops: [],
      cancellations: [],
      acknowledgements: [],
      permits: [],
      refusals: [],
      voidTokens: [],
      offers: [],
      withdrawals: [],
      directive: null,
      sendFullInventory: false,
      triggerStarts: [],
      triggerStops: [],
      triggerAcks: [],
      ...change,
    };
  }

  ack(change: Partial<Ack> = {}): Effect[] {
    return this.turn({ kind: 'ack', streamNo: this.streamNo, ack: this.ackOf(change) });
  }

  offer(...names: string[]): Effect[] {
    return this.ack({ offers: names.map((name) => ({ taskId: task(name), queue: 'default' })) });
  }

  /** Offers a task, takes the request, and permits it: the token is running then. */
  run(of: number, change: Partial<Permit> = {}): Effect[] {
    const name = `t${of}`;
    this.offer(name);
    const ask = this.beats.at(-1)?.startRequests.at(-1);
    if (ask === undefined) throw new Error('nothing was asked for');
    const permit = permitOf({ nonce: ask.nonce, token: token(of), taskId: task(name), ...change });
    return this.ack({ permits: [permit] });
  }

  ended(of: number, change: Partial<Report> = {}): Effect[] {
    return this.turn({
      kind: 'run_ended',
      report: reportOf(token(of), { taskId: task(`t${of}`), ...change }),
    });
  }

  /** All heartbeats so far. */
  get beats(): Beat[] {
    return beatsOf(this.effects);
  }

  get seq(): number {
    const since = this.effects.findLastIndex((e) => e.kind === 'send' && e.message.kind === 'hello');
    return beatsOf(this.effects.slice(since)).at(-1)?.seq ?? 1;
  }

  get started(): Token[] {
    return this.effects.flatMap((effect) => (effect.kind === 'start' ? [effect.permit.token] : []));
  }

  get notes(): AgentNote[] {
    return this.effects.flatMap((effect) => (effect.kind === 'note' ? [effect.note] : []));
  }

  of<K extends Effect['kind']>(kind: K): Extract<Effect, { kind: K }>[] {
    return this.effects.filter((effect): effect is Extract<Effect, { kind: K }> => effect.kind === kind);
  }

  get goodbyes(): number {
    return this.of('send').filter(({ message }) => message.kind === 'goodbye').length;
  }
}

export function beatsOf(effects: readonly Effect[]): Beat[] {
  return effects.flatMap((effect) =>
    effect.kind === 'send' && effect.message.kind === 'heartbeat' ? [effect.message.beat] : [],
  );
}

/** Every report of a token that was sent in heartbeats. */
export function reportsOf(beats: readonly Beat[], of: Token): Report[] {
  return beats.flatMap((beat) => beat.reports.filter((report) => report.token === of));
}
