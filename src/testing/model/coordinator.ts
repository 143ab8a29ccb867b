import {
  clear,
  drop,
  head,
  isFull,
  LIFE,
  type Line,
  MESSAGES,
  type Message,
  PHASE,
  push,
  TASK,
  type Who,
} from './state.js';
import type { Step } from './step.js';

/** An acknowledgement in the making; see the ack of the protocol. */
interface Ack {
  beat: boolean;
  refused: boolean;
  offer: boolean;
  voided: number;
  permit: number;
  stops: number;
  acknowledged: number;
}

const other = (who: Who): Who => (who === 0 ? 1 : 0);
const empty = (): Ack => ({
  beat: false,
  refused: false,
  offer: false,
  voided: 0,
  permit: 0,
  stops: 0,
  acknowledged: 0,
});

function say(t: Step, who: Who, line: Line, ack: Ack): void {
  const flags = (ack.beat ? 1 : 0) | (ack.refused ? 2 : 0) | (ack.offer ? 4 : 0) | (ack.voided << 4);
  const isTold = ack.permit !== 0;
  push(t.s, who, line, 'down', {
    kind: MESSAGES.ack,
    a: flags,
    b: isTold ? ack.permit | (t.c('openNonce') << 4) : 0,
    c: (isTold ? t.c('openEpoch') : 0) | (ack.stops << 4),
    d: ack.acknowledged,
  });
}

/** Where the session's own stream is: the agent may have opened a newer one that was not heard of yet. */
function lineOf(t: Step, who: Who, stream = t.session(who, 'stream')): Line {
  return stream === t.agent(who, 'stream') ? 'newest' : 'older';
}

function phasesOf(message: Message): number[] {
  return [0, message.c & 15, message.c >> 4, message.d];
}

/** The next message up is taken in: false when nothing can be said in return now, or nothing has arrived. */
export function hear(t: Step, who: Who, line: Line): boolean {
  const message = head(t.s, who, line, 'up');
  if (message === null || isFull(t.s, who, line, 'down')) return false;
  drop(t.s, who, line, 'up');
  switch (message.kind) {
    case MESSAGES.hello:
      hello(t, who, line, message);
      break;
    case MESSAGES.beat:
      beat(t, who, line, message);
      break;
    default:
      goodbye(t, who, line);
  }
  return true;
}

/** P5. */
function hello(t: Step, who: Who, line: Line, message: Message): void {
  const rival = other(who);
  const isOld = message.a <= t.session(who, 'stream');
  if (isOld) return;
  const proven = t.agent(who, 'proof') !== 0;
  if (t.bounds.sameAgent && t.session(rival, 'live') !== 0) {
    if (proven) endSession(t, rival);
    else if (t.has('takeoverFailsNobody')) return;
    else fail(t, rival);
  }
  if (t.session(who, 'live') === 0) {
    const returns = t.session(who, 'epoch') !== 0 && !t.has('newEpoch');
    if (!returns) {
      if (t.c('epoch') === t.bounds.epochs) return;
      t.setC('epoch', t.c('epoch') + 1);
      t.setSession(who, 'epoch', t.c('epoch'));
    }
    t.setSession(who, 'live', 1);
  }
  t.setSession(who, 'stream', message.a);
  t.setSession(who, 'age', 0);
  // P5: what is still on its way on the older stream will be ignored.
  if (line === 'newest') clear(t.s, who, 'older', 'up');
  if (t.c('offered') === who + 1) t.setC('offered', 0);
  const ruled = judgeInventory(t, who, message, proven);
  push(t.s, who, line, 'down', {
    kind: MESSAGES.welcome,
    a: t.session(who, 'epoch'),
    b: ruled.asked,
    c: ruled.stops,
    d: ruled.acknowledged,
  });
  if (ruled.asked === 1) say(t, who, line, { ...empty(), permit: t.c('open') });
}

interface Ruling {
  stops: number;
  acknowledged: number;
  /** 0 nothing was asked, 1 keep, 2 never start. */
  asked: number;
}

/** Finished results first, then runs and requests, then what is missing (P10, P13). */
export function judgeInventory(t: Step, who: Who, message: Message, proven: boolean): Ruling {
  const phases = phasesOf(message);
  const ruling: Ruling = { stops: 0, acknowledged: judgeReports(t, who, phases), asked: 0 };
  for (let token = 1; token <= t.bounds.permits; token++) {
    const phase = phases[token] as number;
    if (phase === PHASE.none || phase >= PHASE.neverStarted) continue;
    if (t.c('open') === token) adopt(t, who);
    if (t.c('open') !== token || t.c('cancel') !== 0) ruling.stops |= 1 << (token - 1);
  }
  const asked = message.b;
  if (asked !== 0) {
    const mine = t.c('open') !== 0 && t.c('openBy') === who && t.c('openNonce') === asked;
    const stands = mine && t.c('openEpoch') === t.session(who, 'epoch') && t.c('lost') === 0;
    ruling.asked = stands && t.c('cancel') === 0 ? 1 : 2;
    if (mine && ruling.asked === 2) t.voidPermit();
  }
  closeMissing(t, who, phases, asked, proven);
  return ruling;
}

function closeMissing(t: Step, who: Who, phases: number[], asked: number, proven: boolean): void {
  const open = t.c('open');
  if (open === 0 || phases[open] !== PHASE.none) return;
  const mine = t.c('openBy') === who;
  if (!mine && !(proven && t.bounds.sameAgent)) return;
  if (mine && asked !== 0 && t.c('openNonce') === asked) return;
  if (t.c('shown') !== 0) t.closeAsLost();
  else t.voidPermit();
}

/** P10: a returning agent gets its run back, into its new session. */
function adopt(t: Step, who: Who): void {
  const closed = (t.c('outcome') & (1 << t.c('open'))) !== 0;
  t.must(!closed, 'I2', `token ${t.c('open')} has its outcome and is adopted`);
  t.setC('openEpoch', t.session(who, 'epoch'));
  t.setC('openBy', who);
  t.setC('lost', 0);
  t.setC('lostAge', 0);
  t.setC('shown', 1);
  t.setC('task', TASK.running);
  t.setC('offered', 0);
}

/** P10: recorded if the token is open, else refused as stale; acknowledged in either case. */
function judgeReports(t: Step, who: Who, phases: number[]): number {
  let acknowledged = 0;
  for (let token = 1; token <= t.bounds.permits; token++) {
    const phase = phases[token] as number;
    if (phase < PHASE.neverStarted) continue;
    acknowledged |= 1 << (token - 1);
    const mine = t.c('openBy') === who || t.bounds.sameAgent;
    const open = t.c('open') === token && mine;
    if (!open && (t.has('tokenCloses') || phase !== PHASE.success)) continue;
    if (phase === PHASE.success) t.finish(TASK.success, token);
    else if (phase === PHASE.neverStarted) t.voidPermit();
    else t.closeAsLost();
  }
  return acknowledged;
}

function beat(t: Step, who: Who, line: Line, message: Message): void {
  if (line !== lineOf(t, who)) return;
  if (t.session(who, 'live') === 0) {
    // FAILED ends a session: without that rule the agent just comes back to life.
    if (t.has('newEpoch') || t.session(who, 'epoch') === 0) return;
    t.setSession(who, 'live', 1);
  }
  t.setSession(who, 'age', 0);
  const phases = phasesOf(message);
  const ack = { ...empty(), beat: true, acknowledged: judgeReports(t, who, phases) };
  for (let token = 1; token <= t.bounds.permits; token++) {
    const phase = phases[token] as number;
    if (phase === PHASE.none || phase >= PHASE.neverStarted) continue;
    if (t.c('open') === token && t.c('lost') !== 0) adopt(t, who);
    if (t.c('open') === token) t.setC('shown', 1);
    else ack.stops |= 1 << (token - 1);
  }
  if (message.b !== 0) ask(t, who, message.b, ack);
  say(t, who, line, ack);
}

/** The start request: the same question gets the same answer. */
function ask(t: Step, who: Who, nonce: number, ack: Ack): void {
  const mine = t.c('open') !== 0 && t.c('openBy') === who && t.c('openNonce') === nonce;
  if (mine && t.c('openEpoch') === t.session(who, 'epoch') && t.c('lost') === 0) {
    ack.permit = t.c('open');
    return;
  }
  const may = t.c('task') === TASK.queued && t.c('offered') === who + 1 && t.c('token') < t.bounds.permits;
  if (mine || !may) {
    ack.refused = true;
    return;
  }
  if (t.has('permitCompareAndSet')) {
    permit(t, who, t.session(who, 'epoch'), nonce);
    ack.permit = t.c('open');
    return;
  }
  t.setC('pending', who + 1);
  t.setC('pendingEpoch', t.session(who, 'epoch'));
  t.setC('pendingNonce', nonce);
  t.setC('pendingStream', t.session(who, 'stream'));
}

/** Queued → running: the token is drawn, and the released one of a lost try closed (P10, P11). */
export function permit(t: Step, who: Who, epoch: number, nonce: number): void {
  const released = t.c('open') === 0 || (t.c('lost') !== 0 && t.c('task') === TASK.queued);
  t.must(released, 'I1', `a permit was given while token ${t.c('open')} was not released`);
  t.closeToken();
  const token = t.c('token') + 1;
  t.must(t.c('started') >> token === 0, 'I1', `token ${token} was used before`);
  t.setC('token', token);
  t.setC('open', token);
  t.setC('openBy', who);
  t.setC('openEpoch', epoch);
  t.setC('openNonce', nonce);
  t.setC('task', TASK.running);
  t.setC('offered', 0);
}

/** Without the compare-and-set a permit is committed whatever has become of its session. */
export function commitPermit(t: Step): boolean {
  const pending = t.c('pending');
  if (pending === 0) return false;
  const who = (pending - 1) as Who;
  const line = lineOf(t, who, t.c('pendingStream'));
  if (t.c('task') === TASK.queued) {
    if (isFull(t.s, who, line, 'down')) return false;
    permit(t, who, t.c('pendingEpoch'), t.c('pendingNonce'));
    say(t, who, line, { ...empty(), permit: t.c('open') });
  }
  for (const field of ['pending', 'pendingEpoch', 'pendingNonce', 'pendingStream'] as const) t.setC(field, 0);
  return true;
}

function goodbye(t: Step, who: Who, line: Line): void {
  if (line !== lineOf(t, who) || t.session(who, 'live') === 0) return;
  endSession(t, who);
  if (t.c('open') !== 0 && t.c('openBy') === who && t.c('lost') === 0) t.voidPermit();
}

function endSession(t: Step, who: Who): void {
  t.setSession(who, 'live', 0);
  t.setSession(who, 'age', 0);
  t.setSession(who, 'failing', 0);
  if (t.c('offered') === who + 1) t.setC('offered', 0);
}

// — what time brings —

/** P1: the lease is over. In one step, unless heartbeats are acknowledged between the decision and its commit. */
export function expire(t: Step, who: Who): boolean {
  if (t.session(who, 'live') === 0) return false;
  const isDecided = t.session(who, 'failing') !== 0;
  if (!isDecided && t.session(who, 'age') < t.lease) return false;
  if (!isDecided && !t.has('noAckAfterDecision')) t.setSession(who, 'failing', 1);
  else fail(t, who);
  return true;
}

/** FAILED: what the session holds is lost, and queued again when P11 lets it. */
export function fail(t: Step, who: Who): void {
  const age = t.session(who, 'age');
  endSession(t, who);
  const holds = t.c('open') !== 0 && t.c('openBy') === who && t.c('lost') === 0;
  if (!holds) return;
  t.setC('lost', 1);
  t.setC('task', TASK.held);
  if (t.bounds.policy === 'single_run' && t.has('releaseFirst')) t.setC('lostAge', age);
  else requeue(t);
}

/** P11. */
export function release(t: Step): boolean {
  if (t.c('task') !== TASK.held || t.c('lostAge') < t.release) return false;
  requeue(t);
  return true;
}

function requeue(t: Step): void {
  t.setC('lostAge', 0);
  if (t.c('cancel') !== 0) t.finish(TASK.cancelled, null);
  else t.setC('task', TASK.queued);
}

// — what the coordinator says of its own accord —

/** The current stream of a live session, if all that was said on it has arrived: to say more earlier shows nothing new. */
function lineFor(t: Step, who: Who): Line | null {
  if (t.session(who, 'live') === 0 || t.agent(who, 'life') !== LIFE.alive) return null;
  const line = lineOf(t, who);
  return head(t.s, who, line, 'down') === null ? line : null;
}

export function offer(t: Step, who: Who): boolean {
  const line = lineFor(t, who);
  const mayBe = t.c('task') === TASK.queued && t.c('offered') === 0 && t.c('token') < t.bounds.permits;
  if (line === null || !mayBe) return false;
  t.setC('offered', who + 1);
  say(t, who, line, { ...empty(), offer: true });
  return true;
}

/** Unanswered offers end; whoever asks afterwards is refused. */
export function lapse(t: Step): boolean {
  if (t.c('offered') === 0) return false;
  t.setC('offered', 0);
  return true;
}

/** P13: told again, asked to be void, or (without the rule) simply ended. */
export function pressPermit(t: Step, how: 'again' | 'void' | 'end'): boolean {
  if (t.c('open') === 0 || t.c('lost') !== 0 || t.c('shown') !== 0) return false;
  const who = t.c('openBy') as Who;
  if (how === 'end') {
    if (t.has('noTimedEnd')) return false;
    t.voidPermit();
    return true;
  }
  const line = lineFor(t, who);
  if (line === null) return false;
  const open = t.c('open');
  say(t, who, line, how === 'again' ? { ...empty(), permit: open } : { ...empty(), voided: open });
  return true;
}

/** P15. */
export function cancel(t: Step): boolean {
  if (!t.bounds.cancel || t.isFinal() || t.c('cancel') !== 0) return false;
  const waits = t.c('open') !== 0 && (t.c('lost') === 0 || t.c('task') === TASK.held);
  if (!waits || !t.has('cancelAsks')) {
    t.finish(TASK.cancelled, null);
    return true;
  }
  t.setC('cancel', 1);
  const who = t.c('openBy') as Who;
  // Asked again by the next Welcome where it cannot be said now.
  const line = lineFor(t, who);
  if (line !== null) say(t, who, line, { ...empty(), stops: 1 << (t.c('open') - 1) });
  return true;
}
