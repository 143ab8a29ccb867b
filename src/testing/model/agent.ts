import {
  clear,
  drop,
  head,
  isFull,
  LIFE,
  LINK,
  type Line,
  MESSAGES,
  type Message,
  NO_BEAT,
  PHASE,
  push,
  shiftLines,
  TASK,
  type Who,
} from './state.js';
import type { Step } from './step.js';

function tokensOf(t: Step): number[] {
  return Array.from({ length: t.bounds.permits }, (_, i) => i + 1);
}

/** Between the last look and the start a process does nothing else, but time may pass (P2's d). */
function isBusy(t: Step, who: Who): boolean {
  return tokensOf(t).some((token) => {
    const phase = t.phase(who, token);
    return phase === PHASE.checked || phase === PHASE.pausing;
  });
}

function isFree(t: Step, who: Who): boolean {
  return t.agent(who, 'life') === LIFE.alive && !isBusy(t, who);
}

/** What a Hello or heartbeat shows: the nonce asked, and where each token stands. */
function inventory(t: Step, who: Who): Pick<Message, 'b' | 'c' | 'd'> {
  return {
    b: t.agent(who, 'ask'),
    c: t.phase(who, 1) | (t.phase(who, 2) << 4),
    d: t.phase(who, 3),
  };
}

/** P9: another stream, whatever became of the one before; its messages may still arrive. */
export function dial(t: Step, who: Who): boolean {
  const streams = t.bounds.streams[who];
  if (!isFree(t, who) || t.agent(who, 'stream') >= streams) return false;
  shiftLines(t.s, who);
  // What an older stream brings is dropped unread: as if it had never come.
  if (t.has('agentChecksPermit')) clear(t.s, who, 'older', 'down');
  t.setAgent(who, 'stream', t.agent(who, 'stream') + 1);
  t.setAgent(who, 'link', LINK.greeting);
  t.setAgent(who, 'offer', 0);
  t.setAgent(who, 'voided', 0);
  t.setAgent(who, 'beat', 0);
  push(t.s, who, 'newest', 'up', {
    kind: MESSAGES.hello,
    a: t.agent(who, 'stream'),
    ...inventory(t, who),
  });
  return true;
}

/** One heartbeat waits for its acknowledgement at a time; it asks for what was offered, if the gate is open (P3). */
export function sendBeat(t: Step, who: Who): boolean {
  if (!isFree(t, who) || t.agent(who, 'link') !== LINK.open) return false;
  if (t.agent(who, 'beat') !== NO_BEAT || isFull(t.s, who, 'newest', 'up')) return false;
  const holds = tokensOf(t).some((token) => t.phase(who, token) !== PHASE.none);
  const asks = t.agent(who, 'offer') !== 0 && t.agent(who, 'ask') === 0 && !holds;
  if (asks && t.gateOpen(who) && t.agent(who, 'asks') < t.bounds.asks) {
    t.setAgent(who, 'asks', t.agent(who, 'asks') + 1);
    t.setAgent(who, 'ask', t.agent(who, 'asks'));
    t.setAgent(who, 'offer', 0);
  }
  t.setAgent(who, 'beat', 0);
  push(t.s, who, 'newest', 'up', { kind: MESSAGES.beat, a: 0, ...inventory(t, who) });
  return true;
}

export function listen(t: Step, who: Who, line: Line): boolean {
  const message = head(t.s, who, line, 'down');
  if (message === null || !isFree(t, who)) return false;
  drop(t.s, who, line, 'down');
  if (message.kind === MESSAGES.welcome) {
    if (line === 'newest' && t.agent(who, 'link') === LINK.greeting) welcome(t, who, message);
  } else if (line === 'older' || t.agent(who, 'link') === LINK.open) acknowledgement(t, who, line, message);
  return true;
}

/** P2: from the sending, not from the receipt. */
function acknowledged(t: Step, who: Who): void {
  const sent = t.agent(who, 'beat');
  if (sent === NO_BEAT) return;
  const age = t.has('gateFromSend') ? Math.min(sent, t.agent(who, 'gate')) : 0;
  t.setAgent(who, 'gate', age);
  t.setAgent(who, 'beat', NO_BEAT);
}

function welcome(t: Step, who: Who, message: Message): void {
  t.setAgent(who, 'link', LINK.open);
  if (t.agent(who, 'epoch') !== message.a) t.setAgent(who, 'gate', t.gateLimit);
  t.setAgent(who, 'epoch', message.a);
  acknowledged(t, who);
  forget(t, who, message.d);
  stop(t, who, message.c);
  if (message.b === 2) t.setAgent(who, 'ask', 0);
}

/** In the order of the parts: stops, acknowledgements, permits, refusals, voids, offers. */
function acknowledgement(t: Step, who: Who, line: Line, message: Message): void {
  if (line === 'newest' && (message.a & 1) !== 0) acknowledged(t, who);
  stop(t, who, message.c >> 4);
  forget(t, who, message.d);
  if (message.b !== 0) takePermit(t, who, message);
  if (line === 'older') return;
  if ((message.a & 2) !== 0) t.setAgent(who, 'ask', 0);
  const voided = message.a >> 4;
  if (voided !== 0 && t.phase(who, voided) === PHASE.none) {
    t.setAgent(who, 'voided', t.agent(who, 'voided') | (1 << voided));
    t.setPhase(who, voided, PHASE.neverStarted);
  }
  const mayAsk = t.agent(who, 'asks') < t.bounds.asks && t.agent(who, 'closing') === 0;
  if ((message.a & 4) !== 0 && mayAsk) t.setAgent(who, 'offer', 1);
}

function forget(t: Step, who: Who, tokens: number): void {
  for (const token of tokensOf(t)) {
    if ((tokens & (1 << (token - 1))) !== 0 && t.phase(who, token) >= PHASE.neverStarted)
      t.setPhase(who, token, PHASE.none);
  }
}

/** What was not started yet never will be; what runs is ended. */
function stop(t: Step, who: Who, tokens: number): void {
  for (const token of tokensOf(t)) {
    if ((tokens & (1 << (token - 1))) === 0) continue;
    if (t.phase(who, token) === PHASE.permitted) t.setPhase(who, token, PHASE.neverStarted);
    if (t.phase(who, token) === PHASE.running) t.setPhase(who, token, PHASE.dying);
  }
}

/** Starts only on a permit of this session, asked for, with the gate open; anything else is void. */
function takePermit(t: Step, who: Who, message: Message): void {
  const token = message.b & 15;
  const nonce = message.b >> 4;
  const isHeld = t.phase(who, token) !== PHASE.none;
  if (isHeld && t.has('permitOnce')) return;
  const fits = (message.c & 15) === t.agent(who, 'epoch') && nonce === t.agent(who, 'ask');
  const voided = (t.agent(who, 'voided') & (1 << token)) !== 0;
  const mine = isHeld || !t.has('agentChecksPermit') || (fits && !voided);
  if (nonce === t.agent(who, 'ask')) t.setAgent(who, 'ask', 0);
  t.setPhase(who, token, mine && t.gateOpen(who) ? PHASE.permitted : PHASE.neverStarted);
}

/** P3: the last look before the start. */
export function look(t: Step, who: Who, token: number): boolean {
  if (!isFree(t, who) || t.phase(who, token) !== PHASE.permitted) return false;
  t.setPhase(who, token, t.gateOpen(who) ? PHASE.checked : PHASE.neverStarted);
  return true;
}

export function start(t: Step, who: Who, token: number): boolean {
  const phase = t.phase(who, token);
  if (phase !== PHASE.checked && phase !== PHASE.pausing) return false;
  startRun(t, who, token);
  return true;
}

/** The start itself: what the invariants are about. */
export function startRun(t: Step, who: Who, token: number): void {
  const bit = 1 << token;
  t.must((t.c('started') & bit) === 0, 'K2', `token ${token} is started twice`);
  t.setC('started', t.c('started') | bit);
  const stands = t.c('task') === TASK.running && t.c('open') === token && t.c('lost') === 0;
  t.must(stands, 'I3', `token ${token} is started after it was failed, cancelled or reassigned`);
  const own = t.c('openEpoch') === t.agent(who, 'epoch');
  t.must(!stands || own, 'I3', `token ${token} is started in a session that it does not belong to`);
  t.setPhase(who, token, PHASE.running);
  // The guardian stands beside it from the first moment (P11).
  if (t.bounds.policy === 'single_run' && !t.gateOpen(who)) t.setPhase(who, token, PHASE.dying);
  const isAlone = t.bounds.policy === 'reassign' || t.liveRuns() === 1;
  t.must(isAlone, 'I7', `token ${token} is started while another run of the task is alive`);
}

/** A run ends by itself, or its group is reaped after a stop. */
export function end(t: Step, who: Who, token: number, how: 'success' | 'killed'): boolean {
  if (t.agent(who, 'life') !== LIFE.alive) return false;
  const phase = t.phase(who, token);
  const isStopped = phase === PHASE.dying || phase === PHASE.dyingLong;
  if (how === 'success' ? phase !== PHASE.running : !isStopped) return false;
  t.setPhase(who, token, PHASE[how]);
  return true;
}

/** P6: the gate closes for good. */
export function drain(t: Step, who: Who): boolean {
  if (!t.bounds.drain || who !== 0 || !isFree(t, who) || t.agent(who, 'closing') !== 0) return false;
  t.setAgent(who, 'closing', 1);
  t.setAgent(who, 'offer', 0);
  return true;
}

/** Nothing held, nothing asked, and nothing will ever be started. */
export function sayGoodbye(t: Step, who: Who): boolean {
  if (t.agent(who, 'closing') === 0 || t.agent(who, 'link') !== LINK.open || !isFree(t, who)) return false;
  const holds = tokensOf(t).some((token) => t.phase(who, token) !== PHASE.none) || t.agent(who, 'ask') !== 0;
  if (holds || isFull(t.s, who, 'newest', 'up')) return false;
  push(t.s, who, 'newest', 'up', { kind: MESSAGES.bye, a: 0, b: 0, c: 0, d: 0 });
  t.setAgent(who, 'life', LIFE.gone);
  return true;
}

/** kill -9: its runs die with it; what the journal says is left for the next instance. */
export function crash(t: Step, who: Who): boolean {
  if (!t.bounds.crash || who !== 0 || t.agent(who, 'life') !== LIFE.alive) return false;
  t.setAgent(who, 'life', LIFE.crashed);
  for (const token of tokensOf(t)) {
    const phase = t.phase(who, token);
    if (phase === PHASE.permitted) t.setPhase(who, token, PHASE.none);
    else if (phase !== PHASE.none && phase < PHASE.neverStarted) t.setPhase(who, token, PHASE.lost);
  }
  for (const line of ['newest', 'older'] as const) clear(t.s, who, line, 'down');
  return true;
}

/** Another instance under the same name; it can prove its predecessor's death only if that is dead. */
export function startInstance(t: Step, who: Who): boolean {
  if (t.agent(who, 'life') !== LIFE.unborn) return false;
  t.setAgent(who, 'life', LIFE.alive);
  t.setAgent(who, 'gate', t.gateLimit);
  if (t.agent(0, 'life') !== LIFE.crashed) return true;
  t.setAgent(who, 'proof', 1);
  for (const token of tokensOf(t)) {
    t.setPhase(who, token, t.phase(0, token));
    t.setPhase(0, token, PHASE.none);
  }
  return true;
}
