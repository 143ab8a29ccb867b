import type { Permit, Report } from '../../agent/core/messages.js';
import type { AgentId, TaskId, Token } from '../../kit/ids.js';
import type { MonoMs } from '../../kit/time.js';
import type { Started } from '../checker/index.js';
import type { Auditor } from './auditor.js';
import type { Scheduled } from './events.js';
import { Guardian } from './guardian.js';
import { type Host, Process } from './host.js';
import type { RunScript } from './scripts.js';

export type Gate = NonNullable<Started['gate']>;
export type RunEnd = Pick<Report, 'kind' | 'reason' | 'deferral'> & Partial<Pick<Report, 'result'>>;

interface Run {
  readonly permit: Permit;
  readonly script: RunScript;
  /** Its command lives. */
  begun: boolean;
  ends: Scheduled | null;
  kill: Scheduled | null;
}

/** What a runner needs of the agent whose child it is, and of the world. */
export interface RunnerPorts {
  readonly agentId: AgentId;
  readonly auditor: Auditor;
  /** d of P2: what stands still for longer between its last look and exec is beyond the model, in milliseconds. */
  readonly pauseBoundMs: number;
  script(taskId: TaskId): RunScript;
  gate(): Gate;
  over(permit: Permit, end: RunEnd): void;
  /** The command has killed its agent. */
  deadly(): void;
}

/**
 * The runner of one agent process: a process of its own, whose commands die with it. The agent's pauses do not stop it;
 * it may be stopped or killed alone.
 */
export class Runner {
  readonly #host: Host;
  readonly #process: Process;
  readonly #ports: RunnerPorts;
  readonly #guardian: Guardian;
  readonly #runs = new Map<Token, Run>();
  #stoppedAt: number | null = null;
  #standstills = 0;
  /** It will be stopped for so long between its next last look and exec; null when it will not. */
  stumbleMs: number | null = null;

  constructor(host: Host, ports: RunnerPorts) {
    this.#host = host;
    this.#ports = ports;
    this.#process = new Process(host);
    this.#guardian = new Guardian(this.#process, () => this.#closeGate());
  }

  get alive(): boolean {
    return this.#process.alive;
  }

  /** Runs that it has, begun or about to. */
  get size(): number {
    return this.#runs.size;
  }

  /** Whether it, or its machine, stands still for longer than the model allows. */
  get suspended(): boolean {
    const stoppedMs = this.#stoppedAt === null ? 0 : this.#host.events.now - this.#stoppedAt;
    return this.#host.suspended || stoppedMs > this.#ports.pauseBoundMs;
  }

  /** How often it did. */
  get suspends(): number {
    return this.#host.suspends + this.#standstills;
  }

  /** SIGSTOP of the runner alone: its commands go on, and nobody ends them. */
  stop(): void {
    this.#stoppedAt ??= this.#host.events.now;
    this.#process.pause();
  }

  resume(): void {
    if (this.#stoppedAt === null) return;
    if (this.#host.events.now - this.#stoppedAt > this.#ports.pauseBoundMs) this.#standstills++;
    this.#stoppedAt = null;
    this.#process.resume();
  }

  heal(): void {
    this.stumbleMs = null;
    this.resume();
  }

  wake(): void {
    this.#guardian.wake();
    this.#process.drain();
  }

  /** With it dies what it runs (the layers of the real one). */
  die(): void {
    this.#process.kill();
    this.#guardian.leave();
    for (const { permit, begun, ends, kill } of this.#runs.values()) {
      ends?.cancel();
      kill?.cancel();
      if (begun) this.#ports.auditor.ended(this.#ports.agentId, permit, null);
    }
    this.#runs.clear();
  }

  renewGuardian(deadline: MonoMs): void {
    const { mono, wall, boot } = this.#host.instant();
    const left = deadline - mono;
    const end = { mono: deadline, wall: wall + left, boot: boot + left };
    this.#process.run(() => this.#guardian.renew(end));
  }

  /** The agent has looked and written it down: the run begins, unless the gate is closed by now (P3). */
  start(permit: Permit): void {
    const script = this.#ports.script(permit.taskId);
    const run: Run = { permit, script, begun: false, ends: null, kill: null };
    this.#runs.set(permit.token, run);
    this.#process.run(() => this.#look(run));
  }

  #look(run: Run): void {
    const { token, partitionPolicy } = run.permit;
    if (this.#runs.get(token) !== run) return;
    if (!this.#guardian.allows(partitionPolicy === 'single_run'))
      return this.#end(run, { kind: 'never_started', reason: 'gate' });
    const gate = this.#ports.gate();
    const lookedAt = this.#host.events.now;
    const { stumbleMs } = this;
    if (stumbleMs !== null) {
      this.stumbleMs = null;
      this.stop();
      this.#host.events.after(stumbleMs, () => this.resume());
    }
    this.#process.run(() => this.#exec(run, gate, lookedAt));
  }

  #exec(run: Run, gate: Gate, lookedAt: number): void {
    const { permit, script } = run;
    const { token } = permit;
    if (this.#runs.get(token) !== run) return;
    run.begun = true;
    const stoodStill = this.#host.events.now - lookedAt > this.#ports.pauseBoundMs;
    this.#ports.auditor.started(this.#ports.agentId, permit, this, { gate, lookedAt, stoodStill });
    if (script.deadly) return this.#ports.deadly();
    run.ends = this.#host.timer(script.durationMs, () => this.#end(run, endOf(run)));
    if (permit.executionTimeoutMs === null) return;
    this.#process.timer(permit.executionTimeoutMs, () => this.#ask(run, 'timeout', permit.killGraceMs));
  }

  /** SIGTERM, SIGKILL when the grace is over: as soon as it can be heard. */
  ask(token: Token, reason: string, graceMs: number): void {
    this.#process.run(() => {
      const run = this.#runs.get(token);
      if (run !== undefined) this.#ask(run, reason, graceMs);
    });
  }

  #ask(run: Run, reason: string, graceMs: number): void {
    if (this.#runs.get(run.permit.token) !== run || run.kill !== null) return;
    const end = (): void =>
      this.#end(
        run,
        reason === 'timeout' ? { kind: 'failed', reason: 'execution_timeout' } : { kind: 'killed', reason },
      );
    // Who obeys needs nobody to end it.
    run.kill = run.script.stubborn ? this.#process.timer(graceMs, end) : this.#host.timer(1, end);
  }

  /** The command's process group is gone; the agent hears of it when the runner goes on. */
  #end(run: Run, end: RunEnd): void {
    const { permit, begun } = run;
    if (!this.#runs.delete(permit.token)) return;
    run.ends?.cancel();
    run.kill?.cancel();
    if (begun) this.#ports.auditor.ended(this.#ports.agentId, permit, end.kind);
    this.#process.run(() => this.#ports.over(permit, begun ? end : { ...end, kind: 'never_started' }));
  }

  #closeGate(): void {
    for (const run of [...this.#runs.values()])
      if (run.permit.partitionPolicy === 'single_run') this.#ask(run, 'gate', run.permit.killGraceMs);
  }
}

/** What a run comes to by itself: a deferral first, where its script has one. */
function endOf({ permit, script }: Run): RunEnd {
  const { outcome: kind, deferral, result } = script;
  if (deferral !== null && permit.resumption === null) return { kind: 'deferred', reason: '', deferral };
  if (kind !== 'success') return { kind, reason: kind === 'failed' ? 'exit_code' : '' };
  return { kind, reason: '', result: result === null ? null : new TextEncoder().encode(result) };
}
