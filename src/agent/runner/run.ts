import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Duplex, Readable } from 'node:stream';
import { type AgentClock, pause, type Timer } from '../clock.js';
import { commandEnvironment, runMark } from './environment.js';
import type { Guardian } from './guardian.js';
import { type Layers, leaderArgv } from './layers.js';
import type { Lifeline } from './lifeline.js';
import type { Limits, RunLimit } from './limits.js';
import { lookUp } from './lookup.js';
import { RunOutput } from './output.js';
import type { OutputPipes } from './pipes.js';
import { groupMembers, isGroupAlive, signal } from './procfs.js';
import {
  RUN_VARIABLE,
  type RunnerMessage,
  type RunSpec,
  type StartFailureCode,
  type StopReason,
} from './protocol.js';
import type { Sweeper } from './sweeper.js';

/** What a run needs of its runner. */
export interface RunPorts {
  readonly instanceId: string;
  readonly clock: AgentClock;
  readonly layers: Layers;
  readonly limits: Limits;
  readonly lifeline: Lifeline;
  readonly pipes: OutputPipes;
  readonly sweeper: Sweeper;
  readonly guardian: Guardian;
  send(message: RunnerMessage): void;
  /** Called once, when `startFailed` or `ended` has been told. */
  over(runId: string): void;
}

/**
 * held: the leader waits for `go`; running: exec was allowed; ending: the leader is dead, its group being buried. No way
 * leads back, and `ended` is told after the last.
 */
type Phase = 'new' | 'held' | 'running' | 'ending';

/** After a namespace's processes were killed, its outer end has so long to reap them before it is killed too. */
const REAP_MS = 100;
/** The leader's descriptor for the word, and for the answer of a namespace's process 1. */
const WORD_FD = 3;
/** Longest wait between two looks at a group that should be dead. */
const BURY_WAIT_MS = 50;

/** One run, from its process group's making until no process of it is alive. */
export class Run {
  readonly spec: RunSpec;
  private readonly ports: RunPorts;
  private readonly output: RunOutput;
  private limit: RunLimit | null = null;
  private phase: Phase = 'new';
  private pgid = 0;
  private word: Duplex | null = null;
  private wordGiven = false;
  /** The command's process in the namespace has said that it is there. */
  private namespaceUp = false;
  /** Then the outer end's own exit code means nothing: unshare 2.38 makes it 1. */
  private namespaceKilled = false;
  private abandoned = false;
  private stopReason: StopReason | null = null;
  private timedOut = false;
  private killAtMs = Number.POSITIVE_INFINITY;
  private readonly timers: { limit?: Timer; kill?: Timer; reap?: Timer } = {};

  constructor(spec: RunSpec, ports: RunPorts) {
    this.spec = spec;
    this.ports = ports;
    this.output = new RunOutput(spec.runId, ports.clock, (message) => ports.send(message));
  }

  /** Makes the group and holds it before exec, or tells why not. */
  start(): void {
    const environment = commandEnvironment(process.env, this.spec, this.ports.instanceId);
    const lookup = lookUp(this.spec, environment);
    if (lookup.kind === 'failed') return this.fail(lookup.code, lookup.text);
    try {
      this.limit = this.ports.limits.prepare(this.spec);
      this.adopt(this.spawnLeader(lookup.argv, environment));
    } catch (error) {
      this.failSpawn(error as NodeJS.ErrnoException);
    }
  }

  /** Lets the command run, unless the gate has closed since the permit was looked at: the last look before exec (P3). */
  go(): void {
    if (this.phase !== 'held' || this.abandoned || this.stopReason !== null) return;
    if (!this.mayStart()) {
      this.stopReason = 'gate';
      return this.killNow();
    }
    this.phase = 'running';
    this.wordGiven = true;
    // failpoint: FP9 before
    this.word?.write('go\n');
    // failpoint: FP9 after
    if (this.spec.timeoutMs === undefined) return;
    this.timers.limit = this.ports.clock.setTimer(this.spec.timeoutMs, () => {
      this.timedOut = this.stopReason === null;
      this.stop('timeout', this.spec.killGraceMs);
    });
  }

  abandon(): void {
    this.abandoned = true;
    this.killNow();
  }

  /** Whether the gate, as far as the guardian knows it, allows this run to start. */
  mayStart(): boolean {
    const gate = this.ports.guardian.gate();
    return gate === 'open' || (gate === 'untold' && !this.spec.singleRun);
  }

  /** SIGTERM to the group, SIGKILL after `graceMs`. A second stop can only bring the SIGKILL forward. */
  stop(reason: StopReason, graceMs: number): void {
    if (!this.isLeaderAlive()) return;
    if (this.stopReason === null) {
      this.stopReason = reason;
      signal(-this.pgid, 'SIGTERM');
      // A stopped process gets its SIGTERM only when it goes on.
      signal(-this.pgid, 'SIGCONT');
    }
    const killAtMs = this.ports.clock.monoMs() + graceMs;
    if (killAtMs >= this.killAtMs) return;
    this.killAtMs = killAtMs;
    this.timers.kill?.cancel();
    this.timers.kill = this.ports.clock.setTimer(graceMs, () => this.kill());
  }

  /** SIGKILL to the group as it is. */
  killNow(): void {
    if (this.isLeaderAlive()) signal(-this.pgid, 'SIGKILL');
  }

  taken(bytes: number): void {
    this.output.taken(bytes);
  }

  /** While it is, or is dead and not reaped, nobody else can have its number: signals meet the right group. */
  private isLeaderAlive(): boolean {
    return this.phase === 'held' || this.phase === 'running';
  }

  /** As killNow, but the namespace's outer end stays to reap its process 1: process 1 of a container may not. */
  private kill(): void {
    const inside = this.isIsolated() ? groupMembers(this.pgid).filter(({ pid }) => pid !== this.pgid) : [];
    if (inside.length === 0) return this.killNow();
    this.namespaceKilled = true;
    for (const { pid } of inside) signal(pid, 'SIGKILL');
    this.timers.reap = this.ports.clock.setTimer(REAP_MS, () => this.killNow());
  }

  private spawnLeader(argv: readonly string[], env: Record<string, string>): ChildProcess {
    const { layers, pipes } = this.ports;
    const [out, err] = [pipes.open(), pipes.open()];
    const [program = '', ...args] = leaderArgv(layers, argv);
    try {
      const leader = spawn(program, args, {
        detached: true,
        ...(this.spec.cwd === undefined ? {} : { cwd: this.spec.cwd }),
        env,
        stdio: ['ignore', out.target, err.target, 'pipe'],
      });
      this.output.attach('stdout', out.reader ?? (leader.stdout as Readable));
      this.output.attach('stderr', err.reader ?? (leader.stderr as Readable));
      return leader;
    } catch (error) {
      out.reader?.destroy();
      err.reader?.destroy();
      throw error;
    } finally {
      out.release();
      err.release();
    }
  }

  private adopt(leader: ChildProcess): void {
    // Without a pid it was never made; the reason follows as an event.
    leader.on('error', (error) => {
      if (leader.pid === undefined) this.failSpawn(error);
    });
    if (leader.pid === undefined) return;
    this.pgid = leader.pid;
    this.phase = 'held';
    this.word = leader.stdio[WORD_FD] as Duplex;
    this.word.on('data', () => {
      this.namespaceUp = true;
      // A SIGTERM sent before met process 1 only, which ignores it.
      if (this.stopReason !== null) signal(-this.pgid, 'SIGTERM');
    });
    // The leader may be killed before it reads the word; its end is told by `exit`.
    this.word.on('error', () => {});
    this.ports.lifeline.watch(this.pgid);
    this.enterLimit();
    leader.on('exit', (code, name) => void this.finish(code, name));
    this.ports.send({ kind: 'started', runId: this.spec.runId, pid: this.pgid, pgid: this.pgid });
  }

  /** Before exec: nothing of the command is ever outside its limits. */
  private enterLimit(): void {
    try {
      this.limit?.enter(this.pgid, () => this.kill());
    } catch (error) {
      this.ports.send({ kind: 'note', text: `a limit cannot be set: ${(error as Error).message}` });
      this.abandon();
    }
  }

  private fail(code: StartFailureCode, text: string): void {
    this.limit?.end();
    this.ports.send({ kind: 'startFailed', runId: this.spec.runId, code, text });
    this.ports.over(this.spec.runId);
  }

  private failSpawn(error: NodeJS.ErrnoException): void {
    this.fail('SPAWN', `the command could not be started: ${error.message}`);
  }

  private async finish(code: number | null, name: NodeJS.Signals | null): Promise<void> {
    this.phase = 'ending';
    for (const timer of Object.values(this.timers)) timer.cancel();
    await this.bury();
    const outOfMemory = this.limit?.end() ?? null;
    const endedAtMs = this.ports.clock.wallMs();
    const executed = await this.wasExecuted();
    this.word?.destroy();
    this.ports.lifeline.forget(this.pgid);
    const outputTruncated = await this.output.drain();
    this.ports.send({
      kind: 'ended',
      runId: this.spec.runId,
      executed,
      startedAtMs: null,
      endedAtMs,
      ...this.status(code, name),
      stopReason: this.stopReason,
      timedOut: this.timedOut,
      outOfMemory,
      outcome: null,
      outputTruncated,
    });
    this.ports.over(this.spec.runId);
  }

  /** Kills what the command left behind, until nothing of the run is alive (the report may only then be made). */
  private async bury(): Promise<void> {
    for (let waitMs = 1; isGroupAlive(this.pgid); waitMs = Math.min(waitMs * 2, BURY_WAIT_MS)) {
      signal(-this.pgid, 'SIGKILL');
      await pause(this.ports.clock, waitMs);
    }
    if (this.isIsolated() || !this.ports.layers.protection.sweep || !this.wordGiven) return;
    await this.ports.sweeper.gone({
      variable: RUN_VARIABLE,
      value: runMark(this.ports.instanceId, this.spec.runId),
    });
  }

  /** Every process that could write the answer is dead: the end of the stream is at hand, and the answer before it. */
  private async wasExecuted(): Promise<boolean> {
    if (!this.wordGiven || !this.isIsolated() || this.namespaceUp) return this.wordGiven;
    const word = this.word;
    if (word !== null && !word.readableEnded && !word.destroyed) {
      await new Promise<void>((resolve) => {
        word.on('close', () => resolve());
        this.ports.clock.setTimer(REAP_MS, resolve);
      });
    }
    return this.namespaceUp;
  }

  private isIsolated(): boolean {
    return this.ports.layers.protection.namespace !== 'none';
  }

  private status(
    code: number | null,
    name: NodeJS.Signals | null,
  ): { exitCode: number; signal: string | null } {
    const signalled = this.namespaceKilled ? 'SIGKILL' : name;
    if (signalled !== null) return { exitCode: 128 + constants.signals[signalled], signal: signalled };
    const exitCode = code ?? 0;
    // Inside a namespace process 1 tells the signal as a shell does.
    const named = Object.entries(constants.signals).find(([, number]) => 128 + number === exitCode);
    return { exitCode, signal: this.isIsolated() && named !== undefined ? named[0] : null };
  }
}
