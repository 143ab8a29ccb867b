import type { Timer } from '../clock.js';
import type { ChildDeath, HandlerChild } from './child.js';
import type { HandlerPool, Tenant } from './pool.js';
import type { ChildWord, HandlerCall, HandlerOutcome, StopReason } from './protocol.js';
import type { RunPorts } from './run.js';

/**
 * waiting: no child yet; held: the child waits for `go`; running: the handler was called; ending: what it left behind is
 * dying with its child; over: `ended` was told.
 */
type Phase = 'waiting' | 'held' | 'running' | 'ending' | 'over';

/** One run of a handler: the same life as a command's, in a child that may have had others before. */
export class HandlerRun implements Tenant {
  readonly spec: HandlerCall;
  private readonly ports: RunPorts;
  private readonly pool: HandlerPool;
  private phase: Phase = 'waiting';
  private child: HandlerChild | null = null;
  private executed = false;
  private outcome: HandlerOutcome | null = null;
  private stopReason: StopReason | null = null;
  private timedOut = false;
  private killAtMs = Number.POSITIVE_INFINITY;
  private readonly timers: { limit?: Timer; kill?: Timer } = {};

  constructor(spec: HandlerCall, ports: RunPorts, pool: HandlerPool) {
    this.spec = spec;
    this.ports = ports;
    this.pool = pool;
  }

  start(): void {
    this.pool.acquire(this);
  }

  /** Whether the gate, as far as the guardian knows it, allows this run to start. */
  mayStart(): boolean {
    const gate = this.ports.guardian.gate();
    return gate === 'open' || (gate === 'untold' && !this.spec.singleRun);
  }

  housed(child: HandlerChild): void {
    this.child = child;
    this.phase = 'held';
    this.ports.send({ kind: 'started', runId: this.spec.runId, pid: child.pgid, pgid: child.pgid });
  }

  homeless(text: string): void {
    this.phase = 'over';
    this.ports.send({ kind: 'startFailed', runId: this.spec.runId, code: 'SPAWN', text });
    this.ports.over(this.spec.runId);
  }

  /** Calls the handler, unless the gate has closed since the permit was looked at: the last look before exec (P3). */
  go(): void {
    const { child } = this;
    if (this.phase !== 'held' || child === null) return;
    if (!this.mayStart()) return this.stop('gate', 0);
    this.phase = 'running';
    this.executed = true;
    child.calls++;
    child.output.begin(this.spec.runId);
    child.tell({ kind: 'call', call: this.spec });
    const { timeoutMs, killGraceMs } = this.spec;
    if (timeoutMs === undefined) return;
    this.timers.limit = this.ports.clock.setTimer(timeoutMs, () => {
      this.timedOut = this.stopReason === null;
      this.stop('timeout', killGraceMs);
    });
  }

  abandon(): void {
    if (this.phase === 'held') this.neverCalled();
  }

  /** Aborts the handler's signal, and kills its child after `graceMs`. A second stop can only bring that forward. */
  stop(reason: StopReason, graceMs: number): void {
    if (this.phase === 'ending' || this.phase === 'over') return;
    const first = this.stopReason === null;
    if (first) this.stopReason = reason;
    if (this.phase !== 'running') return this.neverCalled();
    if (first) this.child?.tell({ kind: 'stop', reason });
    const killAtMs = this.ports.clock.monoMs() + graceMs;
    if (killAtMs >= this.killAtMs) return;
    this.killAtMs = killAtMs;
    this.timers.kill?.cancel();
    this.timers.kill = this.ports.clock.setTimer(graceMs, () => this.killNow());
  }

  killNow(): void {
    if (this.phase === 'waiting' || this.phase === 'held') return this.neverCalled();
    this.child?.kill();
  }

  taken(bytes: number): void {
    this.child?.output.taken(bytes);
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
    if (this.phase === 'waiting' || this.phase === 'over') return;
    if (this.phase === 'running') {
      const reason = death.outOfMemory ? 'handler_out_of_memory' : 'handler_exited';
      this.outcome = { kind: 'failed', reason, message: death.how, final: false };
    }
    this.end();
  }

  private neverCalled(): void {
    this.pool.leave(this);
    const { child } = this;
    this.end();
    if (child !== null) this.pool.release(child);
  }

  /** The handler's own word. Where nothing may go on after it, the end is told once the child is dead. */
  private done({ outcome, wrote, spawned }: Extract<ChildWord, { kind: 'done' }>): void {
    const { child } = this;
    if (child === null) return;
    this.outcome = outcome;
    const clean = outcome.kind !== 'failed' || !this.spec.exclusive;
    if (this.stopReason !== null || !clean || spawned) {
      this.phase = 'ending';
      return this.pool.retire(child);
    }
    if (wrote) child.output.endWritten();
    else child.output.end();
    this.end();
    this.pool.release(child);
  }

  private end(): void {
    this.phase = 'over';
    for (const timer of Object.values(this.timers)) timer.cancel();
    this.ports.send({
      kind: 'ended',
      runId: this.spec.runId,
      executed: this.executed,
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
