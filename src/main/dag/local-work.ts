import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { realClock } from '../../agent/clock.js';
import { SKIP_EXIT_CODE } from '../../agent/deferral.js';
import { callHandler } from '../../agent/handlers/call.js';
import type { Handler } from '../../agent/handlers/define.js';
import { contextOf } from '../../agent/handlers/run-context.js';
import { readResult } from '../../agent/result.js';
import type { HandlerOutcome } from '../../agent/runner/protocol.js';
import { resultOf } from '../../core/dag/render.js';
import type { Work } from '../../core/rows.js';
import type { LocalInstance, TryEnd } from './local-run.js';

/** Tries of a local run: commands as processes, handlers in this one. */
export class LocalWork {
  readonly #handlers: ReadonlyMap<string, Handler>;
  /** Told each line that a try writes. */
  readonly #print: (instance: LocalInstance, line: string) => void;
  readonly #stop = new AbortController();
  #runs = 0;

  constructor(
    handlers: ReadonlyMap<string, Handler>,
    print: (instance: LocalInstance, line: string) => void,
  ) {
    this.#handlers = handlers;
    this.#print = print;
  }

  attempt(instance: LocalInstance, work: Work): Promise<TryEnd> {
    this.#runs += 1;
    return work.kind === 'command' ? this.#command(instance, work) : this.#handler(instance, work);
  }

  /** Ends what runs: SIGTERM to each group, and SIGKILL after its kill grace. */
  stop(): void {
    this.#stop.abort();
  }

  async #command(instance: LocalInstance, work: Extract<Work, { kind: 'command' }>): Promise<TryEnd> {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-dag-test-'));
    const resultFile = join(folder, 'result');
    const [program = '', ...args] = work.argv;
    const child = spawn(program, args, {
      cwd: work.workingDirectory === '' ? folder : work.workingDirectory,
      env: { ...process.env, ...this.#variables(instance), HOLDFAST_RESULT_FILE: resultFile, ...work.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#tell(instance, child.stdout);
    this.#tell(instance, child.stderr);
    try {
      return endOf(await this.#ended(instance, child), resultFile);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  #variables({ task, mapIndex, tries }: LocalInstance): Record<string, string> {
    return {
      HOLDFAST_TASK_ID: mapIndex < 0 ? task.taskId : `${task.taskId}-${mapIndex}`,
      HOLDFAST_TRY_NUMBER: String(tries),
      HOLDFAST_FENCING_TOKEN: String(this.#runs),
      HOLDFAST_AGENT_ID: AGENT_ID,
      HOLDFAST_QUEUE: task.queue,
    };
  }

  #tell(instance: LocalInstance, stream: Readable): void {
    createInterface({ input: stream }).on('line', (line) => this.#print(instance, line));
  }

  /** Null once it has ended well, else why it has not. */
  #ended({ task }: LocalInstance, child: ChildProcess): Promise<string | null> {
    return new Promise((resolve) => {
      let why: string | null = null;
      const timers: NodeJS.Timeout[] = [];
      const end = (because: string): void => {
        why ??= because;
        signalGroup(child, 'SIGTERM');
        timers.push(setTimeout(() => signalGroup(child, 'SIGKILL'), task.killGraceMs));
      };
      const stop = (): void => end('stopped');
      this.#stop.signal.addEventListener('abort', stop);
      if (task.executionTimeoutMs !== null) {
        timers.push(setTimeout(() => end('execution_timeout'), task.executionTimeoutMs));
      }
      const over = (because: string | null): void => {
        for (const timer of timers) clearTimeout(timer);
        this.#stop.signal.removeEventListener('abort', stop);
        signalGroup(child, 'SIGKILL');
        resolve(why ?? because);
      };
      child.on('error', (error) => over(`it cannot be started: ${error.message}`));
      child.on('close', (code, signal) =>
        over(code === 0 ? null : signal === null ? `exit code ${code}` : `died of ${signal}`),
      );
    });
  }

  async #handler(instance: LocalInstance, work: Extract<Work, { kind: 'handler' }>): Promise<TryEnd> {
    const { task, tries } = instance;
    const timeoutMs = task.executionTimeoutMs;
    const signals = [this.#stop.signal, ...(timeoutMs === null ? [] : [AbortSignal.timeout(timeoutMs)])];
    const call = {
      ...{ runId: String(this.#runs), handler: work.name, input: work.input, inputType: work.inputType },
      ...{ exclusive: false, taskId: task.taskId, tryNumber: tries, agentId: AGENT_ID, queue: task.queue },
      ...{
        traceparent: '',
        resumption: null,
        killGraceMs: task.killGraceMs,
        singleRun: false,
        ...(timeoutMs === null ? {} : { timeoutMs }),
      },
    };
    const { context, end } = contextOf(call, {
      clock: realClock,
      signal: () => AbortSignal.any(signals),
      write: (line) => this.#print(instance, line.trimEnd()),
      said: ({ message }) => this.#print(instance, message),
    });
    const outcome = await callHandler(this.#handlers, call, context);
    end();
    return endOfHandler(outcome);
  }
}

const AGENT_ID = 'dag-test';

const failed = (message: string): TryEnd => ({ success: false, message, result: null, final: false });

function endOfHandler(outcome: HandlerOutcome): TryEnd {
  switch (outcome.kind) {
    case 'failed':
      return { ...failed(outcome.message), final: outcome.final };
    case 'skipped':
      return { success: true, skipped: true, message: outcome.message, result: null, final: false };
    case 'deferred': {
      const waits = `it waits for a trigger of kind ${outcome.deferral.kind}, and nothing waits here`;
      return { ...failed(`${waits}: run it with holdfast dev and a triggerer`), final: true };
    }
    case 'success': {
      const { result, resultType } = outcome;
      return { success: true, message: '', result: resultOf({ result, resultType }), final: false };
    }
  }
}

function endOf(because: string | null, resultFile: string): TryEnd {
  if (because === `exit code ${SKIP_EXIT_CODE}`)
    return { success: true, skipped: true, message: because, result: null, final: false };
  if (because !== null) return failed(because);
  const read = readResult(resultFile);
  switch (read.kind) {
    case 'none':
      return { success: true, message: '', result: null, final: false };
    case 'too_large':
      return failed(`its result has ${read.bytes} bytes, which is more than is kept`);
    case 'result':
      return {
        success: true,
        message: '',
        result: resultOf({ result: read.data, resultType: read.type }),
        final: false,
      };
  }
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody of the group is left.
  }
}
