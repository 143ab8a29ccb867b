import type { Token } from '../kit/ids.js';
import { LIMIT_LABELS } from '../kit/limit-labels.js';
import type { Log } from '../kit/log.js';
import { LIMITS } from '../wire/limits.js';
import { realClock } from './clock.js';
import { CommandRunner } from './command.js';
import type { Report } from './core/messages.js';
import { AgentLoop, identityOf, type KindEffect, type LoopHost, type TakenState, takeState } from './loop.js';
import type { AgentEnd, RunningAgent, WorkerOptions } from './options.js';
import { OutputShipper } from './output.js';
import { reportToJson } from './reports.js';
import type { HandlerProgress } from './runner/index.js';

/** Starts a worker agent: takes its state directory over, starts its runner, dials. Throws when the directory is in use. */
export async function startWorker(options: WorkerOptions): Promise<RunningAgent> {
  const worker = new WorkerAgent(options, await takeState(options, options.queues));
  await worker.start();
  return worker;
}

/** A worker agent's process: the runner and the output of what it runs, around the loop that all agents have. */
class WorkerAgent implements RunningAgent, LoopHost {
  readonly #log: Log;
  readonly #loop: AgentLoop;
  readonly #journal: TakenState['journal'];
  readonly #output: OutputShipper;
  readonly #commands: CommandRunner;
  readonly #pool: WorkerOptions['handlers'];
  /** Filled before the first Hello names them. */
  readonly #handlers: string[] = [];
  /** The configured ones, and those of the limits that are enforced. */
  readonly #labels: Record<string, string> = {};

  constructor(options: WorkerOptions, taken: TakenState) {
    this.#log = options.log;
    this.#pool = options.handlers;
    Object.assign(this.#labels, options.labels);
    this.#journal = taken.journal;
    const identity = identityOf(options.agentId, taken, {
      ...{ kind: 'worker', queues: options.queues, slots: options.slots },
      ...{ handlers: this.#handlers, labels: this.#labels, bundles: [], triggerKinds: [] },
    });
    this.#loop = new AgentLoop(options, identity, taken, this);
    this.#output = new OutputShipper({
      send: (value) => this.#loop.link.sendNewest({ message: { $case: 'logChunk', value } }),
      now: () => realClock.monoMs() as number,
      later: (ms, task) => void realClock.setTimer(ms, task),
      pause: (token) => this.#commands.pauseOutput(token),
      resume: (token) => this.#commands.resumeOutput(token),
    });
    this.#commands = new CommandRunner({
      agentId: options.agentId,
      stateDirectory: options.stateDirectory,
      clock: realClock,
      log: this.#log,
      journal: this.#journal,
      output: this.#output,
      mayStart: (token) => this.#loop.session.mayStart(token, this.#loop.now()),
      ended: (report) => this.#runEnded(report),
      progress: (token, progress) => this.#progress(token, progress),
      broke: (error) => this.#loop.finish({ kind: 'fault', error }),
    });
  }

  get ended(): Promise<AgentEnd> {
    return this.#loop.ended;
  }

  async start(): Promise<void> {
    try {
      this.#handlers.push(...(await this.#commands.start(this.#loop.session.instanceId, this.#pool)));
      this.#nameLimits();
    } catch (error) {
      this.#loop.finish({ kind: 'fault', error: error as Error });
      await this.ended;
      throw error;
    }
    this.#loop.begin();
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
    this.#loop.happened({ kind: 'drain', timeoutMs });
  }

  stop(): void {
    this.#loop.finish({ kind: 'stopped' });
  }

  connected(): void {
    this.#output.connected();
  }

  disconnected(): void {
    this.#output.disconnected();
  }

  draining(): void {
    this.#commands.withdraw();
  }

  get waitingBytes(): number {
    return this.#output.waitingBytes;
  }

  perform(effect: KindEffect): void {
    switch (effect.kind) {
      case 'start':
        return this.#commands.run(effect.permit);
      case 'stop_run':
        return this.#commands.stop(effect.token, effect.reason, effect.graceMs);
      case 'renew_guardian':
        return this.#commands.renewGuardian(effect.deadline);
      case 'start_trigger':
      case 'stop_trigger':
      case 'stop_triggers':
        // Told to triggerers only.
        return;
    }
  }

  #runEnded(report: Report): void {
    // One that was journalled as started and never was would be taken for lost by the next process.
    if (report.kind !== 'never_started' || this.#journal.hasStarted(report.token)) {
      const written = this.#journal.endRun(report.token, reportToJson(report));
      if (written.kind === 'refused') this.#log.error({ taskId: report.taskId }, written.text);
    }
    this.#loop.happened({ kind: 'run_ended', report });
  }

  /** Beside the heartbeats, and only while there is a stream: the next word says more than a late one. */
  #progress(token: Token, { fraction, message }: HandlerProgress): void {
    const value = { token, fraction: fraction ?? undefined, message, at: new Date(realClock.wallMs()) };
    this.#loop.link.sendNewest({ message: { $case: 'progress', value } });
  }

  logAcknowledged(...acknowledged: Parameters<OutputShipper['acknowledged']>): void {
    this.#output.acknowledged(...acknowledged);
    if (this.#output.waitingBytes === 0) this.#loop.flushSoon();
  }

  /** A worker reads no bundles. */
  bundleTold(): void {}

  close(): Promise<void> {
    return this.#commands.close();
  }
}
