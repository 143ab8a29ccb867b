import type { Bounds, Off, RuleName } from './rules.js';
import { A, agentAt, C, get, PHASE, S, type State, sessionAt, TASK, type Who } from './state.js';

/** In units of time: the pause between check and start, and the grace of a kill (P2, P11). La is L less one unit. */
const PAUSE = 1;
const GRACE = 1;

/** A step in the making: a copy of the state before, changed in place, and the first promise that it breaks. */
export class Step {
  readonly s: State;
  readonly off: Off;
  readonly bounds: Bounds;
  readonly lease: number;
  /** After how much silence a single_run try is released (P11). */
  readonly release: number;
  readonly gateLimit: number;
  fault: string | null = null;

  constructor(before: State, off: Off, bounds: Bounds) {
    this.s = before.slice();
    this.off = off;
    this.bounds = bounds;
    this.lease = bounds.lease;
    this.release = bounds.lease + GRACE + PAUSE;
    this.gateLimit = this.has('gateBeforeLease') ? bounds.lease - PAUSE : bounds.lease;
  }

  /** Another try from the same state: a new copy each time would be most of the work. */
  again(before: State): this {
    this.s.set(before);
    this.fault = null;
    return this;
  }

  has(rule: RuleName): boolean {
    return !this.off.has(rule);
  }

  must(holds: boolean, rule: string, what: string): void {
    if (!holds) this.fault ??= `${rule}: ${what}`;
  }

  c(field: keyof typeof C): number {
    return get(this.s, C[field]);
  }

  setC(field: keyof typeof C, value: number): void {
    this.s[C[field]] = value;
  }

  session(who: Who, field: keyof typeof S): number {
    return get(this.s, sessionAt(who) + S[field]);
  }

  setSession(who: Who, field: keyof typeof S, value: number): void {
    this.s[sessionAt(who) + S[field]] = value;
  }

  agent(who: Who, field: keyof typeof A): number {
    return get(this.s, agentAt(who) + A[field]);
  }

  setAgent(who: Who, field: keyof typeof A, value: number): void {
    this.s[agentAt(who) + A[field]] = value;
  }

  phase(who: Who, token: number): number {
    return get(this.s, agentAt(who) + A.phase + token - 1);
  }

  setPhase(who: Who, token: number, phase: number): void {
    this.s[agentAt(who) + A.phase + token - 1] = phase;
  }

  gateOpen(who: Who): boolean {
    return this.agent(who, 'gate') < this.gateLimit && this.agent(who, 'closing') === 0;
  }

  isFinal(): boolean {
    return this.c('task') >= TASK.success;
  }

  /** The open token is closed with an outcome of its try (I2). */
  closeToken(): void {
    const token = this.c('open');
    if (token === 0) return;
    this.must((this.c('outcome') & (1 << token)) === 0, 'I2', `token ${token} got a second outcome`);
    this.setC('outcome', this.c('outcome') | (1 << token));
    this.noOpen();
  }

  noOpen(): void {
    for (const field of ['open', 'openBy', 'openEpoch', 'openNonce', 'lost', 'lostAge', 'shown'] as const)
      this.setC(field, 0);
  }

  /** The task's end. Only the newest token may bring it, and only once (I10). */
  finish(state: number, token: number | null): void {
    this.must(!this.isFinal(), 'I10', `a final task was changed by token ${token ?? 'nobody'}`);
    if (token !== null) {
      const newest = this.c('token');
      this.must(
        token === newest,
        'I10',
        `token ${token} decided the task while token ${newest} was permitted`,
      );
    }
    this.closeToken();
    this.setC('task', state);
    this.setC('cancel', 0);
    this.setC('offered', 0);
  }

  /** P12 to P14: the permit was never started; the task is queued again, or what was asked of it is final. */
  voidPermit(): void {
    const token = this.c('open');
    const started = (this.c('started') & (1 << token)) !== 0;
    this.must(!started, 'I2', `token ${token} was started and is recorded as never started`);
    const cancelled = this.c('cancel') !== 0;
    if (cancelled) return this.finish(TASK.cancelled, null);
    this.noOpen();
    this.setC('task', TASK.queued);
  }

  /** P14: the run is over without an outcome of its own. */
  closeAsLost(): void {
    if (this.c('cancel') !== 0) return this.finish(TASK.cancelled, null);
    this.closeToken();
    this.setC('task', TASK.queued);
  }

  /** How many processes of the task are alive. */
  liveRuns(): number {
    let live = 0;
    for (const who of [0, 1] as const) {
      for (let token = 1; token <= this.bounds.permits; token++) {
        const phase = this.phase(who, token);
        if (phase >= PHASE.running && phase <= PHASE.dyingLong) live++;
      }
    }
    return live;
  }
}
