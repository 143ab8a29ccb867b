import childProcess, { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { realClock } from '../clock.js';
import { encodeFrame, frameReader } from '../runner/frames.js';
import { hasCome } from '../runner/guardian.js';
import {
  CHILD_FD,
  CHILD_WORD_FD,
  type ChildOrder,
  type ChildWord,
  isNoisy,
  type StopReason,
  type Traces,
} from '../runner/protocol.js';
import { callHandler } from './call.js';
import { HandlerStopped } from './context.js';
import type { Handler } from './define.js';
import { loadHandlers } from './load.js';
import { contextOf } from './run-context.js';
import { ENDED, Stop } from './stop.js';

/*
 * The child process that handlers run in, one call at a time. It belongs to its runner: it hears from nobody else, and
 * ends with it.
 */

const UNTRACED: Traces = { wrote: false, spawned: false, stopped: false };
/** What the current run has done that its runner must know of. */
const traces = { wrote: false, spawned: false, stopped: false };

/**
 * Standard output and error that are written before the call returns: a flood waits for its reader instead of filling
 * the memory, and whatever a run wrote is in the pipe when its end is told.
 */
function syncStream(fd: number): Writable {
  return new Writable({
    decodeStrings: true,
    write(chunk: Buffer, _encoding, written) {
      traces.wrote = true;
      writeAll(fd, chunk);
      written();
    },
  });
}

const writeNow = fs.writeSync;

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeNow(fd, bytes, at);
    } catch (error) {
      // Somebody made the pipe non-blocking: it is full, and will be read. Nobody reads it: nobody misses it.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
    }
  }
}

/** What writes to standard output or error by its descriptor, as loggers do, has written too. */
function watchWrites(): void {
  for (const name of ['write', 'writev', 'writeSync', 'writevSync'] as const) {
    const original = fs[name] as (...args: unknown[]) => unknown;
    const watched = (...args: unknown[]): unknown => {
      if (args[0] === 1 || args[0] === 2) traces.wrote = true;
      return original(...args);
    };
    // With what `promisify` looks for.
    Object.defineProperties(watched, Object.getOwnPropertyDescriptors(original));
    Object.assign(fs, { [name]: watched });
  }
}

/** A handler that starts processes takes its own with it when it ends: they could otherwise outlive their run. */
function watchSpawns(): void {
  const spawn = (ChildProcess.prototype as unknown as { spawn: (...args: unknown[]) => unknown }).spawn;
  Object.assign(ChildProcess.prototype, {
    spawn(this: ChildProcess, ...args: unknown[]): unknown {
      traces.spawned = true;
      return spawn.apply(this, args);
    },
  });
  for (const name of ['spawnSync', 'execSync', 'execFileSync'] as const) {
    const original = childProcess[name] as (...args: unknown[]) => unknown;
    Object.assign(childProcess, {
      [name]: (...args: unknown[]): unknown => {
        traces.spawned = true;
        return original(...args);
      },
    });
  }
}

/** Before anything else is done: with the word in the pipe its runner knows that what comes next has not begun before it. */
function say(word: ChildWord): void {
  writeAll(CHILD_WORD_FD, encodeFrame([word]));
}

type CallOrder = Extract<ChildOrder, { kind: 'call' }>;

class HandlerChild {
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #waiting: CallOrder[] = [];
  #now: { readonly number: number; readonly stop: Stop } | null = null;
  /** Runs that have left something for the runner to see to. */
  #noisy = 0;

  constructor(handlers: ReadonlyMap<string, Handler>) {
    this.#handlers = handlers;
  }

  take(order: ChildOrder): void {
    switch (order.kind) {
      case 'call':
        this.#waiting.push(order);
        if (this.#now === null) this.#next();
        return;
      case 'stop':
        return this.#stop(order.number, order.reason);
    }
  }

  #stop(number: number, reason: StopReason): void {
    if (this.#now?.number === number) {
      traces.stopped = true;
      return this.#now.stop.now(new HandlerStopped(reason));
    }
    const at = this.#waiting.findIndex((order) => order.number === number);
    if (at === -1) return;
    this.#waiting.splice(at, 1);
    say({ kind: 'left', numbers: [number] });
  }

  #next(): void {
    const left: number[] = [];
    let next = this.#waiting.shift();
    for (; next !== undefined && !this.#mayBegin(next); next = this.#waiting.shift()) left.push(next.number);
    if (left.length > 0) say({ kind: 'left', numbers: left });
    if (next !== undefined) void this.#call(next);
  }

  /** The last look before a call that was sent behind another (P3). */
  #mayBegin({ following }: CallOrder): boolean {
    if (following === null) return true;
    return following.noisy === this.#noisy && !hasCome(following.startBy, realClock);
  }

  async #call({ number, call }: CallOrder): Promise<void> {
    const stop = new Stop();
    this.#now = { number, stop };
    Object.assign(traces, UNTRACED);
    const beganMs = realClock.monoMs();
    const { context, end } = contextOf(call, {
      clock: realClock,
      signal: () => stop.signal,
      write: (line) => void process.stdout.write(line),
      said: (progress) => say({ kind: 'said', ...progress }),
    });
    const outcome = await callHandler(this.#handlers, call, context);
    end();
    // What the handler left waiting on its signal ends too.
    stop.now(ENDED);
    if (isNoisy(traces)) this.#noisy++;
    say({ kind: 'done', outcome, tookMs: realClock.monoMs() - beganMs, ...traces });
    this.#now = null;
    this.#next();
  }
}

async function main(): Promise<void> {
  const [, , module = ''] = process.argv;
  for (const [name, fd] of [
    ['stdout', 1],
    ['stderr', 2],
  ] as const) {
    Object.defineProperty(process, name, { value: syncStream(fd), configurable: true });
  }
  watchWrites();
  watchSpawns();
  syncBuiltinESMExports();
  const socket = new Socket({ fd: CHILD_FD, readable: true, writable: true });
  for (const end of ['end', 'close', 'error'] as const) socket.on(end, () => process.exit(0));
  const loaded = await loadHandlers(module);
  if ('fault' in loaded) return say({ kind: 'unusable', text: loaded.fault });
  const child = new HandlerChild(loaded.found);
  socket.on(
    'data',
    frameReader<ChildOrder>((order) => child.take(order)),
  );
  say({ kind: 'loaded', handlers: [...loaded.found.keys()] });
}

await main();
