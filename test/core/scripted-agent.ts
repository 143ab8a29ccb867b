import type { Ack, Directive, Frame, Permit, Refusal, StopReason, Verdict } from '../../src/core/frames.js';
import type { Heartbeat, Hello, Input, Report, ReportKind } from '../../src/core/inputs.js';
import type { AgentKind, ProcessIdentity } from '../../src/core/rows.js';
import type { AgentId, Epoch, InstanceId, Nonce, StreamId, TaskId, Token } from '../../src/kit/ids.js';
import { Inventory } from '../../src/kit/inventory.js';
import { between, type MonoMs } from '../../src/kit/time.js';
import { report, type World } from './support.js';

export interface AgentChoice {
  readonly slots?: number;
  readonly queues?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly handlers?: readonly string[];
  readonly kind?: AgentKind;
  readonly instanceId?: string;
  readonly process?: ProcessIdentity;
}

const NO_PROCESS: ProcessIdentity = { bootId: '', lockDevice: 0n, lockInode: 0n, pid: 1 };

/**
 * A correct agent, scripted: it applies what it is told in order, and says what a correct agent would say when it is
 * asked to speak. Its runs end only when the test ends them.
 */
export class Agent {
  readonly world: World;
  readonly agentId: AgentId;
  readonly instanceId: InstanceId;
  readonly inventory = new Inventory();
  readonly choice: Required<Omit<AgentChoice, 'instanceId'>>;
  readonly runs = new Map<Token, Permit>();
  readonly reports = new Map<Token, Report>();
  readonly asks = new Map<Nonce, TaskId>();
  readonly offers = new Set<TaskId>();
  readonly refusals: Refusal[] = [];
  readonly verdicts: Verdict[] = [];
  readonly stops: { readonly token: Token; readonly reason: StopReason }[] = [];
  readonly acknowledged: { readonly token: Token; readonly disposition: string }[] = [];
  /** Every token ever started, in order: I3 says that none comes twice. */
  readonly started: Token[] = [];
  directive: Directive = { cordoned: false, draining: false, drainTimeoutMs: null };
  streamId: StreamId | null = null;
  epoch: Epoch = 0n as Epoch;
  streamNo = 0n;
  /** Frames wait here, unread, while it is deaf. */
  deaf = false;
  readonly unread: Frame[] = [];
  /** Whether it asks for what it is offered. */
  asking = true;
  /** Shut by hand; else the gate follows P2. */
  gateShut = false;
  closing = false;
  farewell = false;
  refused: string | null = null;
  closed: string | null = null;
  highestToken = 0n as Token;
  #seq = 0;
  #applied = 0;
  #told = new Set<string>();
  #stopped: Token[] = [];
  #sendFull = false;
  #mustSpeak = false;
  #nonce = 0n;
  #sentAt = new Map<number, MonoMs>();
  #gateFrom: MonoMs | null = null;
  #gateMs = 0;

  constructor(world: World, agentId: string, choice: AgentChoice = {}) {
    this.world = world;
    this.agentId = agentId as AgentId;
    this.instanceId = (choice.instanceId ?? `${agentId}-instance-0001`) as InstanceId;
    const { slots = 1, queues = ['default'], labels = {}, handlers = [] } = choice;
    const { kind = 'worker', process = NO_PROCESS } = choice;
    this.choice = { slots, queues, labels, handlers, kind, process };
  }

  // — what it says —

  hello(change: Partial<Hello> = {}): Hello {
    const { slots, queues, labels, handlers, kind, process } = this.choice;
    for (const [token, waiting] of this.reports) this.#show(token, waiting.kind);
    return {
      agentId: this.agentId,
      instanceId: this.instanceId,
      streamNo: ++this.streamNo,
      kind,
      queues,
      slots,
      labels,
      handlers,
      bundles: [],
      triggerKinds: [],
      software: 'model/1',
      hostname: 'host',
      highestToken: this.highestToken,
      highestEpoch: this.epoch,
      inventory: this.inventory.entries(),
      reports: [...this.reports.values()],
      process,
      proof: null,
      ...change,
    };
  }

  /** P2: counted from the SENDING of the newest acknowledged heartbeat. */
  get gateOpen(): boolean {
    if (this.gateShut || this.#gateFrom === null) return false;
    return between(this.#gateFrom, this.world.now) < this.#gateMs;
  }

  helloInput(change: Partial<Hello> = {}): Input {
    this.streamId = this.world.newStream(this);
    this.refused = null;
    this.closed = null;
    this.#seq = 1;
    this.#sentAt = new Map([[1, this.world.now]]);
    this.#applied = 0;
    this.#told = new Set();
    this.#stopped = [];
    this.#sendFull = false;
    this.offers.clear();
    return { kind: 'hello', streamId: this.streamId, at: this.world.now, hello: this.hello(change) };
  }

  connect(change: Partial<Hello> = {}): this {
    this.world.feed(this.helloInput(change));
    return this;
  }

  /** Whether a correct agent would send a heartbeat now without waiting for its tick. */
  get hasNews(): boolean {
    if (!this.canSpeak) return false;
    this.#ask();
    if (this.#mustSpeak || this.#sendFull || this.#stopped.length > 0) return true;
    const waits = [...[...this.reports.keys()].map(ofReport), ...[...this.asks.keys()].map(ofAsk)];
    return waits.some((key) => !this.#told.has(key));
  }

  /** The next heartbeat; `repeat` says again what is not answered yet. */
  beatInput(change: Partial<Heartbeat> = {}, repeat = false): Input {
    if (this.streamId === null) throw new Error(`${this.agentId} has no stream`);
    if (repeat) this.#told.clear();
    const reports = [...this.reports.values()].filter((r) => !this.#told.has(ofReport(r.token)));
    for (const { token, kind } of reports) this.#show(token, kind);
    // After the reports, so that it asks for the slots that they free.
    this.#ask();
    const asks = [...this.asks].filter(([nonce]) => !this.#told.has(ofAsk(nonce)));
    const stopping = this.#stopped.filter((token) => this.inventory.phase(token) === 'stopping');
    for (const { token } of reports) this.#told.add(ofReport(token));
    for (const [nonce] of asks) this.#told.add(ofAsk(nonce));
    const beat: Heartbeat = {
      seq: ++this.#seq,
      applied: this.#applied,
      reports,
      inventoryChanges: stopping.map((token) => ({ phase: 'stopping', token, taskId: '' as TaskId })),
      inventoryCount: this.inventory.count,
      inventoryHash: this.inventory.hash,
      startRequests: asks.map(([nonce, taskId]) => ({ nonce, taskId })),
      freeSlots: this.#free(),
      health: null,
      fullInventory: this.#sendFull ? this.inventory.entries() : null,
      ...change,
    };
    this.#stopped = [];
    this.#sendFull = false;
    this.#mustSpeak = false;
    this.#sentAt.set(beat.seq, this.world.now);
    return { kind: 'heartbeat', streamId: this.streamId, at: this.world.now, beat };
  }

  beat(change: Partial<Heartbeat> = {}, repeat = false): this {
    this.world.feed(this.beatInput(change, repeat));
    return this;
  }

  /** Heartbeats until neither side has more to say. */
  talk(limit = 20): this {
    for (let n = 0; n < limit && this.hasNews; n++) this.beat();
    return this;
  }

  goodbye(): void {
    this.closing = true;
    if (this.streamId === null) throw new Error('no stream to say goodbye on');
    this.world.feed({ kind: 'goodbye', streamId: this.streamId, endsSession: true, reason: 'drained' });
  }

  /** The stream breaks, and both sides notice. */
  cut(): this {
    const { streamId } = this;
    this.#down();
    if (streamId !== null) this.world.feed({ kind: 'stream_closed', streamId });
    return this;
  }

  /** The stream breaks on this side only. */
  vanish(): this {
    this.#down();
    return this;
  }

  #down(): void {
    if (this.streamId !== null) this.world.listeners.delete(this.streamId);
    this.streamId = null;
    this.#applied = 0;
    this.offers.clear();
  }

  // — what it does —

  /** Single runs end with the gate (P11). */
  watchGate(): void {
    if (this.gateOpen) return;
    for (const [token, { partitionPolicy }] of this.runs)
      if (partitionPolicy === 'single_run') this.end(token, 'killed', { reason: 'gate' });
  }

  /** The run is over; its report goes out with the next heartbeat. */
  end(token: Token, kind: ReportKind = 'success', change: Partial<Report> = {}): this {
    const run = this.runs.get(token);
    this.runs.delete(token);
    this.reports.set(token, report(token, kind, { taskId: run?.taskId ?? ('' as TaskId), ...change }));
    return this;
  }

  get running(): Token[] {
    return [...this.runs.keys()];
  }

  get canSpeak(): boolean {
    return this.streamId !== null && this.#applied > 0;
  }

  /** Breaks its promise: the run is gone from its inventory without a report. */
  forgetRun(token: Token): void {
    this.runs.delete(token);
    this.inventory.dropToken(token);
  }

  /** The only run there is. */
  get only(): Token {
    const [token] = this.runs.keys();
    if (token === undefined || this.runs.size > 1) throw new Error(`${this.agentId} runs ${this.runs.size}`);
    return token;
  }

  // — what it hears —

  receive(frame: Frame): void {
    if (this.deaf) this.unread.push(frame);
    else this.#apply(frame);
  }

  /** Reads what has arrived while it was deaf. */
  hear(): this {
    this.deaf = false;
    for (const frame of this.unread.splice(0)) this.#apply(frame);
    return this;
  }

  #apply(frame: Frame): void {
    if (frame.streamId !== this.streamId) return;
    switch (frame.kind) {
      case 'welcome': {
        const { welcome } = frame;
        if (this.epoch !== welcome.epoch) this.#gateFrom = null;
        this.epoch = welcome.epoch;
        this.#applied = 1;
        this.#gateMs = welcome.gateMs;
        this.#acknowledged(1);
        this.#mustSpeak = true;
        this.directive = welcome.directive;
        for (const { token, disposition } of welcome.acknowledgements) this.#forget(token, disposition);
        for (const verdict of welcome.verdicts) this.#rule(verdict);
        return;
      }
      case 'ack':
        return this.#ack(frame.ack);
      case 'refused':
        this.refused = frame.refused.reason;
        for (const { token, disposition } of frame.refused.acknowledgements) this.#forget(token, disposition);
        return this.#down();
      case 'farewell':
        this.farewell = true;
        return this.#down();
      case 'close':
        this.closed = frame.reason;
        return this.#down();
      case 'bundle_answer':
      case 'bundle_hold':
        return;
    }
  }

  #rule(verdict: Verdict): void {
    this.verdicts.push(verdict);
    if (verdict.kind === 'stop') this.#stop(verdict.token, verdict.reason, false);
    else if (verdict.kind === 'recorded') this.inventory.dropToken(verdict.token);
    else if (verdict.kind === 'never_start') {
      this.asks.delete(verdict.nonce);
      this.inventory.dropNonce(verdict.nonce);
    }
  }

  #ack(ack: Ack): void {
    this.#applied = ack.number;
    this.#acknowledged(ack.received);
    for (const { token, reason } of [...ack.stops, ...ack.cancellations]) this.#stop(token, reason, true);
    for (const { token, disposition } of ack.acknowledgements) this.#forget(token, disposition);
    for (const permit of ack.permits) this.#permit(permit);
    for (const refusal of ack.refusals) {
      this.refusals.push(refusal);
      this.asks.delete(refusal.nonce);
      this.inventory.dropNonce(refusal.nonce);
    }
    for (const token of ack.voidTokens) {
      if (this.inventory.phase(token) !== null) this.#sendFull = true;
      else this.reports.set(token, report(token, 'never_started', { reason: 'void' }));
    }
    for (const { taskId } of ack.offers) this.offers.add(taskId);
    for (const taskId of ack.withdrawals) this.offers.delete(taskId);
    if (ack.directive !== null) this.directive = ack.directive;
    if (ack.sendFullInventory) this.#sendFull = true;
    if (ack.permits.length > 0) this.#mustSpeak = true;
  }

  #acknowledged(seq: number): void {
    const sentAt = this.#sentAt.get(seq);
    if (sentAt === undefined) return;
    if (this.#gateFrom === null || sentAt > this.#gateFrom) this.#gateFrom = sentAt;
    for (const older of this.#sentAt.keys()) if (older <= seq) this.#sentAt.delete(older);
  }

  #permit(permit: Permit): void {
    if (this.inventory.phase(permit.token) !== null) return;
    const asked = this.asks.delete(permit.nonce);
    this.inventory.permit(permit.nonce, permit.token, permit.taskId);
    if (permit.token > this.highestToken) this.highestToken = permit.token;
    if (asked && permit.epoch === this.epoch && this.gateOpen) {
      this.#start(permit);
    } else {
      const { taskId } = permit;
      this.reports.set(
        permit.token,
        report(permit.token, 'never_started', { taskId, reason: 'gate_closed' }),
      );
    }
  }

  /** I3 and I4, from where they matter. */
  #start(permit: Permit): void {
    const { token, taskId } = permit;
    const { open } = this.world.task(taskId);
    if (this.started.includes(token)) throw new Error(`I3: ${this.agentId} starts token ${token} twice`);
    if (open?.token !== token || open.lost !== null)
      throw new Error(`I3: ${this.agentId} starts token ${token}, which is closed or lost`);
    this.started.push(token);
    this.runs.set(token, permit);
    if (this.runs.size > this.choice.slots) throw new Error(`I4: ${this.agentId} runs ${this.runs.size}`);
  }

  #stop(token: Token, reason: StopReason, tell: boolean): void {
    this.stops.push({ token, reason });
    const run = this.runs.get(token);
    if (run === undefined || this.inventory.phase(token) !== 'running') return;
    this.inventory.put({ phase: 'stopping', token, taskId: run.taskId });
    if (tell) this.#stopped.push(token);
  }

  #forget(token: Token, disposition: string): void {
    this.acknowledged.push({ token, disposition });
    this.inventory.dropToken(token);
    this.reports.delete(token);
  }

  #show(token: Token, kind: ReportKind): void {
    const phase = kind === 'never_started' ? 'void' : kind === 'lost' ? 'lost' : 'finished';
    this.inventory.put({ phase, token, taskId: this.reports.get(token)?.taskId ?? ('' as TaskId) });
  }

  #free(): number {
    if (this.closing || this.directive.cordoned || this.directive.draining) return 0;
    return Math.max(0, this.choice.slots - this.inventory.occupied());
  }

  #ask(): void {
    if (!this.asking || !this.gateOpen || this.closing || this.directive.cordoned) return;
    for (const taskId of [...this.offers]) {
      if (this.#free() <= 0) return;
      this.offers.delete(taskId);
      const nonce = ++this.#nonce as Nonce;
      this.asks.set(nonce, taskId);
      this.inventory.put({ phase: 'asked', nonce, taskId });
    }
  }
}

const ofReport = (token: Token): string => `report ${token}`;
const ofAsk = (nonce: Nonce): string => `ask ${nonce}`;
