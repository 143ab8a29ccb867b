import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Log } from '../../kit/log.js';
import { type AgentClock, realClock } from '../clock.js';
import { allowedEnvironment } from './environment.js';
import { FrameWriter, frameReader } from './frames.js';
import { gateEndOf } from './guardian.js';
import { signal, sweepMarked } from './procfs.js';
import {
  type AgentMessage,
  CHANNEL_FD,
  type HandlerCall,
  type HandlerPoolOptions,
  type HandlerProgress,
  INSTANCE_VARIABLE,
  type LimitsInForce,
  type NamespaceChoice,
  OUTPUT_WINDOW_BYTES,
  type OutputStream,
  type Protection,
  type RunEnd,
  type RunnerArguments,
  type RunnerMessage,
  type RunSpec,
  type RunStarted,
  type StartFailure,
  type StopReason,
} from './protocol.js';

/** What the agent hears of its runs. Calls come one at a time, in the order in which things happened. */
export interface RunnerListener {
  /** Groups are made and nothing of their runs has begun: journal now. Those named run; the others are abandoned. */
  started(runs: readonly RunStarted[]): readonly string[];
  startFailed(failure: StartFailure): void;
  /** Consumed when it returns, unless the run's output is paused. `data` may be kept. */
  output(runId: string, stream: OutputStream, data: Uint8Array): void;
  ended(end: RunEnd): void;
  /** Handlers are to be called in a group that is new: journal it. False: it could not be. */
  groupMade(pgid: number): boolean;
  groupGone(pgid: number): void;
  /** A handler says how far it has come. */
  progress(runId: string, progress: HandlerProgress): void;
  /** The runner is dead without having been closed, and so is everything it ran. Nothing more is told. */
  lost(loss: RunnerLoss): void;
}

export interface RunnerLoss {
  /** Runs without an end. */
  readonly runIds: readonly string[];
  readonly text: string;
  /** Processes that even SIGKILL has not ended yet. */
  readonly left: number;
}

export interface RunnerOptions {
  /** Drawn at this process's start; marks every process of its runs. */
  readonly instanceId: string;
  /** Held by the runner as long as anything it started may be alive. Named pipes are made beside it. */
  readonly lockFile: string;
  readonly log: Log;
  readonly listener: RunnerListener;
  /** Default `auto`. */
  readonly namespace?: NamespaceChoice;
  /** The runner's program; default the one beside this file. */
  readonly entry?: URL;
  readonly clock?: AgentClock;
}

/** The agent's hold on its runner. What concerns a run that has ended, or a dead runner, changes nothing. */
export interface RunnerHandle {
  readonly pid: number;
  readonly protection: Protection;
  readonly limits: LimitsInForce;
  /** Answered by `started` or `startFailed`; the latter at once if the runner is closed or dead, or has this run. */
  start(spec: RunSpec): void;
  /** Makes the children for handlers, once; settles with the handlers' names, rejects when the module is of no use. */
  openPool(pool: HandlerPoolOptions): Promise<readonly string[]>;
  /** Calls handlers whose starts are journalled, after `openPool`; answered by `ended` or `startFailed`. */
  call(calls: readonly HandlerCall[]): void;
  /** A group that could not be journalled is by now. */
  groupNoted(pgid: number): void;
  /** What is not called yet is not called any more, and ends as never started. */
  abandon(runId: string): void;
  /** SIGTERM to the run's group, SIGKILL after `graceMs` milliseconds. */
  stop(runId: string, reason: StopReason, graceMs: number): void;
  /** The gate's end (monotonic milliseconds, `AgentClock.monoMs`): `single_run` runs are killed then (P11). */
  renewGuardian(deadlineMonoMs: number): void;
  /** Up to OUTPUT_WINDOW_BYTES more may still come; then the command blocks in its writes until resumed. */
  pauseOutput(runId: string): void;
  resumeOutput(runId: string): void;
  /** Kills every run at once and settles when nothing of them is alive. */
  close(): Promise<void>;
}

/** Probing the namespaces takes two times three seconds at worst. */
const READY_LIMIT_MS = 15_000;
/** A runner told to close, or whose stream has ended, gets so long to kill everything; then it is killed. */
const CLOSE_LIMIT_MS = 10_000;
/** The sweep after a runner's death, in milliseconds. */
const SWEEP_LIMIT_MS = 10_000;
/** Consumed output is told in pieces of this size: well below the window, so that no run waits for it. */
const CREDIT_BYTES = OUTPUT_WINDOW_BYTES / 4;
/** Of a dying runner's last words, so many characters are kept. */
const COMPLAINT_CHARS = 4_096;

/** Starts the runner; rejects with what it says when it cannot serve (its lock is taken, …). */
export async function startRunner(options: RunnerOptions): Promise<RunnerHandle> {
  if (process.platform === 'win32') {
    throw new Error('commands are run on Linux and macOS only: start the worker agent there, or in WSL');
  }
  const { instanceId, lockFile } = options;
  const entry = fileURLToPath(options.entry ?? new URL('./main.js', import.meta.url));
  const args: RunnerArguments = { instanceId, lockFile, namespace: options.namespace ?? 'auto' };
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', entry, JSON.stringify(args)],
    // A session of its own: what a terminal sends to the agent's group is not meant for it.
    { detached: true, env: runnerEnvironment(), stdio: ['ignore', 'ignore', 'pipe', 'pipe'] },
  );
  if (child.pid === undefined) {
    // The system's reason follows as an event.
    throw await new Promise((resolve) => child.once('error', resolve));
  }
  const runner = new Runner(child, child.pid, options);
  await runner.ready;
  return runner;
}

/** An agent that is itself the command of an outer agent stays within the reach of the outer one's sweep. */
function runnerEnvironment(): Record<string, string> {
  const outer = process.env[INSTANCE_VARIABLE];
  return {
    ...allowedEnvironment(process.env),
    ...(outer === undefined ? {} : { [INSTANCE_VARIABLE]: outer }),
  };
}

/** A run's output as the agent has it: what was consumed and is not yet told, and whether it may be. */
interface Credit {
  bytes: number;
  paused: boolean;
}

class Runner implements RunnerHandle {
  readonly pid: number;
  readonly ready: Promise<void>;
  private readonly child: ChildProcess;
  private readonly socket: Duplex;
  private readonly options: RunnerOptions;
  private readonly clock: AgentClock;
  private readonly runs = new Map<string, Credit>();
  /** Told in the piece that is being read. */
  private started: RunStarted[] = [];
  private readonly gone: Promise<void>;
  private readonly writer: FrameWriter<AgentMessage>;
  private opening: {
    readonly resolve: (handlers: readonly string[]) => void;
    readonly reject: (error: Error) => void;
  } | null = null;
  private inForce: Protection | null = null;
  private limitsInForce: LimitsInForce | null = null;
  private refusal: string | null = null;
  private complaint = '';
  private closing = false;
  private dead = false;
  private becomeReady: () => void = () => {};

  constructor(child: ChildProcess, pid: number, options: RunnerOptions) {
    this.child = child;
    this.options = options;
    this.clock = options.clock ?? realClock;
    this.pid = pid;
    this.socket = child.stdio[CHANNEL_FD] as Duplex;
    this.writer = new FrameWriter<AgentMessage>(this.socket, this.clock);
    child.stderr?.on('data', (data: Buffer) => {
      this.complaint = (this.complaint + data).slice(-COMPLAINT_CHARS);
    });
    const read = frameReader<RunnerMessage>((message) => this.take(message));
    this.socket.on('data', (data: Buffer) => {
      read(data);
      this.answerStarted();
    });
    // A write to a dead runner; its death is told by `gone`.
    this.socket.on('error', () => {});
    this.gone = this.awaitEnd();
    this.ready = this.awaitReady();
  }

  get protection(): Protection {
    return this.inForce as Protection;
  }

  get limits(): LimitsInForce {
    return this.limitsInForce as LimitsInForce;
  }

  openPool(pool: HandlerPoolOptions): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      this.opening = { resolve, reject };
      this.send({ kind: 'openPool', pool });
      void this.gone.then(() => reject(new Error('the runner is dead')));
    });
  }

  start(spec: RunSpec): void {
    if (this.admits(spec.runId)) this.send({ kind: 'start', spec });
  }

  call(calls: readonly HandlerCall[]): void {
    for (const call of calls) if (this.admits(call.runId)) this.send({ kind: 'call', call });
    this.writer.flush();
  }

  groupNoted(pgid: number): void {
    this.send({ kind: 'groupNoted', pgid });
  }

  abandon(runId: string): void {
    this.send({ kind: 'abandon', runId });
  }

  /** Notes a run, or tells why it is not started. */
  private admits(runId: string): boolean {
    if (this.closing || this.dead || this.runs.has(runId)) {
      const code = this.runs.has(runId) ? 'DUPLICATE' : 'RUNNER_LOST';
      const text =
        code === 'DUPLICATE' ? `token ${runId} was started before` : 'the runner is closed or dead';
      this.options.listener.startFailed({ runId, code, text });
      return false;
    }
    this.runs.set(runId, { bytes: 0, paused: false });
    return true;
  }

  stop(runId: string, reason: StopReason, graceMs: number): void {
    this.send({ kind: 'stop', runId, reason, graceMs });
  }

  renewGuardian(deadlineMonoMs: number): void {
    this.send({ kind: 'renewGuardian', end: gateEndOf(this.clock, deadlineMonoMs) });
  }

  pauseOutput(runId: string): void {
    const credit = this.runs.get(runId);
    if (credit !== undefined) credit.paused = true;
  }

  resumeOutput(runId: string): void {
    const credit = this.runs.get(runId);
    if (credit === undefined) return;
    credit.paused = false;
    this.giveCredit(runId, credit);
  }

  async close(): Promise<void> {
    this.closing = true;
    this.send({ kind: 'close' });
    this.writer.flush();
    this.endInTime();
    await this.gone;
  }

  private send(message: AgentMessage): void {
    this.writer.send(message);
  }

  private take(message: RunnerMessage): void {
    const { listener, log } = this.options;
    switch (message.kind) {
      case 'ready':
        this.inForce = message.protection;
        this.limitsInForce = message.limits;
        return this.becomeReady();
      case 'refused':
        this.refusal = message.text;
        return;
      case 'poolReady':
        return this.opening?.resolve(message.handlers);
      case 'poolFailed':
        return this.opening?.reject(new Error(message.text));
      case 'groupMade':
        return listener.groupMade(message.pgid) ? this.groupNoted(message.pgid) : undefined;
      case 'groupGone':
        return listener.groupGone(message.pgid);
      case 'progress': {
        const { runId, fraction, message: words } = message;
        return listener.progress(runId, { fraction, message: words });
      }
      case 'started':
        this.started.push({ runId: message.runId, pid: message.pid, pgid: message.pgid });
        return;
      case 'startFailed': {
        const { kind: _, ...failure } = message;
        this.runs.delete(failure.runId);
        return listener.startFailed(failure);
      }
      case 'output':
        return this.pass(message.runId, message.stream, message.data);
      case 'ended': {
        const { kind: _, ...end } = message;
        this.runs.delete(end.runId);
        return listener.ended(end);
      }
      case 'note':
        return log.warn({ runner: this.pid }, message.text);
    }
  }

  /** All that came in one piece are journalled in one write. */
  private answerStarted(): void {
    if (this.started.length === 0) return;
    const runs = this.started;
    this.started = [];
    const leave = new Set(this.options.listener.started(runs));
    for (const { runId } of runs) this.send({ kind: leave.has(runId) ? 'go' : 'abandon', runId });
  }

  private pass(runId: string, stream: OutputStream, data: Uint8Array): void {
    this.options.listener.output(runId, stream, data);
    const credit = this.runs.get(runId);
    if (credit === undefined) return;
    credit.bytes += data.byteLength;
    if (credit.bytes >= CREDIT_BYTES) this.giveCredit(runId, credit);
  }

  private giveCredit(runId: string, credit: Credit): void {
    if (credit.paused || credit.bytes === 0) return;
    this.send({ kind: 'outputTaken', runId, bytes: credit.bytes });
    credit.bytes = 0;
  }

  private async awaitReady(): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.becomeReady = resolve;
    });
    const late = this.clock.setTimer(READY_LIMIT_MS, () => signal(this.pid, 'SIGKILL'));
    await Promise.race([ready, this.gone]);
    late.cancel();
    if (this.inForce !== null) return;
    throw new Error(
      this.refusal ?? `the runner could not be started: ${this.complaint.trim() || 'no answer'}`,
    );
  }

  /** Settles when the runner is dead, its last messages are taken, and nothing it started is alive. */
  private async awaitEnd(): Promise<void> {
    const exit = new Promise<string>((resolve) => {
      this.child.on('exit', (code, name) => resolve(`it ended with ${name ?? `exit code ${code}`}`));
    });
    await new Promise<void>((resolve) => this.socket.on('close', () => resolve()));
    this.endInTime();
    const how = await exit;
    this.dead = true;
    if (this.inForce === null) return;
    const mark = { variable: INSTANCE_VARIABLE, value: this.options.instanceId };
    const { left } = await sweepMarked(this.clock, [mark], SWEEP_LIMIT_MS);
    const runIds = [...this.runs.keys()];
    this.runs.clear();
    if (this.closing && runIds.length === 0) return;
    const text = `the runner is dead, and its runs with it: ${how}. ${this.complaint}`.trim();
    this.options.listener.lost({ runIds, text, left });
  }

  /** A runner that is stuck is killed: its lifeline and the sweep do the rest. */
  private endInTime(): void {
    const late = this.clock.setTimer(CLOSE_LIMIT_MS, () => {
      if (this.child.exitCode === null && this.child.signalCode === null) signal(this.pid, 'SIGKILL');
    });
    void this.gone.then(() => late.cancel());
  }
}
