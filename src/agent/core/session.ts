import type { Epoch, Token } from '../../kit/ids.js';
import { Inventory } from '../../kit/inventory.js';
import type { Random } from '../../kit/random.js';
import { earliest, later, type MonoMs } from '../../kit/time.js';
import { Asks } from './asks.js';
import { Dialer } from './dial.js';
import type { AgentEvent, AgentNote, Effect } from './events.js';
import { Exchange } from './exchange.js';
import { Gate, type Instant } from './gate.js';
import type {
  Ack,
  Beat,
  Directive,
  Identity,
  Report,
  StartRequest,
  TriggerEvent,
  Verdict,
  Welcome,
} from './messages.js';
import { Permits } from './permits.js';
import { type Recovered, Reports } from './reports.js';
import { Runs } from './runs.js';
import { Triggers } from './triggers.js';

/** greeting: the Hello is sent, its Welcome awaited. */
type StreamState = 'down' | 'dialing' | 'greeting' | 'open';

/** A Welcome that takes longer is not coming. */
const WELCOME_LIMIT_MS = 10_000;

/**
 * The agent's half of the protocol, without I/O, clocks or timers: events in, effects out. `step` takes what happened,
 * `flush` sends the one heartbeat that carries all there is to say at the end of a turn.
 */
export class AgentSession {
  readonly inventory = new Inventory();
  readonly #identity: Identity;
  readonly #gate = new Gate();
  readonly #dialer: Dialer;
  readonly #runs = new Runs(this.inventory);
  readonly #reports: Reports;
  readonly #asks = new Asks(this.inventory);
  readonly #permits: Permits;
  readonly #triggers = new Triggers();
  #stream: StreamState = 'down';
  #streamNo = 0n;
  #exchange = new Exchange();
  #terms: Pick<Welcome, 'epoch' | 'heartbeatMs' | 'leaseMs' | 'gateMs'> | null = null;
  #directive: Directive = { cordoned: false, draining: false, drainTimeoutMs: null };
  #closing = false;
  #drainDeadline: MonoMs | null = null;
  #saidGoodbye = false;
  #outputPending = false;
  #ended = false;
  #wasOpen = false;
  #mustSpeak = false;
  #sendFull = false;
  #highestToken: Token;
  #highestEpoch: Epoch;

  constructor(identity: Identity, recovered: Recovered, random: Random) {
    this.#identity = identity;
    this.#dialer = new Dialer(random);
    this.#highestToken = recovered.highestToken;
    this.#highestEpoch = recovered.highestEpoch;
    this.#reports = new Reports(this.inventory, recovered.reports);
    this.#permits = new Permits(this.inventory, this.#asks, this.#runs, this.#reports);
  }

  /** The first effects of a new agent: dial. */
  begin(): Effect[] {
    return [this.#dial(0, 'start')];
  }

  gateOpen(now: Instant): boolean {
    return !this.#closing && this.#gate.isOpen(now);
  }

  get instanceId(): Identity['instanceId'] {
    return this.#identity.instanceId;
  }

  /** The last look before exec (P3): the permit still stands, nobody has asked for its end, and the gate is open. */
  mayStart(token: Token, now: Instant): boolean {
    return this.#runs.stands(token, this.#terms?.epoch) && this.gateOpen(now);
  }

  step(event: AgentEvent, now: Instant): Effect[] {
    const effects: Effect[] = [];
    if ('streamNo' in event && event.streamNo !== this.#streamNo) return effects;
    if (this.#ended) return effects;
    this.#take(event, now, effects);
    this.#watchGate(now, effects);
    return effects;
  }

  #take(event: AgentEvent, now: Instant, effects: Effect[]): void {
    switch (event.kind) {
      case 'stream_opened':
        return this.#greet(now, effects);
      case 'welcome':
        return this.#welcome(event.welcome, now, effects);
      case 'ack':
        return this.#ack(event.ack, now, effects);
      case 'refused':
        for (const { token, disposition } of event.refused.acknowledgements)
          this.#forget(token, disposition, effects);
        note(effects, { kind: 'refused', ...event.refused });
        effects.push({ kind: 'hang_up', streamNo: this.#streamNo, why: event.refused.reason });
        return this.#lost(now, event.refused.reason, event.refused.delayMs, false, effects);
      case 'reconnect':
        effects.push({ kind: 'hang_up', streamNo: this.#streamNo, why: 'asked to reconnect' });
        return this.#lost(now, 'asked to reconnect', event.delayMs, false, effects);
      case 'farewell':
        return this.#end(effects);
      case 'stream_lost':
        return this.#lost(now, event.why, 0, event.denied, effects);
      case 'tick':
        return this.#tick(now, effects);
      case 'run_ended':
        return this.#runEnded(event.report, effects);
      case 'trigger_fired':
        // P16: what happens behind a closed gate has not happened; it will be waited for again.
        if (this.gateOpen(now)) this.#triggers.fired(event.event);
        return;
      case 'drain':
        return this.#drain(event.timeoutMs, now, effects);
      case 'output':
        this.#outputPending = event.pending;
        return;
    }
  }

  /** When the agent wants a tick; null when nothing waits for time. */
  nextTick(): MonoMs | null {
    const terms = this.#terms;
    let next = this.#drainDeadline;
    // After the goodbye nothing more is sent; only the silence is waited for.
    if (this.#stream === 'open' && terms !== null && !this.#saidGoodbye) {
      next = earliest(next, later(this.#exchange.lastSent, terms.heartbeatMs));
    }
    next = earliest(next, this.#silentAt());
    return this.#wasOpen ? earliest(next, this.#gate.closesAt()) : next;
  }

  /** At the end of a turn: reports first, so that it asks for the slots that they free; one heartbeat if anything is to be said. */
  flush(now: Instant): Effect[] {
    if (this.#stream !== 'open' || this.#terms === null || this.#ended || this.#saidGoodbye) return [];
    const { reports, more } = this.#reports.take(now.mono, this.#terms.heartbeatMs);
    const mayAsk = this.gateOpen(now) && !this.#directive.cordoned && !this.#directive.draining;
    if (mayAsk) this.#asks.ask(() => this.#freeSlots());
    const tick = now.mono >= later(this.#exchange.lastSent, this.#terms.heartbeatMs);
    const asks = this.#asks.take(now.mono, this.#terms.heartbeatMs);
    const events = this.#triggers.take(now.mono, this.#terms.heartbeatMs);
    const says = reports.length > 0 || asks.length > 0 || events.length > 0 || this.#runs.anyStopped;
    if (!tick && !says && !this.#mustSpeak && !this.#sendFull) return this.#goodbye();
    const effects: Effect[] = [this.#beat(reports, asks, events, now)];
    this.#mustSpeak = more || this.#triggers.hasMore(now.mono, this.#terms.heartbeatMs);
    return [...effects, ...this.#goodbye()];
  }

  #beat(
    reports: Report[],
    startRequests: StartRequest[],
    triggerEvents: TriggerEvent[],
    now: Instant,
  ): Effect {
    const beat: Beat = {
      seq: this.#exchange.send(now),
      applied: this.#exchange.applied,
      reports,
      inventoryChanges: this.#runs.takeChanges(),
      inventoryCount: this.inventory.count,
      inventoryHash: this.inventory.hash,
      startRequests,
      freeSlots: this.#freeSlots(),
      rttMs: this.#exchange.rttMs,
      fullInventory: this.#sendFull ? this.inventory.entries() : null,
      triggerEvents,
    };
    this.#sendFull = false;
    return { kind: 'send', streamNo: this.#streamNo, message: { kind: 'heartbeat', beat } };
  }

  /** Slots that an agent in this state may fill: none once its gate is closed for good. */
  #freeSlots(): number {
    if (this.#closing || this.#directive.cordoned || this.#directive.draining) return 0;
    return Math.max(0, this.#identity.slots - this.inventory.occupied());
  }

  // — the stream —

  #dial(afterMs: number, why: string): Effect {
    this.#stream = 'dialing';
    this.#streamNo++;
    return { kind: 'dial', streamNo: this.#streamNo, afterMs, why };
  }

  #greet(now: Instant, effects: Effect[]): void {
    if (this.#stream !== 'dialing') return;
    this.#stream = 'greeting';
    this.#exchange = new Exchange();
    this.#exchange.lastHeard = now.mono;
    this.#exchange.send(now);
    this.#permits.newStream();
    this.#runs.takeChanges();
    const reports = this.#reports.takeForHello(now.mono);
    const hello = {
      identity: this.#identity,
      streamNo: this.#streamNo,
      highestToken: this.#highestToken,
      highestEpoch: this.#highestEpoch,
      inventory: this.inventory.entries(),
      reports,
    };
    effects.push({ kind: 'send', streamNo: this.#streamNo, message: { kind: 'hello', hello } });
  }

  #welcome(welcome: Welcome, now: Instant, effects: Effect[]): void {
    if (this.#stream !== 'greeting') return;
    const isNew = welcome.epoch !== this.#terms?.epoch;
    this.#stream = 'open';
    this.#terms = welcome;
    this.#dialer.connected();
    this.#exchange.lastHeard = now.mono;
    this.#exchange.applied = 1;
    this.#asks.dropOffers();
    if (isNew) this.#gate.shut();
    this.#acknowledged(1, now, effects);
    if (welcome.epoch > this.#highestEpoch) this.#highestEpoch = welcome.epoch;
    note(effects, { kind: 'session', epoch: welcome.epoch, isNew, heartbeatMs: welcome.heartbeatMs });
    effects.push({ kind: 'remember', highestToken: this.#highestToken, highestEpoch: this.#highestEpoch });
    for (const { token, disposition } of welcome.acknowledgements) this.#forget(token, disposition, effects);
    for (const verdict of welcome.verdicts) this.#rule(verdict, effects);
    this.#direct(welcome.directive, now, effects);
    this.#mustSpeak = true;
  }

  #rule(verdict: Verdict, effects: Effect[]): void {
    switch (verdict.kind) {
      case 'keep':
        return;
      case 'stop':
        return this.#runs.stop(verdict.token, verdict.reason, effects);
      case 'recorded':
        return this.inventory.dropToken(verdict.token);
      case 'never_start':
        return this.#asks.close(verdict.nonce);
    }
  }

  #lost(now: Instant, why: string, askedMs: number, denied: boolean, effects: Effect[]): void {
    if (this.#stream === 'down') return;
    const attempt = this.#dialer.attempts + 1;
    if (this.#stream !== 'dialing') note(effects, { kind: 'stream_lost', why, running: this.#runs.size });
    else if (denied || Number.isInteger(Math.log2(attempt)))
      note(effects, { kind: 'unreachable', why, attempt, denied });
    this.#asks.dropOffers();
    this.#triggers.dropAll(effects);
    // A goodbye that was not answered: nothing is held, so nothing depends on it; the lease ends the session.
    if (this.#saidGoodbye || this.#holdsNothing) return this.#end(effects);
    const waitMs = this.#dialer.waitMs(now.mono, this.#terms?.leaseMs ?? null, askedMs, denied);
    effects.push(this.#dial(waitMs, why));
  }

  #end(effects: Effect[]): void {
    this.#stream = 'down';
    this.#ended = true;
    note(effects, { kind: 'drained' });
    effects.push({ kind: 'exit' });
  }

  #tick(now: Instant, effects: Effect[]): void {
    if (this.#drainDeadline !== null && now.mono >= this.#drainDeadline) {
      this.#drainDeadline = null;
      this.#runs.stopAll('drain', effects);
    }
    const silentAt = this.#silentAt();
    if (silentAt === null || now.mono < silentAt) return;
    const mayBeHeard = this.#stream === 'open' && !this.#saidGoodbye;
    if (mayBeHeard && this.#exchange.excuses(silentAt, now.mono, this.#terms)) return;
    effects.push({ kind: 'hang_up', streamNo: this.#streamNo, why: 'silent' });
    this.#lost(now, 'nothing was heard for too long', 0, false, effects);
  }

  /** P4: when a stream on which nothing is heard is given up; null while there is none. */
  #silentAt(): MonoMs | null {
    if (this.#stream === 'greeting') return later(this.#exchange.lastHeard, WELCOME_LIMIT_MS);
    if (this.#stream !== 'open' || this.#terms === null) return null;
    // The goodbye is no heartbeat: it has no number that an answer could name.
    if (this.#saidGoodbye) return later(this.#exchange.lastHeard, 1.5 * this.#terms.heartbeatMs);
    return this.#exchange.silentAt(this.#terms.heartbeatMs);
  }

  // — acknowledgements, in the order of their parts —

  #ack(ack: Ack, now: Instant, effects: Effect[]): void {
    if (this.#stream !== 'open' || this.#terms === null) return;
    this.#exchange.lastHeard = now.mono;
    this.#exchange.applied = Math.max(this.#exchange.applied, ack.number);
    this.#acknowledged(ack.received, now, effects);
    for (const { token, reason } of ack.stops) this.#runs.stop(token, reason, effects);
    for (const { token, reason } of ack.cancellations) this.#runs.stop(token, reason, effects);
    for (const { token, disposition } of ack.acknowledgements) this.#forget(token, disposition, effects);
    for (const permit of ack.permits) {
      this.#see(permit.token);
      this.#permits.take(permit, this.#terms.epoch, this.gateOpen(now), now, effects);
    }
    for (const { nonce } of ack.refusals) this.#asks.close(nonce);
    for (const token of ack.voidTokens)
      this.#sendFull = this.#permits.voidToken(token, now) || this.#sendFull;
    for (const { taskId } of ack.offers) this.#asks.offer(taskId);
    for (const taskId of ack.withdrawals) this.#asks.withdraw(taskId);
    if (ack.directive !== null) this.#direct(ack.directive, now, effects);
    if (ack.sendFullInventory) note(effects, { kind: 'inventory_asked' });
    this.#sendFull ||= ack.sendFullInventory;
    for (const { token } of ack.triggerStarts) this.#see(token);
    this.#triggers.hear(ack, this.#terms.epoch, this.gateOpen(now), now.mono, effects);
    // What takes effect only once applied is told at once, so that the coordinator sees what it did.
    if (ack.permits.length > 0 || ack.triggerStarts.length > 0) this.#mustSpeak = true;
  }

  #see(token: Token): void {
    if (token > this.#highestToken) this.#highestToken = token;
  }

  /** P2: the gate counts from the sending of what is acknowledged, and the guardian with it (P11). */
  #acknowledged(received: number, now: Instant, effects: Effect[]): void {
    const sentAt = this.#exchange.acknowledge(received, now);
    if (sentAt === null || this.#terms === null) return;
    this.#gate.acknowledge(sentAt, this.#terms.gateMs);
    const deadline = this.#gate.endsAt(now);
    if (deadline !== null) effects.push({ kind: 'renew_guardian', deadline });
  }

  #runEnded(report: Report, effects: Effect[]): void {
    this.#runs.end(report.token);
    this.#reports.add(report);
    // Kept beyond the highest token ever seen, for the next process (P18).
    effects.push({ kind: 'remember', highestToken: this.#highestToken, highestEpoch: this.#highestEpoch });
  }

  #forget(token: Token, disposition: string, effects: Effect[]): void {
    this.inventory.dropToken(token);
    if (!this.#reports.forget(token)) return;
    if (disposition !== 'recorded' && disposition !== 'already_recorded') {
      note(effects, { kind: 'late_report', token, disposition });
    }
    effects.push({ kind: 'forget_report', token, disposition });
  }

  #direct(directive: Directive, now: Instant, effects: Effect[]): void {
    this.#directive = directive;
    this.#mustSpeak = true;
    // Said again, too: the operator may have set an earlier deadline.
    if (directive.draining) this.#drain(directive.drainTimeoutMs, now, effects);
  }

  #drain(timeoutMs: number | null, now: Instant, effects: Effect[]): void {
    if (!this.#closing) note(effects, { kind: 'draining', running: this.#runs.size });
    this.#closing = true;
    this.#asks.dropOffers();
    this.#triggers.dropAll(effects);
    this.#mustSpeak = true;
    if (timeoutMs !== null) this.#drainDeadline = earliest(this.#drainDeadline, later(now.mono, timeoutMs));
    if (this.#terms === null && this.#reports.size === 0) this.#end(effects);
  }

  /** Nothing held, the gate closed for good: says goodbye, which ends the session once it is answered. */
  #goodbye(): Effect[] {
    if (!this.#holdsNothing || this.#outputPending) return [];
    this.#saidGoodbye = true;
    const message = { kind: 'goodbye', endsSession: true, reason: 'drained' } as const;
    return [{ kind: 'send', streamNo: this.#streamNo, message }];
  }

  get #holdsNothing(): boolean {
    const hasSaid = this.#reports.size === 0 && this.#triggers.isSettled;
    return this.#closing && this.inventory.count === 0 && hasSaid && this.#runs.size === 0;
  }

  /** Notices the gate's closing and opening. single_run work ends with the gate (P11); the guardian sees to it as well. */
  #watchGate(now: Instant, effects: Effect[]): void {
    const open = this.#gate.isOpen(now);
    if (open === this.#wasOpen) return;
    this.#wasOpen = open;
    if (open) {
      if (this.gateOpen(now)) this.#triggers.startAgain(now.mono, effects);
      return note(effects, { kind: 'gate_open' });
    }
    this.#triggers.stopAll(effects);
    note(effects, { kind: 'gate_closed', running: this.#runs.size });
    this.#runs.stopSingleRuns(effects);
  }
}

function note(effects: Effect[], what: AgentNote): void {
  effects.push({ kind: 'note', note: what });
}
