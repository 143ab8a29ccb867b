import type { Log } from '../../kit/log.js';
import type { AgentClock, Timer } from '../clock.js';
import type { HandlerCall, HandlerOutcome, StopReason } from '../runner/protocol.js';
import type { RunnerListener } from '../runner/runner.js';
import { callHandler } from './call.js';
import { HandlerStopped } from './context.js';
import type { Handler } from './define.js';
import { loadHandlers } from './load.js';
import { contextOf } from './run-context.js';
import { ENDED, Stop } from './stop.js';

/** What calls without isolation need of the agent. */
export interface InProcessPorts {
  readonly clock: AgentClock;
  readonly log: Log;
  readonly listener: Pick<RunnerListener, 'startFailed' | 'output' | 'ended' | 'progress'>;
}

interface Running {
  readonly call: HandlerCall;
  readonly stop: Stop;
  reason: StopReason | null;
  timedOut: boolean;
  limit: Timer | null;
  /** Until the log says that it does not hear its signal. */
  grace: Timer | null;
}

/**
 * Handlers in the agent's own process (`isolation: 'none'`), where a debugger finds them: no child, so nothing that they
 * do can be ended by force, and one that blocks holds up the heartbeats.
 */
export class InProcessHandlers {
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #ports: InProcessPorts;
  readonly #runs = new Map<string, Running>();

  private constructor(handlers: ReadonlyMap<string, Handler>, ports: InProcessPorts) {
    this.#handlers = handlers;
    this.#ports = ports;
  }

  /** Throws outside of development, which NODE_ENV tells, and when the module is of no use. */
  static async open(
    module: string,
    nodeEnvironment: string | undefined,
    ports: InProcessPorts,
  ): Promise<InProcessHandlers> {
    if (nodeEnvironment !== 'development') {
      const is = nodeEnvironment === undefined ? 'not set' : JSON.stringify(nodeEnvironment);
      throw new Error(
        `isolation none is for debugging: it is refused unless NODE_ENV is "development", and it is ${is}`,
      );
    }
    const loaded = await loadHandlers(module);
    if ('fault' in loaded) throw new Error(`the handlers module ${module} is of no use: ${loaded.fault}`);
    const text = 'handlers run in the process of the agent: one that blocks holds up the heartbeats';
    ports.log.warn({}, text);
    return new InProcessHandlers(loaded.found, ports);
  }

  get names(): readonly string[] {
    return [...this.#handlers.keys()];
  }

  call(calls: readonly HandlerCall[]): void {
    for (const call of calls) this.#begin(call);
  }

  /** Aborts the signal. After `graceMs` there is only a line in the log: nothing can end the handler but itself. */
  stop(runId: string, reason: StopReason, graceMs: number): void {
    const run = this.#runs.get(runId);
    if (run === undefined || run.reason !== null) return;
    run.reason = reason;
    run.stop.now(new HandlerStopped(reason));
    const { clock, log } = this.#ports;
    run.grace = clock.setTimer(graceMs, () => {
      const { handler, taskId } = run.call;
      log.warn(
        { taskId },
        `handler ${handler} has not ended on ${reason}; without isolation nothing else can`,
      );
    });
  }

  #begin(call: HandlerCall): void {
    const { runId, timeoutMs, killGraceMs } = call;
    const { clock, listener } = this.#ports;
    if (call.exclusive) {
      const text =
        'a task that must not run twice needs a handler that can be killed: run the worker with --isolation process';
      return listener.startFailed({ runId, code: 'EINVAL', text });
    }
    const run: Running = { call, stop: new Stop(), reason: null, timedOut: false, limit: null, grace: null };
    this.#runs.set(runId, run);
    if (timeoutMs !== undefined) {
      run.limit = clock.setTimer(timeoutMs, () => {
        run.timedOut = run.reason === null;
        this.stop(runId, 'timeout', killGraceMs);
      });
    }
    void this.#run(run);
  }

  async #run(run: Running): Promise<void> {
    const { clock, listener } = this.#ports;
    const { runId } = run.call;
    const { context, end } = contextOf(run.call, {
      clock,
      signal: () => run.stop.signal,
      write: (line) => listener.output(runId, 'stdout', Buffer.from(line)),
      said: (progress) => listener.progress(runId, progress),
    });
    const outcome = await callHandler(this.#handlers, run.call, context);
    end();
    // A timer that is left keeps the process of the agent alive for as long.
    run.limit?.cancel();
    run.grace?.cancel();
    run.stop.now(ENDED);
    this.#runs.delete(runId);
    this.#end(run, outcome);
  }

  #end(run: Running, outcome: HandlerOutcome): void {
    const { clock, listener } = this.#ports;
    listener.ended({
      ...{ runId: run.call.runId, executed: true, startedAtMs: null, endedAtMs: clock.wallMs(), outcome },
      ...{ stopReason: run.reason, timedOut: run.timedOut },
      ...{ exitCode: 0, signal: null, outOfMemory: null, outputTruncated: false },
    });
  }
}
