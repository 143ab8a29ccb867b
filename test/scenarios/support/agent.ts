import type { BundleTold } from '../../../src/agent/core/bundle-upload.js';
import type { AgentEvent, Effect } from '../../../src/agent/core/events.js';
import type { Instant } from '../../../src/agent/core/gate.js';
import type { AgentKind, Identity, Permit, Report } from '../../../src/agent/core/messages.js';
import { AgentSession } from '../../../src/agent/core/session.js';
import {
  type AgentId,
  type InstanceId,
  NO_EPOCH,
  NO_TOKEN,
  type TaskId,
  type Token,
} from '../../../src/kit/ids.js';
import { seededRandom } from '../../../src/kit/random.js';
import type { BootMs, MonoMs, WallMs } from '../../../src/kit/time.js';
import type { EventQueue, Scheduled } from '../../../src/testing/sim/events.js';
import { Connection, type End, type Weather } from '../../../src/testing/sim/network.js';
import type { Message } from './coordinator.js';
import type { Seen } from './seen.js';
import { MIDNIGHT } from './time.js';
import type { Words } from './words.js';

/** What an agent needs of the story that it is in. */
export interface Stage {
  readonly events: EventQueue;
  readonly words: Words;
  accept(wire: Connection): End | null;
  /** How long this task runs, in milliseconds. */
  lasts(taskId: TaskId): number;
}

export type Settings = Pick<Identity, 'slots' | 'queues' | 'bundles' | 'triggerKinds'>;

/** What an agent does besides keeping its session; by its kind. */
export interface Trade {
  perform(effect: Effect): void;
  disconnected(): void;
  bundleTold(told: BundleTold): void;
  /** Its process is killed. */
  die(): void;
}

/** A dial into a network that is cut lasts so long. */
const DIAL_LIMIT_MS = 2_000;

/** An agent: the real core of one, its own network, and clocks that go with everybody's. */
export class Agent {
  readonly agentId: string;
  readonly weather: Weather = { cutUp: false, cutDown: false, delay: 1, jitter: 0 };
  /** From a permit to the last look before its run begins, in milliseconds. */
  execMs = 3;
  trade: Trade | null = null;
  readonly #kind: AgentKind;
  readonly #settings: Settings;
  readonly #stage: Stage;
  #session: AgentSession | null = null;
  #processes = 0;
  #connection: { readonly streamNo: bigint; readonly wire: Connection } | null = null;
  readonly #wires: Connection[] = [];
  #tick: Scheduled | null = null;
  #dialing: Scheduled | null = null;
  #flushing = false;

  constructor(agentId: string, kind: AgentKind, settings: Settings, stage: Stage) {
    this.agentId = agentId;
    this.#kind = kind;
    this.#settings = settings;
    this.#stage = stage;
  }

  get #events(): EventQueue {
    return this.#stage.events;
  }

  tell(what: string): void {
    this.#stage.words.tell(this.agentId, what);
  }

  now(): Instant {
    const mono = 5_000_000 + this.#events.now;
    return {
      mono: mono as MonoMs,
      boot: mono as BootMs,
      wall: (MIDNIGHT + this.#events.now) as WallMs,
    };
  }

  get isUp(): boolean {
    return this.#session !== null;
  }

  get gateOpen(): boolean {
    return this.#session?.gateOpen(this.now()) ?? false;
  }

  mayStart(token: Token): boolean {
    return this.#session?.mayStart(token, this.now()) ?? false;
  }

  start(): void {
    const process = { bootId: 'boot', lockDevice: 1n, lockInode: 1n, pid: ++this.#processes };
    const identity: Identity = {
      ...this.#settings,
      agentId: this.agentId as AgentId,
      instanceId: `${this.agentId}, process ${this.#processes}` as InstanceId,
      kind: this.#kind,
      ...{ labels: {}, handlers: [], software: '', hostname: '', process, proof: null },
    };
    const nothing = { highestToken: NO_TOKEN, highestEpoch: NO_EPOCH, reports: [] };
    this.#session = new AgentSession(identity, nothing, seededRandom(1));
    this.#perform(this.#session.begin());
  }

  /** kill -9: what it did dies with it; the other side hears of the end unless the network is cut. */
  kill(): void {
    this.#session = null;
    this.#tick?.cancel();
    this.#dialing?.cancel();
    this.#connection?.wire.closeByAgent();
    this.#connection = null;
    this.trade?.die();
  }

  /** Cuts its network, one way or both, or mends it. */
  set cut(change: Pick<Weather, 'cutUp' | 'cutDown'>) {
    Object.assign(this.weather, change);
    // What was held back of streams that it has left arrives as well.
    for (const wire of this.#wires) wire.weatherChanged();
  }

  /** Sends something that is no word of the session; lost while there is no stream. */
  send(message: Message): void {
    this.#connection?.wire.sendUp(message);
  }

  happened(event: AgentEvent): void {
    const session = this.#session;
    if (session === null) return;
    if (event.kind === 'stream_lost') this.trade?.disconnected();
    this.#perform(session.step(event, this.now()));
    if (this.#flushing) return;
    this.#flushing = true;
    this.#events.after(0, () => {
      this.#flushing = false;
      if (this.#session !== session) return;
      this.#perform(session.flush(this.now()));
      this.#setTick(session);
    });
  }

  #setTick(session: AgentSession): void {
    this.#tick?.cancel();
    const at = session.nextTick();
    if (at === null) return;
    this.#tick = this.#events.after(Math.max(0, at - this.now().mono), () => this.happened({ kind: 'tick' }));
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#performOne(effect);
  }

  #performOne(effect: Effect): void {
    switch (effect.kind) {
      case 'dial':
        return this.#dial(effect.streamNo, effect.afterMs);
      case 'hang_up':
        return this.#leave();
      case 'send':
        if (effect.message.kind === 'heartbeat') this.#stage.words.asked(this.agentId, effect.message.beat);
        if (this.#connection?.streamNo === effect.streamNo) this.#connection.wire.sendUp(effect.message);
        return;
      case 'note':
        return this.#stage.words.agentNoted(this.agentId, effect.note);
      case 'exit':
        return this.kill();
      case 'start':
      case 'stop_run':
      case 'start_trigger':
      case 'stop_trigger':
      case 'stop_triggers':
        return this.trade?.perform(effect);
      case 'forget_report':
      case 'remember':
      case 'renew_guardian':
        // For the journal and the guardian of a real one; here every process begins with an empty journal.
        return;
    }
  }

  #dial(streamNo: bigint, afterMs: number): void {
    this.#leave();
    this.#dialing?.cancel();
    this.#dialing = this.#events.after(afterMs, () => this.#connect(streamNo));
  }

  #leave(): void {
    this.#connection?.wire.leaveByAgent();
    this.#connection = null;
  }

  #connect(streamNo: bigint): void {
    const fail = (ms: number, why: string) => {
      this.#dialing = this.#events.after(ms, () => this.#lost(streamNo, why));
    };
    if (this.weather.cutUp || this.weather.cutDown) return fail(DIAL_LIMIT_MS, 'no connection');
    const wire = new Connection(this.#events, () => 0, this.weather);
    const end = this.#stage.accept(wire);
    if (end === null) return fail(5, 'refused');
    const session = this.#session;
    this.#wires.push(wire);
    this.#dialing = this.#events.after(2 * this.weather.delay, () => {
      this.#connection = { streamNo, wire };
      const closed = () => this.#session === session && this.#lost(streamNo, 'closed');
      wire.attach(
        { receive: (message) => this.#session === session && this.#receive(streamNo, message), closed },
        end,
      );
      this.happened({ kind: 'stream_opened', streamNo });
    });
  }

  #receive(streamNo: bigint, message: unknown): void {
    const heard = message as { readonly kind: string };
    if (heard.kind !== 'bundle') return this.happened({ streamNo, ...heard } as AgentEvent);
    if (this.#connection?.streamNo === streamNo)
      this.trade?.bundleTold((message as { readonly told: BundleTold }).told);
  }

  #lost(streamNo: bigint, why: string): void {
    if (this.#connection?.streamNo === streamNo) this.#connection = null;
    this.happened({ kind: 'stream_lost', streamNo, denied: false, why });
  }
}

interface Run {
  readonly permit: Permit;
  readonly startedAt: number;
  readonly ends: Scheduled;
}

/** Starts what is permitted, if the core still says so at the last moment, and reports the end. */
export class WorkerTrade implements Trade {
  readonly #agent: Agent;
  readonly #stage: Stage;
  readonly #seen: Seen[];
  readonly #runs = new Map<Token, Run>();

  constructor(agent: Agent, stage: Stage, seen: Seen[]) {
    this.#agent = agent;
    this.#stage = stage;
    this.#seen = seen;
  }

  perform(effect: Effect): void {
    if (effect.kind === 'start')
      this.#stage.events.after(this.#agent.execMs, () => this.#start(effect.permit));
    if (effect.kind === 'stop_run') this.#end(effect.token, 'killed', effect.reason);
  }

  #start(permit: Permit): void {
    const { token, taskId } = permit;
    const task = this.#stage.words.nameOf(taskId);
    if (!this.#agent.isUp) return;
    if (!this.#agent.mayStart(token)) {
      this.#agent.tell(`does not start ${task}: its gate is closed, or the permit no longer stands`);
      return this.#report(permit, 'never_started', 'gate_closed', null);
    }
    this.#agent.tell(`starts ${task}`);
    const startedAt = this.#stage.events.now;
    this.#seen.push({ task, agentId: this.#agent.agentId, token, from: startedAt, to: null });
    const ends = this.#stage.events.after(this.#stage.lasts(taskId), () => this.#end(token, 'success', ''));
    this.#runs.set(token, { permit, startedAt, ends });
  }

  #end(token: Token, kind: Report['kind'], reason: string): void {
    const run = this.#over(token);
    if (run === undefined) return;
    const task = this.#stage.words.nameOf(run.permit.taskId);
    this.#agent.tell(kind === 'success' ? `finishes ${task}` : `stops ${task} (${reason})`);
    this.#report(run.permit, kind, reason, run.startedAt);
  }

  #over(token: Token): Run | undefined {
    const run = this.#runs.get(token);
    run?.ends.cancel();
    this.#runs.delete(token);
    const seen = this.#seen.find((one) => one.token === token);
    if (seen !== undefined) seen.to = this.#stage.events.now;
    return run;
  }

  #report({ token, taskId }: Permit, kind: Report['kind'], reason: string, startedAtMs: number | null): void {
    const report: Report = {
      ...{ token, taskId, kind, reason, message: '', result: null, resultType: '', final: false },
      ...{ exitCode: kind === 'success' ? 0 : null, startedAtMs, endedAtMs: this.#stage.events.now },
    };
    this.#agent.happened({ kind: 'run_ended', report });
  }

  disconnected(): void {}
  bundleTold(): void {}

  die(): void {
    for (const token of [...this.#runs.keys()]) this.#over(token);
  }
}
