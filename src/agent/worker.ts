import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';

import type { AgentId, Epoch, InstanceId, Token } from '../kit/ids.js';
import { NAME_PATTERN } from '../kit/ids.js';
import type { Log } from '../kit/log.js';
import { VERSION } from '../kit/version.js';
import { LIMIT_LABELS, LIMITS } from '../wire/limits.js';
import { type AgentClock, drawId, realClock, realRandom, type Timer } from './clock.js';
import { CommandRunner } from './command.js';
import type { AgentEvent, Effect } from './core/events.js';
import type { Instant } from './core/gate.js';
import type { Identity, Report } from './core/messages.js';
import { AgentSession } from './core/session.js';
import { Link } from './link.js';
import { logNote } from './notes.js';
import type { AgentEnd, RunningAgent, WorkerOptions } from './options.js';
import { OutputShipper } from './output.js';
import { lostReport, reportFromJson, reportToJson } from './reports.js';
import type { HandlerProgress } from './runner/index.js';
import { type Journal, type TakeOver, takeOver } from './state/index.js';
import { requestsOf } from './translate.js';

/** Starts a worker agent: takes its state directory over, starts its runner, dials. Throws when the directory is in use. */
export async function startWorker(options: WorkerOptions): Promise<RunningAgent> {
  for (const name of [options.agentId, ...options.queues]) {
    if (!NAME_PATTERN.test(name))
      throw new Error(`${JSON.stringify(name)} is not a name: use A-Z a-z 0-9 . _ -`);
  }
  mkdirSync(options.stateDirectory, { recursive: true });
  const instanceId = drawId();
  const { log } = options;
  const taken = await takeOver({ stateDir: options.stateDirectory, instanceId, clock: realClock, log });
  const worker = new WorkerAgent(options, instanceId as InstanceId, taken);
  await worker.start();
  return worker;
}

/**
 * A worker agent's process: the pure session in the middle, the link, the runner, the journal and the output around it.
 * Events of one turn are taken together, and what they lead to is said in one heartbeat at its end.
 */
class WorkerAgent implements RunningAgent {
  readonly ended: Promise<AgentEnd>;
  readonly #log: Log;
  readonly #clock: AgentClock = realClock;
  readonly #session: AgentSession;
  readonly #journal: Journal;
  readonly #lock: TakeOver['lock'];
  readonly #link: Link;
  readonly #output: OutputShipper;
  readonly #commands: CommandRunner;
  readonly #pool: WorkerOptions['handlers'];
  /** Filled before the first Hello names them. */
  readonly #handlers: string[] = [];
  /** The configured ones, and those of the limits that are enforced. */
  readonly #labels: Record<string, string> = {};
  #timer: Timer | null = null;
  #flushing = false;
  #loopLagMs = 0;
  #over = false;
  #end: (end: AgentEnd) => void = () => {};

  constructor(options: WorkerOptions, instanceId: InstanceId, taken: TakeOver) {
    this.#log = options.log;
    this.#pool = options.handlers;
    Object.assign(this.#labels, options.labels);
    this.#journal = taken.journal;
    this.#lock = taken.lock;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#session = new AgentSession(
      { ...identityOf(options, instanceId, taken), handlers: this.#handlers, labels: this.#labels },
      recoveredFrom(taken),
      realRandom,
    );
    this.#link = new Link(options.coordinator, this.#clock, {
      happened: (event) => this.#happened(event),
      logAcknowledged: (...acknowledged) => this.#logAcknowledged(...acknowledged),
    });
    this.#output = new OutputShipper({
      send: (value) => this.#link.sendNewest({ message: { $case: 'logChunk', value } }),
      now: () => this.#clock.monoMs() as number,
      later: (ms, task) => void this.#clock.setTimer(ms, task),
      pause: (token) => this.#commands.pauseOutput(token),
      resume: (token) => this.#commands.resumeOutput(token),
    });
    this.#commands = new CommandRunner({
      agentId: options.agentId,
      stateDirectory: options.stateDirectory,
      clock: this.#clock,
      log: this.#log,
      journal: this.#journal,
      output: this.#output,
      mayStart: (token) => this.#session.mayStart(token, this.#now()),
      ended: (report) => this.#runEnded(report),
      progress: (token, progress) => this.#progress(token, progress),
      broke: (error) => this.#finish({ kind: 'fault', error }),
    });
  }

  async start(): Promise<void> {
    try {
      this.#handlers.push(...(await this.#commands.start(this.#session.instanceId, this.#pool)));
      this.#nameLimits();
    } catch (error) {
      this.#finish({ kind: 'fault', error: error as Error });
      await this.ended;
      throw error;
    }
    this.#perform(this.#session.begin());
  }

  /** Labels of the agent's own; what is configured under their names is not believed. */
  #nameLimits(): void {
    for (const name of Object.values(LIMIT_LABELS)) delete this.#labels[name];
    const own = this.#commands.limitLabels();
    if (Object.keys(this.#labels).length + Object.keys(own).length <= LIMITS.labels)
      Object.assign(this.#labels, own);
    else this.#log.warn({}, 'there is no room for labels of limits, so no tasks with limits are offered');
  }

  drain(timeoutMs: number | null): void {
    this.#happened({ kind: 'drain', timeoutMs });
  }

  stop(): void {
    this.#finish({ kind: 'stopped' });
  }

  #now(): Instant {
    return { mono: this.#clock.monoMs(), wall: this.#clock.wallMs(), boot: this.#clock.bootMs() };
  }

  #happened(event: AgentEvent): void {
    if (this.#over) return;
    if (event.kind === 'stream_lost' || event.kind === 'reconnect') this.#output.disconnected();
    this.#perform(this.#session.step(event, this.#now()));
    if (event.kind === 'welcome') this.#output.connected();
    this.#flushSoon();
  }

  /** At the end of the turn: one heartbeat for all that happened in it. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#clock.soon(() => {
      this.#flushing = false;
      if (this.#over) return;
      // The ends of this turn are journalled before they are first said: the next process says them if this one dies.
      const written = this.#journal.flush();
      if (written.kind === 'refused') this.#log.error({}, written.text);
      this.#perform(this.#session.step({ kind: 'output', pending: this.#output.pending }, this.#now()));
      this.#perform(this.#session.flush(this.#now()));
      this.#setTimer();
    });
  }

  #setTimer(): void {
    this.#timer?.cancel();
    const at = this.#session.nextTick();
    if (at === null || this.#over) return;
    const wait = Math.max(0, (at as number) - (this.#clock.monoMs() as number));
    this.#timer = this.#clock.setTimer(wait, () => {
      this.#loopLagMs = Math.max(0, (this.#clock.monoMs() as number) - (at as number));
      this.#happened({ kind: 'tick' });
    });
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#performOne(effect);
  }

  #performOne(effect: Effect): void {
    switch (effect.kind) {
      case 'dial':
        return this.#link.dial(effect.streamNo, effect.afterMs);
      case 'hang_up':
        this.#output.disconnected();
        return this.#link.hangUp();
      case 'send':
        // failpoint: FP4 before
        // failpoint: FP10 before
        this.#link.send(effect.streamNo, requestsOf(effect.message, this.#loopLagMs));
        // failpoint: FP4 after
        // failpoint: FP10 after
        return;
      case 'start':
        return this.#commands.run(effect.permit);
      case 'stop_run':
        return this.#commands.stop(effect.token, effect.reason, effect.graceMs);
      case 'forget_report':
        this.#journal.acknowledge(effect.token);
        return;
      case 'remember':
        this.#journal.raiseHighest(effect.highestToken, effect.highestEpoch);
        return;
      case 'renew_guardian':
        return this.#commands.renewGuardian(effect.deadline);
      case 'note':
        return logNote(this.#log, effect.note);
      case 'exit':
        return this.#finish({ kind: 'drained' });
    }
  }

  #runEnded(report: Report): void {
    if (report.kind !== 'never_started') {
      const written = this.#journal.endRun(report.token, reportToJson(report));
      if (written.kind === 'refused') this.#log.error({ taskId: report.taskId }, written.text);
    }
    this.#happened({ kind: 'run_ended', report });
  }

  /** Beside the heartbeats, and only while there is a stream: the next word says more than a late one. */
  #progress(token: Token, { fraction, message }: HandlerProgress): void {
    const value = { token, fraction: fraction ?? undefined, message, at: new Date(this.#clock.wallMs()) };
    this.#link.sendNewest({ message: { $case: 'progress', value } });
  }

  #logAcknowledged(...acknowledged: Parameters<OutputShipper['acknowledged']>): void {
    this.#output.acknowledged(...acknowledged);
    if (!this.#output.pending) this.#flushSoon();
  }

  #finish(end: AgentEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#link.hangUp();
    this.#commands.close().then(
      () => this.#released(end),
      (error: unknown) => this.#released({ kind: 'fault', error: error as Error }),
    );
  }

  #released(end: AgentEnd): void {
    this.#journal.close();
    this.#lock.release();
    this.#end(end);
  }
}

function identityOf(
  options: WorkerOptions,
  instanceId: InstanceId,
  { lock, proof }: TakeOver,
): Omit<Identity, 'handlers' | 'labels'> {
  const { predecessor } = proof;
  return {
    agentId: options.agentId as AgentId,
    instanceId,
    kind: 'worker',
    queues: options.queues,
    slots: options.slots,
    software: `holdfast-worker/${VERSION}`,
    hostname: hostname(),
    process: { bootId: lock.bootId, lockDevice: lock.device, lockInode: lock.inode, pid: process.pid },
    proof:
      proof.proven && predecessor !== null
        ? {
            instanceId: predecessor.instanceId as InstanceId,
            bootId: predecessor.bootId,
            lockDevice: predecessor.device,
            lockInode: predecessor.inode,
          }
        : null,
  };
}

/** Reports of earlier instances; runs without an end are lost, which may be said only once they are provably gone. */
function recoveredFrom({ journal, proof }: TakeOver) {
  const { highestToken, highestEpoch, runs, reports } = journal.recovered;
  const lost = proof.proven ? runs.map((run) => lostReport(run, realClock.wallMs())) : [];
  return {
    highestToken: highestToken as Token,
    highestEpoch: highestEpoch as Epoch,
    reports: [...reports.flatMap(({ report }) => reportFromJson(report) ?? []), ...lost],
  };
}
