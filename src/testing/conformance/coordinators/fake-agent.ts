import type { Nonce, TaskId, Token } from '../../../kit/ids.js';
import { type Entry, Inventory, type Phase } from '../../../kit/inventory.js';
import {
  type Acknowledgement,
  type ConnectResponse,
  Heartbeat,
  type HeartbeatAck,
  Hello,
  type InventoryEntry,
  type Permit,
  type RefusalReason,
  type Refused,
  Report,
  ReportKind,
  VerdictKind,
  type Welcome,
} from '../../../wire/gen/holdfast/v1/agent_service.js';
import { AgentKind } from '../../../wire/gen/holdfast/v1/types.js';
import { phases } from '../../../wire/names.js';
import { millisOf } from '../../../wire/time.js';
import { Deviation } from '../case.js';
import { every, type Timer } from '../clock.js';
import { FakeStream, type StreamHost, wordsOf } from './fake-stream.js';

export interface AgentChoice {
  readonly agentId: string;
  readonly instanceId: string;
  readonly queue: string;
  readonly slots: number;
}

/** What became of a start request. */
export type Answer =
  | { readonly permit: Permit; readonly refusal: null }
  | { readonly permit: null; readonly refusal: RefusalReason };

/** An agent in the hands of a case: it keeps its inventory by the proto's rules, and beats unless it is told not to. */
export class FakeAgent implements AgentChoice {
  readonly agentId: string;
  readonly instanceId: string;
  readonly queue: string;
  readonly slots: number;
  readonly held = new Inventory();
  readonly offers = new Set<string>();
  stream: FakeStream;
  welcome: Welcome | null = null;
  streamNo = 0n;
  seq = 1n;
  applied = 1n;
  /** Whether permits, refusals and acknowledgements change what it holds; an agent that loses them sets it false. */
  takesIn = true;
  /** Whether it sends its full inventory when it is asked for it. */
  showsAll = true;
  readonly #host: StreamHost;
  #beating: Timer | null = null;
  #nonce = 0n;

  constructor(host: StreamHost, { agentId, instanceId, queue, slots }: AgentChoice) {
    this.#host = host;
    this.agentId = agentId;
    this.instanceId = instanceId;
    this.queue = queue;
    this.slots = slots;
    this.stream = this.#dial();
  }

  #dial(): FakeStream {
    const stream: FakeStream = new FakeStream(this.#host, (message) => {
      if (stream === this.stream) this.#hear(message);
    });
    return stream;
  }

  #hear(message: NonNullable<ConnectResponse['message']>): void {
    if (message.$case !== 'ack') return;
    const { number, offers, withdrawals, sendFullInventory } = message.value;
    for (const { taskId } of offers) this.offers.add(taskId);
    for (const taskId of withdrawals) this.offers.delete(taskId);
    this.applied = number;
    if (this.takesIn) this.#takeIn(message.value);
    if (sendFullInventory && this.showsAll)
      this.say({ fullInventory: { entries: this.held.entries().map(entryOf), moreChunks: false } });
  }

  #takeIn({ acknowledgements, permits, refusals }: HeartbeatAck): void {
    for (const { token } of acknowledgements) this.held.dropToken(token as Token);
    for (const { nonce, token, taskId } of permits)
      this.held.permit(nonce as Nonce, token as Token, taskId as TaskId);
    for (const { nonce } of refusals) this.held.dropNonce(nonce as Nonce);
  }

  get heartbeatMs(): number {
    return millisOf(this.welcome?.heartbeatInterval) ?? 0;
  }

  get leaseMs(): number {
    return millisOf(this.welcome?.lease) ?? 0;
  }

  /** A new stream in place of the old one, which is broken off unless it is kept. */
  redial(keep = false): FakeStream {
    this.silence();
    const old = this.stream;
    this.stream = this.#dial();
    if (!keep) old.close();
    return old;
  }

  hello(change: Partial<Hello> = {}): void {
    this.streamNo++;
    this.seq = 1n;
    this.applied = 1n;
    const { agentId, instanceId, streamNo, queue, slots } = this;
    const value: Hello = {
      ...Hello.fromPartial({}),
      ...{ agentId, instanceId, streamNo, kind: AgentKind.WORKER, queues: [queue], slots },
      ...{
        software: 'holdfast-conformance',
        protocolVersion: 1,
        inventory: this.held.entries().map(entryOf),
      },
      ...change,
    };
    this.stream.say({ $case: 'hello', value });
  }

  /** Says Hello, takes the Welcome in and beats from then on. Throws Deviation when it is refused. */
  async greet(change: Partial<Hello> = {}): Promise<Welcome> {
    this.hello(change);
    const welcome = await this.stream.expect('a Welcome', 'welcome', (value) => value);
    this.welcome = welcome;
    for (const { kind, token, nonce } of welcome.verdicts) {
      if (kind === VerdictKind.RECORDED) this.held.dropToken(token as Token);
      if (kind === VerdictKind.NEVER_START) this.held.dropNonce(nonce as Nonce);
    }
    this.beat();
    return welcome;
  }

  /** Says Hello and must be refused: by the typed message, and by the status that the call ends with. */
  async refused(change: Partial<Hello> = {}): Promise<Refused & { readonly status: number }> {
    this.hello(change);
    const said = await this.stream.expect('a Refused', 'refused', (value) => value);
    const { code } = await this.stream.ended();
    return { ...said, status: code };
  }

  /** Beats at half its interval, so that nothing depends on a timer of ours that is late. */
  beat(): void {
    this.#beating?.cancel();
    this.#beating = every(Math.max(50, this.heartbeatMs / 2), () => this.say());
  }

  /** No heartbeat from now on, but those that the case says itself. */
  silence(): void {
    this.#beating?.cancel();
    this.#beating = null;
  }

  /** A heartbeat that is right unless `change` says otherwise; its seq. */
  say(change: Partial<Heartbeat> = {}): bigint {
    const { count, hash } = this.held;
    const value: Heartbeat = {
      ...Heartbeat.fromPartial({}),
      ...{ seq: ++this.seq, applied: this.applied, inventoryCount: count, inventoryHash: hash },
      freeSlots: Math.max(0, this.slots - this.held.occupied()),
      ...change,
    };
    this.stream.say({ $case: 'heartbeat', value });
    return value.seq;
  }

  /** The first acknowledgement from `from` on in which `look` finds something. */
  ack<T>(expected: string, look: (ack: HeartbeatAck) => T | undefined, from = 0): Promise<T> {
    return this.stream.expect(expected, 'ack', look, { from });
  }

  /** Sends a heartbeat and waits until it is acknowledged. */
  async acknowledged(change: Partial<Heartbeat> = {}): Promise<HeartbeatAck> {
    const seq = this.say(change);
    return this.ack(`an acknowledgement of heartbeat ${seq}`, (ack) =>
      ack.received >= seq ? ack : undefined,
    );
  }

  async offered(taskId: string): Promise<void> {
    await this.#host.watched.until(`an offer of ${taskId} to ${this.agentId}`, this.#host.patienceMs, () => {
      if (this.stream.end !== null) throw new Deviation(`the stream ended: ${wordsOf(this.stream.end)}`);
      return this.offers.has(taskId) || undefined;
    });
  }

  nextNonce(): bigint {
    return ++this.#nonce;
  }

  /** Asks to start a task, offered or not; what is answered. */
  async ask(taskId: string, nonce = this.nextNonce()): Promise<Answer> {
    const from = this.stream.here();
    this.request(taskId, nonce);
    return this.answered(nonce, from);
  }

  request(taskId: string, nonce: bigint): void {
    this.hold(nonce, taskId);
    this.say({ startRequests: [{ nonce, taskId }] });
  }

  /** Holds an open start request. */
  hold(nonce: bigint, taskId: string): void {
    this.held.put({ phase: 'asked', nonce: nonce as Nonce, taskId: taskId as TaskId });
  }

  /** Holds a run. */
  show(token: bigint, phase: Exclude<Phase, 'asked'>, taskId = ''): void {
    this.held.put({ phase, token: token as Token, taskId: taskId as TaskId });
  }

  answered(nonce: bigint, from = 0): Promise<Answer> {
    return this.ack(
      `an answer to the start request with nonce ${nonce}`,
      ({ permits, refusals }): Answer | undefined => {
        const permit = permits.find((one) => one.nonce === nonce);
        if (permit !== undefined) return { permit, refusal: null };
        const refusal = refusals.find((one) => one.nonce === nonce);
        return refusal === undefined ? undefined : { permit: null, refusal: refusal.reason };
      },
      from,
    );
  }

  /** Waits for the offer of a task and gets its permit. */
  async start(taskId: string): Promise<Permit> {
    await this.offered(taskId);
    const { permit, refusal } = await this.ask(taskId);
    if (permit === null)
      throw new Deviation(`the start of an offered task is refused with reason ${refusal}`);
    return permit;
  }

  /** Reports the end of a run, once; what is answered. */
  async report(token: bigint, change: Partial<Report> = {}): Promise<Acknowledgement> {
    const from = this.stream.here();
    const report = reportOf(token, change);
    this.show(token, report.kind === ReportKind.NEVER_STARTED ? 'void' : 'finished', report.taskId);
    this.say({ reports: [report] });
    return this.disposition(token, from);
  }

  /** What is answered to a report. */
  disposition(token: bigint, from = 0): Promise<Acknowledgement> {
    return this.ack(
      `an acknowledgement of the report of token ${token}`,
      ({ acknowledgements }) => acknowledgements.find((one) => one.token === token),
      from,
    );
  }

  close(): void {
    this.silence();
    this.stream.close();
  }
}

export const reportOf = (token: bigint, change: Partial<Report> = {}): Report => ({
  ...Report.fromPartial({}),
  ...{ token, kind: ReportKind.SUCCESS },
  ...change,
});

export const runEntry = (token: bigint, phase: Exclude<Phase, 'asked'> = 'running'): InventoryEntry =>
  entryOf({ phase, token: token as Token, taskId: '' as TaskId });

function entryOf(entry: Entry): InventoryEntry {
  const phase = phases.to(entry.phase);
  const { taskId } = entry;
  if (entry.phase === 'asked') return { phase, token: 0n, nonce: entry.nonce, taskId };
  return { phase, token: entry.token, nonce: 0n, taskId };
}
