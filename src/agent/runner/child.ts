import { type ChildProcess, spawn } from 'node:child_process';
import { readSync } from 'node:fs';
import { constants } from 'node:os';
import type { Duplex, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { pause } from '../clock.js';
import { ChildOutput } from './child-output.js';
import { allowedEnvironment, runMark } from './environment.js';
import { FrameWriter, frameReader } from './frames.js';
import type { GateEnd } from './guardian.js';
import { leaderArgv } from './layers.js';
import { groupMembers, isGroupAlive, residentBytes, signal } from './procfs.js';
import {
  CHILD_FD,
  CHILD_WORD_FD,
  type ChildOrder,
  type ChildWord,
  type HandlerCall,
  type HandlerPoolOptions,
  INSTANCE_VARIABLE,
  isNoisy,
  OUTPUT_TAIL_MS,
  RUN_VARIABLE,
} from './protocol.js';
import type { RunPorts } from './run.js';

/** How a child died, in words for the report of the run that it had. */
export interface ChildDeath {
  readonly how: string;
  readonly outOfMemory: boolean;
}

/** Who hears of a child. */
export interface ChildListener {
  word(child: HandlerChild, word: ChildWord): void;
  /** No process of its group is alive, and its output has been read. */
  dead(child: HandlerChild, death: ChildDeath): void;
}

/** The share of a child's memory that its heap may take; buffers and code take the rest. */
const HEAP_SHARE = 0.75;
const MIB = 1024 * 1024;
const WORD_FD = 3;
/** What a pipe holds. */
const piece = Buffer.allocUnsafeSlow(64 * 1024);
const BURY_WAIT_MS = 50;

/** What V8 says when it gives up. */
const OUT_OF_MEMORY = /heap out of memory|Allocation failed|ERR_WORKER_OUT_OF_MEMORY/;

/** A child process for handlers: a process group of its own, in a namespace where there is one. */
export class HandlerChild {
  readonly pgid: number;
  /** Calls that it was given. */
  calls = 0;
  /** At the last look. */
  residentBytes = 0;
  /** It gets no further call, and is about to die or dead. */
  retired = false;
  /** The module is there. */
  isLoaded = false;
  /** The agent has journalled its group. */
  isNoted = false;
  readonly output: ChildOutput;
  private readonly ports: RunPorts;
  private readonly listener: ChildListener;
  private readonly leader: ChildProcess;
  private readonly writer: FrameWriter<ChildOrder>;
  private readonly mark: string;
  private readonly read: (chunk: Buffer) => void;
  private readonly channelClosed: Promise<void>;
  /** What it says can be looked for at any time by this descriptor; null where there are no named pipes. */
  private wordFd: number | null = null;
  private words: Readable | null = null;
  private orders = 0;
  /** Orders that are done or left. */
  private answered = 0;
  private noisy = 0;
  /** Of the calls that were sent behind another last. */
  private startBy: GateEnd | null = null;
  /** The process that the handlers are in; the group's leader may be the outer end of a namespace. */
  private pid: number | null = null;
  private readonly memoryBytes: number;
  private killedForMemory = false;
  private gone = false;

  /** Throws what the system says when no process can be made. */
  constructor(id: number, pool: HandlerPoolOptions, ports: RunPorts, listener: ChildListener, entry: URL) {
    this.ports = ports;
    this.listener = listener;
    this.memoryBytes = pool.memoryBytes;
    this.mark = runMark(ports.instanceId, `child-${id}`);
    this.output = new ChildOutput(
      ports.clock,
      (message) => ports.send(message),
      () => {
        if (this.orders - this.answered > 1) this.catchUp();
      },
    );
    this.leader = this.spawnLeader(pool, entry);
    // Its reason follows as an event, which must not end the runner.
    this.leader.on('error', () => {});
    if (this.leader.pid === undefined) throw new Error('no process could be made for handlers');
    this.pgid = this.leader.pid;
    ports.lifeline.watch(this.pgid);
    const channel = this.leader.stdio[CHILD_FD] as Duplex;
    this.writer = new FrameWriter<ChildOrder>(channel, ports.clock);
    this.read = frameReader<ChildWord>((word) => this.hear(word));
    channel.on('error', () => {});
    channel.resume();
    this.channelClosed = this.listen(
      this.words ?? ((this.leader.stdio as unknown as Readable[])[CHILD_WORD_FD] as Readable),
    );
    const word = this.leader.stdio[WORD_FD] as Duplex;
    word.on('error', () => {});
    word.resume();
    word.write('go\n');
    this.leader.on('exit', (code, name) => void this.finish(code, name));
  }

  private listen(words: Readable): Promise<void> {
    words.on('data', (data: Buffer) => this.take(data));
    words.on('error', () => {});
    return new Promise((resolve) => words.on('close', () => resolve()));
  }

  private take(data: Buffer): void {
    try {
      this.read(data);
    } catch {
      // A handler has written to a descriptor that is not its own.
      this.kill();
    }
  }

  tell(order: ChildOrder): void {
    this.writer.send(order);
  }

  /** The number of the order. With `startBy` it is behind others, and begins by then or never. */
  call(call: HandlerCall, startBy: GateEnd | null): number {
    const number = ++this.orders;
    this.calls++;
    this.startBy = startBy ?? this.startBy;
    const following = startBy === null ? null : { startBy, noisy: this.noisy };
    this.tell({ kind: 'call', number, call, following });
    return number;
  }

  /** Whether calls may be sent behind another: what it has said must be known before anything is taken back. */
  get canBeFollowed(): boolean {
    return this.wordFd !== null && !this.retired;
  }

  /** What was sent behind another has begun by now, or never will. */
  get isLate(): boolean {
    return this.startBy !== null && this.ports.clock.monoMs() > this.startBy.monoMs;
  }

  /** Hears all that it has said by now. */
  catchUp(): void {
    while (this.wordFd !== null && this.words?.destroyed === false) {
      try {
        const bytes = readSync(this.wordFd, piece);
        if (bytes === 0) return;
        this.take(Buffer.from(piece.subarray(0, bytes)));
      } catch {
        // Without waiting: there is no more.
        return;
      }
    }
  }

  /** SIGKILL to the group; `dead` follows. */
  kill(): void {
    this.retired = true;
    if (!this.gone) signal(-this.pgid, 'SIGKILL');
  }

  /** Kills a child that takes more memory than it may. */
  lookAtMemory(): void {
    if (this.pid === null || this.gone) return;
    this.residentBytes = residentBytes(this.pid);
    if (this.residentBytes <= this.memoryBytes || this.killedForMemory) return;
    this.killedForMemory = true;
    this.kill();
  }

  private hear(word: ChildWord): void {
    if (word.kind === 'loaded') this.pid = this.innermost();
    else if (word.kind === 'left') this.answered += word.numbers.length;
    else if (word.kind === 'done') {
      this.answered++;
      if (isNoisy(word)) this.noisy++;
    }
    this.listener.word(this, word);
  }

  /** The group has just the leader and what the namespace needs by then: the last of the line has the handlers. */
  private innermost(): number {
    const members = groupMembers(this.pgid);
    const parents = new Set(members.map(({ parent }) => parent));
    return members.find(({ pid }) => !parents.has(pid))?.pid ?? this.pgid;
  }

  private spawnLeader(pool: HandlerPoolOptions, entry: URL): ChildProcess {
    const { pipes, layers } = this.ports;
    const heapMib = Math.floor((pool.memoryBytes * HEAP_SHARE) / MIB);
    const node = [process.execPath, `--max-old-space-size=${heapMib}`, '--enable-source-maps'];
    const [program = '', ...args] = leaderArgv(layers, [...node, fileURLToPath(entry), pool.module]);
    const [out, err, words] = [pipes.open(), pipes.open(), pipes.open()];
    const env = {
      ...allowedEnvironment(process.env),
      ...pool.env,
      [INSTANCE_VARIABLE]: this.ports.instanceId,
      [RUN_VARIABLE]: this.mark,
    };
    try {
      const stdio = ['ignore', out.target, err.target, 'pipe', 'pipe', words.target] as const;
      const leader = spawn(program, args, { detached: true, env, stdio: [...stdio] });
      this.output.attach('stdout', out.reader ?? (leader.stdout as Readable), out.readFd);
      this.output.attach('stderr', err.reader ?? (leader.stderr as Readable), err.readFd);
      this.words = words.reader;
      this.wordFd = words.readFd;
      return leader;
    } finally {
      out.release();
      err.release();
      words.release();
    }
  }

  private async finish(code: number | null, name: NodeJS.Signals | null): Promise<void> {
    this.retired = true;
    this.gone = true;
    await this.bury();
    this.ports.lifeline.forget(this.pgid);
    await this.output.drained((giveUp) => this.ports.clock.setTimer(OUTPUT_TAIL_MS, giveUp));
    // Its last word may still be on its way: whoever could write it is dead, so the end of the stream is at hand.
    await Promise.race([this.channelClosed, pause(this.ports.clock, OUTPUT_TAIL_MS)]);
    this.listener.dead(this, this.death(code, name));
  }

  /** Nothing of the child is left when it is told to be dead. */
  private async bury(): Promise<void> {
    const { clock, layers, sweeper } = this.ports;
    for (let waitMs = 1; isGroupAlive(this.pgid); waitMs = Math.min(waitMs * 2, BURY_WAIT_MS)) {
      signal(-this.pgid, 'SIGKILL');
      await pause(clock, waitMs);
    }
    if (layers.protection.namespace !== 'none' || !layers.protection.sweep) return;
    await sweeper.gone({ variable: RUN_VARIABLE, value: this.mark });
  }

  private death(code: number | null, name: NodeJS.Signals | null): ChildDeath {
    const words = this.output.lastWords();
    if (this.killedForMemory) {
      const mib = Math.round(this.memoryBytes / MIB);
      return { how: `its process took more than ${mib} MiB of memory and was killed`, outOfMemory: true };
    }
    if (OUT_OF_MEMORY.test(words)) return { how: 'its heap was full', outOfMemory: true };
    const complaint = words.split('\n').find((line) => /^(Uncaught )?[A-Za-z.]*Error\b/.test(line)) ?? '';
    const about = complaint === '' ? '' : `: ${complaint}`;
    const signalled = name ?? signalOf(code);
    const end = signalled === null ? `with exit code ${code ?? 0}` : `by ${signalled}`;
    return { how: `its process ended ${end}${about}`, outOfMemory: false };
  }
}

/** Process 1 of a namespace tells a signal as a shell does. */
function signalOf(code: number | null): string | null {
  if (code === null || code <= 128) return null;
  return Object.entries(constants.signals).find(([, number]) => 128 + number === code)?.[0] ?? null;
}
