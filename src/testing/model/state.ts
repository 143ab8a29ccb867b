/**
 * One state of the model in a few bytes, so that a million of them fit into memory and each is its own hash key.
 * Process 0 and 1 are the agents; each has a newest stream and, beside it, the one before.
 */
export type State = Uint8Array;
export type Who = 0 | 1;

export const TASK = { queued: 0, running: 1, held: 2, success: 3, cancelled: 4 } as const;

/** Fields of the coordinator. */
export const C = {
  task: 0,
  /** The open token; 0 means none. The fields after it speak of its permit. */
  open: 1,
  openBy: 2,
  openEpoch: 3,
  openNonce: 4,
  lost: 5,
  lostAge: 6,
  cancel: 7,
  /** Newest token and epoch drawn. */
  token: 8,
  epoch: 9,
  /** Whom the task is offered to, plus one. */
  offered: 10,
  /** What the world has seen, a bit for each token: started, and closed with an outcome. */
  started: 11,
  outcome: 12,
  shown: 13,
  /** A permit that was decided and is not committed yet (only without the compare-and-set): whose, plus one. */
  pending: 14,
  pendingEpoch: 15,
  pendingNonce: 16,
  pendingStream: 17,
} as const;

/** Fields of the session that the coordinator keeps for a process. */
export const S = { epoch: 0, live: 1, stream: 2, age: 3, failing: 4 } as const;
const SESSIONS = 18;
const SESSION_SIZE = 5;

/** Fields of an agent's process; `phase` is followed by one field for each token. */
export const A = {
  life: 0,
  stream: 1,
  link: 2,
  epoch: 3,
  gate: 4,
  beat: 5,
  ask: 6,
  asks: 7,
  offer: 8,
  closing: 9,
  voided: 10,
  proof: 11,
  phase: 12,
} as const;
const AGENTS = SESSIONS + 2 * SESSION_SIZE;
const TOKENS = 3;
const AGENT_SIZE = A.phase + TOKENS;

export const LIFE = { unborn: 0, alive: 1, gone: 2, crashed: 3 } as const;
export const LINK = { down: 0, greeting: 1, open: 2 } as const;

/** Where a token stands at its agent. `pausing` is `checked` one unit of time later: it must start before another. */
export const PHASE = {
  none: 0,
  permitted: 1,
  checked: 2,
  pausing: 3,
  running: 4,
  dying: 5,
  dyingLong: 6,
  neverStarted: 7,
  success: 8,
  killed: 9,
  lost: 10,
} as const;

/** No heartbeat waits for its acknowledgement. */
export const NO_BEAT = 15;

const PIPES = AGENTS + 2 * AGENT_SIZE;
const MESSAGE = 5;
const PIPE_LENGTH = 2;
const PIPE_SIZE = MESSAGE * PIPE_LENGTH;
const SIZE = PIPES + 8 * PIPE_SIZE;

/** Up: hello, beat and bye. Down: welcome and ack. */
export const MESSAGES = { hello: 1, beat: 2, bye: 3, welcome: 4, ack: 5 } as const;

export interface Message {
  readonly kind: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

export type Direction = 'up' | 'down';
export type Line = 'newest' | 'older';

export function newState(): State {
  const state = new Uint8Array(SIZE);
  for (const who of [0, 1] as const) state[agentAt(who) + A.beat] = NO_BEAT;
  return state;
}

export function sessionAt(who: Who): number {
  return SESSIONS + who * SESSION_SIZE;
}

export function agentAt(who: Who): number {
  return AGENTS + who * AGENT_SIZE;
}

/** A field that is known to be there. */
export function get(state: State, at: number): number {
  return state[at] as number;
}

function pipeAt(who: Who, line: Line, direction: Direction): number {
  const index = who * 4 + (line === 'older' ? 2 : 0) + (direction === 'down' ? 1 : 0);
  return PIPES + index * PIPE_SIZE;
}

export function isFull(state: State, who: Who, line: Line, direction: Direction): boolean {
  return get(state, pipeAt(who, line, direction) + MESSAGE * (PIPE_LENGTH - 1)) !== 0;
}

export function push(state: State, who: Who, line: Line, direction: Direction, message: Message): void {
  const start = pipeAt(who, line, direction);
  for (let at = start; at < start + PIPE_SIZE; at += MESSAGE) {
    if (state[at] !== 0) continue;
    state.set([message.kind, message.a, message.b, message.c, message.d], at);
    return;
  }
  throw new Error('the model pushed into a full pipe');
}

export function head(state: State, who: Who, line: Line, direction: Direction): Message | null {
  const at = pipeAt(who, line, direction);
  if (state[at] === 0) return null;
  const [kind = 0, a = 0, b = 0, c = 0, d = 0] = state.subarray(at, at + MESSAGE);
  return { kind, a, b, c, d };
}

export function drop(state: State, who: Who, line: Line, direction: Direction): void {
  const at = pipeAt(who, line, direction);
  state.copyWithin(at, at + MESSAGE, at + PIPE_SIZE);
  state.fill(0, at + PIPE_SIZE - MESSAGE, at + PIPE_SIZE);
}

/** A newer stream: the newest becomes the older one, and what the older one carried is lost. */
export function shiftLines(state: State, who: Who): void {
  const newest = pipeAt(who, 'newest', 'up');
  const older = pipeAt(who, 'older', 'up');
  state.copyWithin(older, newest, newest + 2 * PIPE_SIZE);
  state.fill(0, newest, newest + 2 * PIPE_SIZE);
}

export function clear(state: State, who: Who, line: Line, direction: Direction): void {
  const at = pipeAt(who, line, direction);
  state.fill(0, at, at + PIPE_SIZE);
}

/** Whether a permit is on its way down. */
export function tellsPermit(state: State, who: Who): boolean {
  for (const line of ['newest', 'older'] as const) {
    const start = pipeAt(who, line, 'down');
    for (let at = start; at < start + PIPE_SIZE; at += MESSAGE)
      if (state[at] === MESSAGES.ack && state[at + 2] !== 0) return true;
  }
  return false;
}
