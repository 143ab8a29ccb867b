import type { Timer } from '../clock.js';
import type { ChildDeath, HandlerChild } from './child.js';
import type { GateEnd } from './guardian.js';
import type { HandlerPool, Tenant } from './pool.js';
import {
  type ChildWord,
  type HandlerCall,
  type HandlerOutcome,
  isNoisy,
  type StopReason,
} from './protocol.js';
import type { RunPorts } from './run.js';

/**
 * waiting: no child yet; behind: sent to a child that has another run; running: the handler was called; ending: what it
 * left behind is dying with its child; over: `ended` was told.
 */
type Phase = 'waiting' | 'behind' | 'running' | 'ending' | 'over';

/** One run of a handler: the same life as a command's, in a child that may have had others before. */
export class HandlerRun implements Tenant {
  readonly spec: HandlerCall;
  private readonly ports: RunPorts;
  private readonly pool: HandlerPool;
  private phase: Phase = 'waiting';
  private child: HandlerChild | null = null;
  /** Of its order to the child. */
  private number = 0;
  private startedAtMs: number | null = null;
  private outcome: HandlerOutcome | null = null;
  private stopReason: StopReason | null = null;
  private isAbandoned = false;
  private timedOut = false;
  private killAtMs = Number.POSITIVE_INFINITY;
  private limit: Timer | null = null;
  private kill: Timer | null = null;

  constructor(spec: HandlerCall, ports: RunPorts, pool: HandlerPool) {
    this.spec = spec;
    this.ports = ports;
    this.pool = pool;
  }

  get handler(): string {
    return this.spec.handler;
  }

  get isExclusive(): boolean {
    return this.spec.exclusive;
  }

  start(): void {
    this.pool.acquire(this);
  }

  /** Whether the gate, as far as the guardian knows it, allows this run to start. */
  mayStart(): boolean {
    const gate = this.ports.guardian.gate();
    return gate === 'open' || (gate === 'untold' && !this.spec.singleRun);
  }

  /** Calls the handler, unless the gate has closed since the permit was looked at: the last look before the call (P3). */
  housed(child: HandlerChild): boolean {
    if (!this.looks()) return false;
    this.child = child;
    this.number = child.call(this.spec, null);
    this.begins();
    return true;
  }

  /** The child takes the last look itself: by `startBy`, which is never later than the gate's end. */
  sent(child: HandlerChild, startBy: GateEnd): boolean {
    if (!this.looks()) return false;
    this.child = child;
    this.number = child.call(this.spec, startBy);
    this.phase = 'behind';
    return true;
  }

  private looks(): boolean {
    if (this.mayStart()) return true;
    this.stopReason ??= 'gate';
    this.end();
    return false;
  }

  begins(): void {
    const { child } = this;
    if (child === null) return;
    this.phase = 'running';
    this.startedAtMs = this.ports.clock.wallMs();
    child.output.begin(this.spec.runId);
    // Told to stop while it was behind another, and too late to be left.
    if (this.stopReason !== null) this.killAt();
    const { timeoutMs, killGraceMs } = this.spec;
    if (timeoutMs === undefined) return;
    this.limit = this.ports.clock.setTimer(timeoutMs, () => {
      this.timedOut = this.stopReason === null;
      this.stop('timeout', killGraceMs);
    });
  }

  isNumber(number: number): boolean {
    return this.number === number;
  }

  takenBack(): boolean {
    if (this.phase === 'running') this.child?.output.end();
    this.limit?.cancel();
    this.kill?.cancel();
    this.child = null;
    this.startedAtMs = null;
    this.phase = 'waiting';
    if (this.stopReason === null && !this.isAbandoned) return true;
    this.end();
    return false;
  }

  homeless(text: string): void {
    this.phase = 'over';
    this.ports.send({ kind: 'startFailed', runId: this.spec.runId, code: 'SPAWN', text });
    this.ports.over(this.spec.runId);
  }

  /** A call that is behind another begins within milliseconds, or is taken back. */
  abandon(): void {
    this.isAbandoned = true;
    if (this.phase === 'waiting') this.neverCalled();
  }

  /** Aborts the handler's signal, and kills its child after `graceMs`. A second stop can only bring that forward. */
  stop(reason: StopReason, graceMs: number): void {
    if (this.phase === 'ending' || this.phase === 'over') return;
    const first = this.stopReason === null;
    if (first) this.stopReason = reason;
    if (this.phase === 'waiting') return this.neverCalled();
    if (first) this.child?.tell({ kind: 'stop', number: this.number, reason });
    const killAtMs = this.ports.clock.monoMs() + graceMs;
    if (killAtMs >= this.killAtMs) return;
    this.killAtMs = killAtMs;
    if (this.phase === 'running') this.killAt();
  }

  private killAt(): void {
    this.kill?.cancel();
    const leftMs = Math.max(0, this.killAtMs - this.ports.clock.monoMs());
    this.kill = this.ports.clock.setTimer(leftMs, () => this.killNow());
  }

  killNow(): void {
    this.isAbandoned = true;
    if (this.phase === 'waiting') return this.neverCalled();
    this.child?.kill();
  }

  taken(bytes: number): void {
    if (this.phase === 'running') this.child?.output.taken(bytes);
  }

  word(word: ChildWord): void {
    if (this.phase !== 'running') return;
    if (word.kind === 'said') {
      const { fraction, message } = word;
      this.ports.send({ kind: 'progress', runId: this.spec.runId, fraction, message });
    } else if (word.kind === 'done') this.done(word);
  }

  /** The child died before the handler ended, or with what the handler left behind. */
  bereaved(death: ChildDeath): void {
    if (this.phase === 'over') return;
    if (this.phase === 'running') {
      const reason = death.outOfMemory ? 'handler_out_of_memory' : 'handler_exited';
      this.outcome = { kind: 'failed', reason, message: death.how, final: false };
    }
    this.end();
  }

  private neverCalled(): void {
    this.pool.leave(this);
    this.end();
  }

  /** The handler's own word. Where nothing may go on after it, the end is told once the child is dead. */
  private done(word: Extract<ChildWord, { kind: 'done' }>): void {
    const { child } = this;
    if (child === null) return;
    this.outcome = word.outcome;
    const clean = !this.spec.exclusive || (word.outcome.kind !== 'failed' && this.stopReason === null);
    if (word.stopped || !clean || word.spawned) {
      this.phase = 'ending';
      return this.pool.retire(child);
    }
    if (isNoisy(word)) child.output.endWritten();
    else child.output.end();
    this.end();
    this.pool.release(child);
  }

  private end(): void {
    this.phase = 'over';
    this.limit?.cancel();
    this.kill?.cancel();
    this.ports.send({
      kind: 'ended',
      runId: this.spec.runId,
      executed: this.startedAtMs !== null,
      startedAtMs: this.startedAtMs,
      endedAtMs: this.ports.clock.wallMs(),
      exitCode: 0,
      signal: null,
      stopReason: this.stopReason,
      timedOut: this.timedOut,
      outOfMemory: null,
      outcome: this.outcome,
      outputTruncated: false,
    });
    this.ports.over(this.spec.runId);
  }
}
