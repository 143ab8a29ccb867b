import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, rmSync, unlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';

/** What a command writes to, and where we read it. */
export interface OutputPipe {
  /** For the `stdio` of spawn: a descriptor, to be closed with `release` after it; or Node's own `pipe`. */
  readonly target: number | 'pipe';
  /** Null with Node's own: then the child's stream is it. */
  readonly reader: Socket | null;
  /** The reader's descriptor, which never blocks; null with Node's own. */
  readonly readFd: number | null;
  release(): void;
}

const NODE_PIPE: OutputPipe = { target: 'pipe', reader: null, readFd: null, release() {} };

/** Named pipes made by one call of mkfifo: a call costs a few milliseconds of every other run. */
const BATCH = 32;

/**
 * Real pipes for the commands' output. Node's own `pipe` is a socket, and `echo … > /dev/stderr`, common in scripts,
 * fails on a socket (ENXIO). Node cannot make a pipe, so named ones are made ahead and their names removed at once when
 * they are opened. Where that fails (a file system without named pipes) Node's own must do.
 */
export class OutputPipes {
  private readonly folder: string;
  private readonly note: (text: string) => void;
  private ready: string[] = [];
  private made = 0;
  private usable = true;

  constructor(folder: string, note: (text: string) => void) {
    this.folder = folder;
    this.note = note;
    this.giveUpOnFault(() => {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { mode: 0o700 });
      this.refill();
    });
  }

  open(): OutputPipe {
    return (this.usable ? this.giveUpOnFault(() => this.openNamed()) : null) ?? NODE_PIPE;
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private openNamed(): OutputPipe {
    if (this.ready.length === 0) this.refill();
    const name = this.ready.pop() as string;
    // The reading end first and without waiting: then the writing end opens at once.
    const readFd = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
    const reader = new Socket({ fd: readFd, readable: true, writable: false });
    try {
      const target = openSync(name, constants.O_WRONLY);
      unlinkSync(name);
      return { target, reader, readFd, release: () => closeSync(target) };
    } catch (error) {
      reader.destroy();
      throw error;
    }
  }

  private refill(): void {
    const names = Array.from({ length: BATCH }, () => join(this.folder, String(++this.made)));
    const { error, status, stderr } = spawnSync('mkfifo', ['-m', '600', ...names], { encoding: 'utf8' });
    if (status !== 0) throw error ?? new Error(stderr.trim());
    this.ready = names;
  }

  private giveUpOnFault<T>(act: () => T): T | null {
    try {
      return act();
    } catch (error) {
      // Out of descriptors passes again; anything else will not.
      this.usable = ['EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '');
      if (!this.usable) {
        this.note(
          `commands cannot open /dev/stdout and /dev/stderr: no named pipes (${(error as Error).message})`,
        );
      }
      return null;
    }
  }
}
