import type { AgentClock, Timer } from '../clock.js';
import type { HandlerCall, HandlerProgress } from '../runner/protocol.js';
import type { HandlerContext, HandlerLog } from './context.js';
import { Defer, type Resumed, Skip } from './defer.js';
import type { Json } from './define.js';

/** What a context needs of the place that its handler runs in. */
export interface ContextPorts {
  readonly clock: AgentClock;
  /** Made when it is asked for. */
  readonly signal: () => AbortSignal;
  write(line: string): void;
  said(progress: HandlerProgress): void;
}

export interface RunContext {
  readonly context: HandlerContext;
  readonly end: () => void;
}

/** The context of one run; `end` once the handler is over: what is said later goes nowhere. */
export function contextOf(call: HandlerCall, ports: ContextPorts): RunContext {
  const { clock } = ports;
  let log: HandlerLog | null = null;
  const teller = new ProgressTeller(ports);
  const { taskId, tryNumber, agentId, queue, traceparent } = call;
  const deadline = call.timeoutMs === undefined ? null : new Date(clock.wallMs() + call.timeoutMs);
  const context: HandlerContext = {
    get signal() {
      return ports.signal();
    },
    token: BigInt(call.runId),
    ...{ taskId, tryNumber, agentId, queue, traceparent, deadline },
    get log() {
      log ??= logTo(ports);
      return log;
    },
    progress: (first: number | string, message: string = '') =>
      teller.say(
        typeof first === 'number' ? { fraction: first, message } : { fraction: null, message: first },
      ),
    resumed: resumedBy(call),
    defer: (to) => {
      throw new Defer(to);
    },
    skip: (reason) => {
      throw new Skip(reason);
    },
  };
  return { context, end: () => teller.end() };
}

function resumedBy({ resumption }: HandlerCall): Resumed | null {
  if (resumption === null) return null;
  const { event, state } = resumption;
  return { event: JSON.parse(event) as Json, state: state === '' ? undefined : (JSON.parse(state) as Json) };
}

function logTo(ports: ContextPorts): HandlerLog {
  const at =
    (level: string) =>
    (message: string, fields: object = {}): void => {
      const time = new Date(ports.clock.wallMs()).toISOString();
      ports.write(`${JSON.stringify({ at: time, level, message, ...fields }, printable)}\n`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** What JSON cannot hold must not fail a line of a log. */
function printable(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Error) return value.stack ?? value.message;
  return value;
}

/** Between two words of one run, in milliseconds; what is said sooner waits, and only the newest of it. */
const PROGRESS_MS = 1_000;

class ProgressTeller {
  readonly #ports: ContextPorts;
  #waiting: HandlerProgress | null = null;
  #timer: Timer | null = null;
  #over = false;

  constructor(ports: ContextPorts) {
    this.#ports = ports;
  }

  say(progress: HandlerProgress): void {
    if (this.#over) return;
    this.#waiting = progress;
    if (this.#timer === null) this.#tell();
  }

  end(): void {
    this.#over = true;
    this.#timer?.cancel();
  }

  #tell(): void {
    this.#timer = null;
    const said = this.#waiting;
    if (said === null) return;
    this.#waiting = null;
    this.#ports.said(said);
    this.#timer = this.#ports.clock.setTimer(PROGRESS_MS, () => this.#tell());
  }
}
