import childProcess, { ChildProcess } from 'node:child_process';
import { writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { realClock } from '../clock.js';
import { FrameWriter, frameReader } from '../runner/frames.js';
import { CHILD_FD, type ChildOrder, type ChildWord, type HandlerCall } from '../runner/protocol.js';
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

/** What the current run has done that its runner must know of. */
const traces = { wrote: false, spawned: false };

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

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      // Somebody made the pipe non-blocking: it is full, and will be read. Nobody reads it: nobody misses it.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
    }
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
  syncBuiltinESMExports();
}

class HandlerChild {
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #writer: FrameWriter<ChildWord>;
  #stop: Stop | null = null;

  constructor(handlers: ReadonlyMap<string, Handler>, writer: FrameWriter<ChildWord>) {
    this.#handlers = handlers;
    this.#writer = writer;
  }

  take(order: ChildOrder): void {
    switch (order.kind) {
      case 'call':
        return void this.#call(order.call);
      case 'stop':
        return this.#stop?.now(new HandlerStopped(order.reason));
    }
  }

  async #call(call: HandlerCall): Promise<void> {
    const stop = new Stop();
    this.#stop = stop;
    traces.wrote = false;
    traces.spawned = false;
    const { context, end } = contextOf(call, {
      clock: realClock,
      signal: () => stop.signal,
      write: (line) => void process.stdout.write(line),
      said: (progress) => this.#writer.send({ kind: 'said', ...progress }),
    });
    const outcome = await callHandler(this.#handlers, call, context);
    end();
    this.#stop = null;
    // What the handler left waiting on its signal ends too.
    stop.now(ENDED);
    this.#writer.send({ kind: 'done', outcome, ...traces });
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
  watchSpawns();
  const socket = new Socket({ fd: CHILD_FD, readable: true, writable: true });
  for (const end of ['end', 'close', 'error'] as const) socket.on(end, () => process.exit(0));
  const writer = new FrameWriter<ChildWord>(socket, realClock);
  const loaded = await loadHandlers(module);
  if ('fault' in loaded) return writer.send({ kind: 'unusable', text: loaded.fault });
  const child = new HandlerChild(loaded.found, writer);
  socket.on(
    'data',
    frameReader<ChildOrder>((order) => child.take(order)),
  );
  writer.send({ kind: 'loaded', handlers: [...loaded.found.keys()] });
}

await main();
