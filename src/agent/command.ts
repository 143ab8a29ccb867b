import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InstanceId, Token } from '../kit/ids.js';
import { ENFORCED, LIMIT_LABELS } from '../kit/limit-labels.js';
import type { Log } from '../kit/log.js';
import type { MonoMs } from '../kit/time.js';
import type { AgentClock } from './clock.js';
import type { RunStopReason } from './core/events.js';
import type { CommandWork, HandlerWork, Permit, Report } from './core/messages.js';
import { InProcessHandlers } from './handlers/in-process.js';
import type { OutputShipper } from './output.js';
import {
  failedToStart,
  lostReport,
  neverStarted,
  type ReportedRun,
  type RunFiles,
  reportOf,
} from './reports.js';
import {
  type HandlerCall,
  type HandlerPoolOptions,
  type HandlerProgress,
  type RunEnd,
  type RunnerHandle,
  type RunnerListener,
  type RunnerLoss,
  type RunStarted,
  type RunTerms,
  type StartFailure,
  startRunner,
} from './runner/index.js';
import { type Journal, RUNNER_LOCK_FILE } from './state/index.js';

/** What running commands needs of the agent. */
export interface CommandHost {
  readonly agentId: string;
  readonly stateDirectory: string;
  readonly clock: AgentClock;
  readonly log: Log;
  readonly journal: Journal;
  readonly output: OutputShipper;
  /** The last look at the gate, just before exec (P3). */
  mayStart(token: Token): boolean;
  /** A run is over: its whole process group is reaped. */
  ended(report: Report): void;
  /** A handler says how far it has come. */
  progress(token: Token, progress: HandlerProgress): void;
  /** No command can be run any more. */
  broke(error: Error): void;
}

interface Running {
  readonly permit: Permit;
  /** Its own, for the working directory and the result of a command; null for a handler. */
  readonly directory: string | null;
  startedAtMs: number | null;
}

/** The share of the time left by which the guardian may know less of the gate's end than the agent. */
const GUARDIAN_STEP = 0.01;

/** Permits to processes: a directory of its own for each command, the journal before exec, the report at the end. */
export class CommandRunner {
  readonly #host: CommandHost;
  readonly #runs = new Map<string, Running>();
  #runner: RunnerHandle | null = null;
  #inProcess: InProcessHandlers | null = null;
  #guardedUntil = Number.NEGATIVE_INFINITY;
  /** Of this turn, to be journalled in one write. */
  #calls: HandlerCall[] = [];
  /** Groups of children that could not be journalled yet. */
  readonly #unnoted = new Set<number>();

  constructor(host: CommandHost) {
    this.#host = host;
  }

  /** Starts the runner, and the children for handlers; gives the handlers' names. Throws HandlersError. */
  async start(instanceId: InstanceId, pool: HandlerPoolOptions | null): Promise<readonly string[]> {
    const { stateDirectory, log } = this.#host;
    rmSync(join(stateDirectory, 'runs'), { recursive: true, force: true });
    const listener: RunnerListener = {
      started: (runs) => this.#started(runs),
      startFailed: (failure) => this.#startFailed(failure),
      output: (runId, stream, data) =>
        this.#host.output.add(BigInt(runId) as Token, stream, data, this.#host.clock.wallMs()),
      ended: (end) => this.#ended(end),
      groupMade: (pgid) => this.#noteGroup(pgid),
      groupGone: (pgid) => {
        this.#unnoted.delete(pgid);
        this.#host.journal.endGroup(pgid);
      },
      progress: (runId, progress) => this.#host.progress(BigInt(runId) as Token, progress),
      lost: (loss) => this.#runnerLost(loss),
    };
    const lockFile = join(stateDirectory, RUNNER_LOCK_FILE);
    const runner = await startRunner({ instanceId, lockFile, log, listener });
    this.#runner = runner;
    log.info({ protection: runner.protection.namespace }, runner.protection.text);
    log.info({ limits: this.#runner.limits.memory }, this.#runner.limits.text);
    if (pool === null) return [];
    return this.#open(pool, runner, listener).catch((error: Error) => {
      throw new HandlersError(error.message);
    });
  }

  async #open(
    pool: HandlerPoolOptions,
    runner: RunnerHandle,
    listener: RunnerListener,
  ): Promise<readonly string[]> {
    if (pool.isolation === 'process') return runner.openPool(pool);
    const ports = { clock: this.#host.clock, log: this.#host.log, listener };
    this.#inProcess = await InProcessHandlers.open(pool.module, pool.env.NODE_ENV, ports);
    return this.#inProcess.names;
  }

  /** The labels that say which limits of tasks are enforced here; after `start`. */
  limitLabels(): Record<string, string> {
    const { memory = 'none', cpu = 'none' } = this.#runner?.limits ?? {};
    return {
      ...(memory === 'none' ? {} : { [LIMIT_LABELS.memory]: ENFORCED }),
      ...(cpu === 'none' ? {} : { [LIMIT_LABELS.cpu]: ENFORCED }),
    };
  }

  run(permit: Permit): void {
    const { work } = permit;
    switch (work?.kind) {
      case 'command':
        return this.#runCommand(permit, work);
      case 'handler':
        return this.#callHandler(permit, work);
      case undefined: {
        const run = { permit, directory: null, startedAtMs: null };
        const text = 'this agent does not know the kind of work';
        const failure = { runId: String(permit.token), code: 'EINVAL', text } as const;
        return this.#host.ended(failedToStart(this.#reported(run), failure));
      }
    }
  }

  #runCommand(permit: Permit, work: CommandWork): void {
    const { argv, env, workingDirectory, memoryLimitBytes, cpuLimitMillis } = work;
    const terms = this.#begin(permit, join(this.#host.stateDirectory, 'runs', String(permit.token)));
    const directory = this.#runs.get(terms.runId)?.directory ?? '';
    mkdirSync(join(directory, 'work'), { recursive: true });
    this.#runner?.start({
      ...terms,
      argv,
      env: { ...env, ...this.#variables(permit), ...deferralVariables(directory, permit) },
      cwd: workingDirectory === '' ? join(directory, 'work') : workingDirectory,
      resultFile: resultFile(directory),
      memoryLimitBytes,
      cpuLimitMillis,
    });
  }

  #callHandler(permit: Permit, { name, input, inputType }: HandlerWork): void {
    const { taskId, tryNumber, queue, traceparent, partitionPolicy, resumption } = permit;
    const count = this.#calls.push({
      ...this.#begin(permit, null),
      ...{ handler: name, input, inputType },
      exclusive: partitionPolicy !== 'reassign',
      ...{ taskId, tryNumber, queue, traceparent, agentId: this.#host.agentId, resumption },
    });
    if (count === 1) this.#host.clock.soon(() => this.#callAll());
  }

  /**
   * All calls of a turn, journalled in one write. They name the group of the runner, that they end with: those that they
   * are called in are journalled by themselves, once, before the first call.
   */
  #callAll(): void {
    const calls = this.#calls;
    this.#calls = [];
    for (const pgid of this.#unnoted) if (this.#noteGroup(pgid)) this.#runner?.groupNoted(pgid);
    const pgid = this.#runner?.pid ?? 0;
    const may = new Set(this.#started(calls.map(({ runId }) => ({ runId, pid: pgid, pgid }))));
    (this.#inProcess ?? this.#runner)?.call(calls.filter(({ runId }) => may.has(runId)));
    for (const { runId } of calls) if (!may.has(runId)) this.#neverCalled(runId, 'gate_closed');
  }

  #noteGroup(pgid: number): boolean {
    const written = this.#host.journal.startGroup({ pgid, atMs: this.#host.clock.wallMs() });
    if (written.kind === 'written') this.#unnoted.delete(pgid);
    else {
      this.#unnoted.add(pgid);
      this.#host.log.error({ pgid }, written.text);
    }
    return written.kind === 'written';
  }

  #neverCalled(runId: string, reason: string): void {
    const run = this.#runs.get(runId);
    if (run !== undefined) this.#over(runId, run, neverStarted(this.#reported(run), reason));
  }

  /** Handlers that are not called yet must not be any more: the gate is closed, or the session is another one (P3). */
  withdraw(): void {
    for (const [runId, { directory, permit }] of this.#runs) {
      if (directory === null && !this.#host.mayStart(permit.token)) this.#runner?.abandon(runId);
    }
  }

  /** Notes the run, and gives the terms on which any kind of run is started. */
  #begin(permit: Permit, directory: string | null): RunTerms {
    const runId = String(permit.token);
    this.#runs.set(runId, { permit, directory, startedAtMs: null });
    this.#host.output.begin(permit.token, permit.taskId);
    return {
      runId,
      ...(permit.executionTimeoutMs === null ? {} : { timeoutMs: permit.executionTimeoutMs }),
      killGraceMs: permit.killGraceMs,
      singleRun: permit.partitionPolicy === 'single_run',
    };
  }

  #variables(permit: Permit): Record<string, string> {
    return {
      HOLDFAST_TASK_ID: permit.taskId,
      HOLDFAST_TRY_NUMBER: String(permit.tryNumber),
      HOLDFAST_FENCING_TOKEN: String(permit.token),
      HOLDFAST_AGENT_ID: this.#host.agentId,
      HOLDFAST_QUEUE: permit.queue,
      ...(permit.traceparent === '' ? {} : { TRACEPARENT: permit.traceparent }),
    };
  }

  stop(token: Token, reason: RunStopReason, graceMs: number): void {
    this.#inProcess?.stop(String(token), reason, graceMs);
    this.#runner?.stop(String(token), reason, graceMs);
  }

  /** A deadline that is hardly later is not worth a message: a guardian that is early by so little does no harm. */
  renewGuardian(deadline: MonoMs): void {
    const laterMs = (deadline as number) - this.#guardedUntil;
    const leftMs = (deadline as number) - (this.#host.clock.monoMs() as number);
    if (laterMs >= 0 && laterMs < leftMs * GUARDIAN_STEP) return;
    this.#guardedUntil = deadline as number;
    // Before the gate is told to be open: permits of an earlier session are void.
    this.withdraw();
    this.#runner?.renewGuardian(deadline);
  }

  pauseOutput(token: Token): void {
    this.#runner?.pauseOutput(String(token));
  }

  resumeOutput(token: Token): void {
    this.#runner?.resumeOutput(String(token));
  }

  async close(): Promise<void> {
    await this.#runner?.close();
  }

  /** The groups are made and wait. The gate is looked at once more, the starts journalled, and only then exec. */
  #started(started: readonly RunStarted[]): readonly string[] {
    const atMs = this.#host.clock.wallMs() as number;
    const starts = started.flatMap(({ runId, pgid }) => {
      const run = this.#runs.get(runId);
      if (run === undefined || !this.#host.mayStart(run.permit.token)) return [];
      const { token, taskId, tryNumber } = run.permit;
      return [{ token, taskId, tryNumber, pgid, atMs }];
    });
    // failpoint: FP8 before
    const { count, refusal } = this.#host.journal.startRuns(starts);
    // failpoint: FP8 after
    if (refusal !== null) this.#host.log.error({ taskId: starts[count]?.taskId }, refusal.text);
    return starts.slice(0, count).map(({ token }) => {
      const runId = String(token);
      const run = this.#runs.get(runId);
      if (run !== undefined) run.startedAtMs = atMs;
      return runId;
    });
  }

  #startFailed(failure: StartFailure): void {
    const run = this.#runs.get(failure.runId);
    if (run === undefined) return;
    this.#host.output.add(
      run.permit.token,
      'system',
      new TextEncoder().encode(`${failure.text}\n`),
      this.#host.clock.wallMs(),
    );
    this.#over(failure.runId, run, failedToStart(this.#reported(run), failure));
  }

  #ended(end: RunEnd): void {
    const run = this.#runs.get(end.runId);
    if (run === undefined) return;
    this.#over(
      end.runId,
      run,
      reportOf(reportedOf(run, end), end, run.directory === null ? null : filesOf(run.directory, run.permit)),
    );
  }

  /** The runner is dead, and everything it ran with it: those runs are gone, their end unknown. */
  #runnerLost(loss: RunnerLoss): void {
    this.#host.log.error({ runs: loss.runIds.length, left: loss.left }, loss.text);
    for (const runId of loss.runIds) {
      const run = this.#runs.get(runId);
      if (run === undefined) continue;
      const reported = this.#reported(run);
      const { token, taskId, tryNumber } = run.permit;
      const started = { token, taskId, tryNumber, pgid: 0, atMs: run.startedAtMs ?? 0 };
      const report =
        run.startedAtMs === null
          ? neverStarted(reported, 'runner_lost')
          : lostReport(started, reported.endedAtMs);
      this.#over(runId, run, report);
    }
    this.#host.broke(new Error(loss.text));
  }

  #over(runId: string, run: Running, report: Report): void {
    this.#runs.delete(runId);
    this.#host.output.end(run.permit.token);
    this.#host.ended(report);
    if (run.directory !== null) rmSync(run.directory, { recursive: true, force: true });
  }

  #reported({ permit, startedAtMs }: Running): ReportedRun {
    return {
      token: permit.token,
      taskId: permit.taskId,
      startedAtMs,
      endedAtMs: this.#host.clock.wallMs() as number,
    };
  }
}

/** With the runner's word for when, where it has one: it was there. */
function reportedOf({ permit, startedAtMs }: Running, end: RunEnd): ReportedRun {
  const { token, taskId } = permit;
  return { token, taskId, startedAtMs: end.startedAtMs ?? startedAtMs, endedAtMs: end.endedAtMs };
}

/** The handlers module is of no use. Says what, because, try. */
class HandlersError extends Error {
  override readonly name = 'HandlersError';
}

function resultFile(directory: string): string {
  return join(directory, 'result');
}

function filesOf(directory: string, { instance }: Permit): RunFiles {
  return { result: resultFile(directory), deferral: join(directory, 'deferral'), inRun: instance !== null };
}

/** Where a command says what it waits for, and where it finds what it has waited for. */
function deferralVariables(directory: string, { resumption }: Permit): Record<string, string> {
  const variables = { HOLDFAST_DEFER_FILE: join(directory, 'deferral') };
  if (resumption === null) return variables;
  const file = join(directory, 'resumption');
  const { event, state } = resumption;
  writeFileSync(file, `{"event":${event},"state":${state === '' ? 'null' : state}}\n`);
  return { ...variables, HOLDFAST_RESUME_FILE: file };
}
