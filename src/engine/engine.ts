import type { RunKey, RunRow } from '../core/dag/rows.js';
import { ADVANCE_RUNS } from '../core/dag/runs.js';
import type { Timetable } from '../core/dag/timetable.js';
import { decide, hear, observe } from '../core/decide.js';
import { Draft } from '../core/draft.js';
import type { Frame, Note } from '../core/frames.js';
import type { CallInput, Context, Input, Reply } from '../core/inputs.js';
import type { Policy } from '../core/policy.js';
import type { TaskRow, TaskSpecRow } from '../core/rows.js';
import type { Tally } from '../core/rules.js';
import { settle } from '../core/settle.js';
import type { State } from '../core/state.js';
import type { TaskId } from '../kit/ids.js';
import { LazyMap } from '../kit/lazy.js';
import type { Random } from '../kit/random.js';
import { first } from '../kit/sets.js';
import { between, MINUTE, type MonoMs, SECOND, type ServiceMs } from '../kit/time.js';
import { type Store, StoreError } from '../store/store.js';
import { Aside, answerAtOnce } from './aside.js';
import type { Clock } from './clock.js';
import { newCounters } from './counters.js';
import { Deadlines } from './deadlines.js';
import { batchWeight, Inbox } from './inbox.js';
import { loadRows, NOTHING_LOADED } from './load.js';
import { putsOf } from './puts.js';
import { refill } from './refill.js';
import { ServiceClock } from './service-clock.js';
import { SpecCache } from './specs.js';
import { startState } from './start.js';
import { Sweep } from './sweep.js';
import type { Timers } from './timers.js';

export interface EngineOptions {
  readonly store: Store;
  readonly policy: Policy;
  readonly coordinatorId: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly newTaskId: () => TaskId;
  /** Default: DAGs have no instants of their own. */
  readonly timetable: Timetable;
  readonly listener: EngineListener;
  /** Hears which row of a rule table of the core decides. Default nobody. */
  readonly tally?: Tally;
}

/** Who hears of what the engine did; called only after the commit that it belongs to. */
export interface EngineListener {
  /** Frames to send, in order, and the specs of the permits among them. */
  send(frames: readonly Frame[], specs: ReadonlyMap<TaskId, TaskSpecRow>): void;
  /** Tasks that changed. */
  changed(tasks: ReadonlyMap<TaskId, TaskRow>): void;
  /** Runs of DAGs that changed; told after their instances. */
  runsChanged(runs: ReadonlyMap<RunKey, RunRow>): void;
  noted(notes: readonly Note[]): void;
  /** Tasks that retention has removed. */
  removed(taskIds: readonly TaskId[]): void;
  /** Notifications were written and may be delivered. */
  notified(): void;
  /** The store can no longer be used, or a bug was found: nothing more is confirmed, the process has to end. */
  broke(error: Error): void;
}

/** Between two looks at the leases and deadlines. */
const PULSE_MS = 200;
/** A pulse later than this was a stall of ours (P7). */
const STALL_MS = 100;
/** Calls that may wait; a further one is refused as overloaded. */
const CALL_LIMIT = 10_000;
/** Wait before a store that is busy is asked again. */
const BUSY_RETRY_MS = 20;
/** Wait before a goodbye or a snapshot that found the store full is tried again. */
const FULL_RETRY_MS = 1_000;

/** The answer when a call cannot be decided at all. */
export type Unanswered =
  | { readonly kind: 'overloaded' }
  | { readonly kind: 'store_full' }
  | { readonly kind: 'stopped' };

/**
 * One loop: take what has arrived, read the rows it needs, let the core decide, make all of it durable in one
 * transaction, and only then let the frames out. What arrives during a commit is the next batch.
 */
export class Engine {
  readonly state: State;
  readonly counters = newCounters();
  /** Whether the last commit failed for want of space. */
  storeFull = false;
  readonly #options: EngineOptions;
  readonly #inbox = new Inbox(CALL_LIMIT);
  readonly #service: ServiceClock;
  readonly #sweep: Sweep;
  readonly #deadlines: Deadlines;
  readonly #specs = new SpecCache();
  readonly #calls = new Map<number, (reply: Reply | Unanswered) => void>();
  readonly #pulse: { cancel(): void };
  /** Rows of the next commit, about. */
  #weight = batchWeight(0);
  #nextCall = 1;
  #lastPulse: MonoMs;
  #running: Promise<void> | null = null;
  /** The batch that is under way. */
  #aside: Aside | null = null;
  #scheduled = false;
  #stopping = false;

  static async start(options: EngineOptions): Promise<Engine> {
    const { store, policy, clock } = options;
    const { state } = await startState(store, policy, clock.mono());
    const sweep = await Sweep.start(store, clock.mono());
    return new Engine(options, state, sweep, await Deadlines.start(store));
  }

  private constructor(options: EngineOptions, state: State, sweep: Sweep, deadlines: Deadlines) {
    this.#options = options;
    this.#sweep = sweep;
    this.state = state;
    this.#deadlines = deadlines;
    this.#lastPulse = options.clock.mono();
    this.#service = new ServiceClock(state.counters.serviceMs, this.#lastPulse);
    this.#pulse = options.timers.every(PULSE_MS, () => this.#beat());
  }

  /** Whether a batch is under way. */
  get busy(): boolean {
    return this.#running !== null;
  }

  /** Where the service clock stands. */
  get serviceNow(): ServiceMs {
    return this.#service.at(this.#options.clock.mono());
  }

  /** Takes in what a stream says; streams bound themselves by waiting for their acknowledgements. */
  put(input: Input): void {
    if (this.#stopping) return;
    hear(this.state, input);
    const answer = this.#running === null ? answerAtOnce(this.#options.store, this.state, input) : null;
    if (answer !== null) return this.#options.listener.send([answer], new Map());
    this.#inbox.put(input);
    this.#schedule();
  }

  /** Decides a call; settles once its effects are durable. */
  call(make: (callId: number) => CallInput): Promise<Reply | Unanswered> {
    if (this.#stopping) return Promise.resolve({ kind: 'stopped' });
    if (!this.#inbox.acceptsCalls) return Promise.resolve({ kind: 'overloaded' });
    const callId = this.#nextCall++;
    return new Promise((resolve) => {
      this.#calls.set(callId, resolve);
      this.put(make(callId));
    });
  }

  /** Finishes what has arrived, then decides nothing more. The store stays open. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#pulse.cancel();
    // A batch that is scheduled and not begun is decided as well: a call told "stopping" must not happen after all.
    while (this.#running !== null || this.#inbox.length > 0) {
      this.#running ??= this.#drain().catch((error: unknown) => this.#break(error));
      await this.#running;
    }
    for (const resolve of this.#calls.values()) resolve({ kind: 'stopped' });
    this.#calls.clear();
  }

  context(): Context {
    const { clock, policy, random, newTaskId, timetable, coordinatorId } = this.#options;
    const now = clock.mono();
    const service = this.#service.at(now);
    return {
      ...{ now, wall: clock.wall(), service, serviceStart: this.#service.start },
      ...{ policy, random, newTaskId, timetable, coordinatorId, tally: this.#options.tally },
    };
  }

  /** A tick; a late one means that our own loop stood still, which no agent shall suffer for (P7). */
  #beat(): void {
    const now = this.#options.clock.mono();
    const late = (now as number) - (this.#lastPulse as number) - PULSE_MS;
    this.#lastPulse = now;
    if (late > STALL_MS) {
      this.counters.stallMs += late;
      // At once: a tick may lie in the inbox already, and the next batch may take it without this.
      observe(this.state, { kind: 'stall', ms: late });
    }
    const frames = this.#aside?.frames(this.state, this.#inbox.waiting, now) ?? [];
    if (frames.length > 0) this.#options.listener.send(frames, new Map());
    // What arrived during a stall is read before leases are judged.
    this.#options.timers.soon(() => this.put({ kind: 'tick' }));
    this.#prune();
  }

  #prune(): void {
    if (!this.#stopping && this.#sweep.begin(this.#options.clock.mono())) this.put({ kind: 'prune' });
  }

  #schedule(): void {
    if (this.#scheduled || this.#running !== null) return;
    this.#scheduled = true;
    this.#options.timers.soon(() => {
      this.#scheduled = false;
      // A stop may have decided it already.
      if (this.#inbox.length === 0) return;
      this.#running ??= this.#drain().catch((error: unknown) => this.#break(error));
    });
  }

  /** One batch, in a turn of its own: a store that answers at once would let a long run go on with no heartbeat read. */
  async #drain(): Promise<void> {
    this.counters.batches++;
    const inputs = this.#takeIn();
    this.#aside = new Aside(this.#options.store, this.#options.clock.mono(), inputs);
    await this.#decide(inputs);
    this.#aside = null;
    const lanes = this.state.lanesToRefill();
    // What it brings is offered by the next batch, which follows at once.
    if (lanes.length > 0 && (await refill(this.#options.store, this.state, lanes)))
      this.put({ kind: 'tick' });
    this.#running = null;
    if (this.#inbox.length > 0) this.#schedule();
  }

  /** The next inputs, their facts taken in. */
  #takeIn(): Input[] {
    const inputs = this.#inbox.take(this.#weight);
    this.counters.inputs += inputs.length;
    for (const input of inputs) observe(this.state, input);
    return inputs;
  }

  async #decide(batch: readonly Input[]): Promise<void> {
    const { store } = this.#options;
    let inputs = batch;
    for (;;) {
      const ctx = this.context();
      const ticks = inputs.some((input) => input.kind === 'tick');
      const due = ticks ? this.#deadlines.passed(ctx) : null;
      const step = () => this.#sweep.read(ctx.policy.limits.pruneStep, ctx, this.state.dags.newestEvent);
      const rest = () => new Promise<void>((resolve) => this.#options.timers.soon(resolve));
      const rows = loadRows(store, this.state, inputs, due, step, ctx, rest);
      const loaded = rows instanceof Promise ? await rows : rows;
      const draft = decide(this.state, ctx, inputs, loaded);
      const { specs, missing } = this.#specsFor(draft);
      if (missing.length > 0) for (const spec of await store.readSpecs(missing)) specs.set(spec.taskId, spec);
      if (this.#aside !== null) this.#aside.pending = draft;
      try {
        if (this.#isDurable(draft, ticks)) await this.#commit(draft);
        // Whose store it is by now, another may have judged the agents: nothing is said to them on old knowledge.
        if (store.isOwned?.() === false) await store.proveOwned?.();
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        if (error.fault === 'busy') {
          await new Promise<void>((resolve) => void this.#options.timers.after(BUSY_RETRY_MS, resolve));
          // Heartbeats that arrived meanwhile count (P1): a slow store fails nobody.
          inputs = [...inputs, ...this.#takeIn()];
          continue;
        }
        if (error.fault === 'full') return this.#goOnWithoutStore(inputs, ctx);
        throw error;
      }
      this.storeFull = draft.writes ? false : this.storeFull;
      this.#letOut(draft, specs);
      if (loaded.finished !== null) this.#pruned(draft);
      if (due !== null) await this.#deadlines.renew(store, due);
      if (loaded.more) this.put({ kind: 'tick' });
      this.#advance();
      return;
    }
  }

  /** What runs of DAGs do next is decided apart, on rows that their definitions ask for. */
  #advance(): void {
    const { dirty, ripe, unfinished, triggers } = this.state.dags;
    if (dirty.size === 0 && ripe.size === 0 && !unfinished && triggers.due.size === 0) return;
    this.put({ kind: 'advance', runs: first(dirty, ADVANCE_RUNS) });
  }

  /** A step of retention is over; the next one waits its turn. */
  #pruned(draft: Draft): void {
    const now = this.#options.clock.mono();
    const pause = this.#sweep.decided(draft.prunedTo, now, between(draft.ctx.now, now));
    // Timers may be early by a part of a millisecond, and what comes early would wait for the next pulse.
    if (pause !== null) this.#options.timers.after(pause + 1, () => this.#prune());
  }

  /** Whether a draft has anything to commit, be it the service clock alone. */
  #isDurable(draft: Draft, ticks: boolean): boolean {
    if (draft.writes) return true;
    // What has ended ages by this clock too; a minute of it may be lost.
    const isWaitedFor = this.#deadlines.needServiceClock || this.state.dags.hasTimeouts;
    const clockEveryMs = isWaitedFor ? SECOND : this.#sweep.total > 0 ? MINUTE : null;
    return ticks && clockEveryMs !== null && this.#service.wantsWrite(draft.ctx.now, clockEveryMs);
  }

  async #commit(draft: Draft): Promise<void> {
    const { service } = draft.ctx;
    draft.counters = { ...draft.counters, serviceMs: service };
    const puts = putsOf(draft);
    const begun = this.#options.clock.mono();
    // failpoint: FP5 before
    // failpoint: FP11 before
    await this.#options.store.commit(puts);
    // failpoint: FP5 after
    // failpoint: FP11 after
    this.#weight = batchWeight(between(begun, this.#options.clock.mono()));
    this.counters.commits++;
    this.counters.tasksPut += puts.tasks.length;
    this.counters.tasksRemoved += draft.removals.size;
    this.#sweep.count(draft);
    for (const taskId of draft.removals.keys()) this.#specs.remove(taskId);
    this.#service.wrote(service);
    this.#deadlines.put(puts);
    for (const spec of draft.specs) this.#specs.keep(spec);
    if (puts.notifications.length > 0) this.#options.listener.notified();
  }

  /** Committed: settle, and tell everybody. */
  #letOut(draft: Draft, specs: ReadonlyMap<TaskId, TaskSpecRow>): void {
    const { listener } = this.#options;
    const frames = settle(draft, this.#options.clock.mono());
    listener.send(frames, specs);
    for (const frame of frames) if (frame.kind === 'ack') this.counters.permits += frame.ack.permits.length;
    if (draft.tasks.size > 0) listener.changed(draft.tasks);
    const runs = draft.touchedDags?.runs;
    if (runs !== undefined && runs.size > 0) listener.runsChanged(runs);
    if (draft.removals.size > 0) listener.removed([...draft.removals.keys()]);
    for (const { kind } of draft.notes) if (kind === 'overlap') this.counters.overlaps++;
    if (draft.notes.length > 0) listener.noted(draft.notes);
    for (const { callId, reply } of draft.replies) this.#answer(callId, reply);
  }

  /** No space: heartbeats go on being acknowledged, everything that would have to be durable is refused or comes again. */
  #goOnWithoutStore(inputs: readonly Input[], ctx: Context): void {
    this.storeFull = true;
    const draft = new Draft(this.state, ctx, NOTHING_LOADED);
    const message = 'the store has no space; free some, nothing is lost meanwhile';
    for (const input of inputs) {
      if (input.kind === 'heartbeat' && this.state.presenceOfStream(input.streamId))
        draft.acks.acknowledge(input.streamId);
      if (input.kind === 'hello') {
        const refused = { reason: 'unavailable', message, delayMs: 1_000, acknowledgements: [] } as const;
        draft.refusals.push({ streamId: input.streamId, refused });
      }
      if (input.kind === 'prune') this.#pruned(draft);
      // Said once and never again by its agent: it waits here, a snapshot as long as its stream does.
      const waits = input.kind === 'snapshot' && this.state.presenceOfStream(input.streamId) !== undefined;
      if (input.kind === 'goodbye' || waits) this.#options.timers.after(FULL_RETRY_MS, () => this.put(input));
      if ('callId' in input) this.#answer(input.callId, { kind: 'store_full' });
    }
    this.#letOut(draft, new Map());
  }

  #answer(callId: number, reply: Reply | Unanswered): void {
    this.#calls.get(callId)?.(reply);
    this.#calls.delete(callId);
  }

  /** What the permits of a draft are told with, as far as memory has it. */
  #specsFor(draft: Draft): { specs: LazyMap<TaskId, TaskSpecRow>; missing: TaskId[] } {
    const specs = new LazyMap<TaskId, TaskSpecRow>();
    const missing: TaskId[] = [];
    const wanted = (taskId: TaskId) => {
      const spec = this.#specs.get(taskId);
      if (spec === undefined) missing.push(taskId);
      else specs.set(taskId, spec);
    };
    for (const { permits } of draft.acks.values()) for (const permit of permits) wanted(permit.taskId);
    for (const { hello } of draft.attachments) {
      for (const entry of hello.inventory) if (entry.phase === 'asked') wanted(entry.taskId);
    }
    return { specs, missing };
  }

  #break(error: unknown): void {
    this.#stopping = true;
    this.#pulse.cancel();
    this.#running = null;
    this.#aside = null;
    this.#inbox.take(Number.POSITIVE_INFINITY);
    for (const resolve of this.#calls.values()) resolve({ kind: 'stopped' });
    this.#calls.clear();
    this.#options.listener.broke(error as Error);
  }
}
