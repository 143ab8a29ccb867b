import { basename } from 'node:path';
import { watch } from 'chokidar';
import { type DagClock, dagClock } from '../clock.js';
import type { ParserOptions } from '../isolate/parser.js';
import { Bundle, type Snapshot } from './bundle.js';
import { isLeftOut } from './list.js';

export interface WatchOptions extends ParserOptions {
  /** Quiet for this long, a change is read. Default 300 ms. */
  readonly settleMs?: number | undefined;
  /** Looked at anew after this even when no change was seen, as on network file systems. Default 30 s. */
  readonly pollMs?: number | undefined;
  /** Told why the bundle could not be read; its last snapshot stays as it is. */
  readonly onFailure?: ((error: Error) => void) | undefined;
}

export interface BundleWatch {
  /** Reads the bundle now, or once more after the reading that goes on. */
  look(): void;
  /** Ends the watch and every process that reads; nothing is told after it. */
  close(): Promise<void>;
}

const DEFAULTS = { settleMs: 300, pollMs: 30_000 };

/** Reads a bundle once: a complete snapshot. Rejects when the folder cannot be read. */
export async function parseBundle(root: string, options: ParserOptions = {}): Promise<Snapshot> {
  const bundle = new Bundle(root, options);
  try {
    return await bundle.read();
  } finally {
    bundle.close();
  }
}

/**
 * Reads a bundle now and whenever it changes. `onSnapshot` gets the first snapshot and then each that differs from the one
 * before; one at a time, always complete.
 */
export function watchBundle(
  root: string,
  onSnapshot: (snapshot: Snapshot) => void,
  options: WatchOptions = {},
): BundleWatch {
  const loop = new WatchLoop(new Bundle(root, options), onSnapshot, options);
  const watcher = watch(root, {
    ignoreInitial: true,
    ignored: (path) => path !== root && isLeftOut(basename(path)),
    followSymlinks: false,
  });
  watcher.on('all', () => loop.soon());
  // What changed after the first reading, and before all was watched.
  watcher.on('ready', () => loop.soon());
  // What cannot be watched is still looked at from time to time.
  watcher.on('error', () => loop.soon());
  loop.look();
  return {
    look: () => loop.look(),
    close: async () => {
      loop.close();
      await watcher.close();
    },
  };
}

/** One reading at a time; what changes during one is seen by the next. */
class WatchLoop {
  readonly #bundle: Bundle;
  readonly #onSnapshot: (snapshot: Snapshot) => void;
  readonly #options: WatchOptions;
  readonly #clock: DagClock;
  #cancel: () => void = () => {};
  #reading = false;
  #again = false;
  #settling = false;
  #closed = false;
  #hash = '';

  constructor(bundle: Bundle, onSnapshot: (snapshot: Snapshot) => void, options: WatchOptions) {
    this.#bundle = bundle;
    this.#onSnapshot = onSnapshot;
    this.#options = options;
    this.#clock = options.clock ?? dagClock;
  }

  /** Not put off by further changes: a file that is written all the time would hold up all others. */
  soon(): void {
    if (this.#settling) return;
    this.#settling = true;
    this.#in(this.#options.settleMs ?? DEFAULTS.settleMs);
  }

  look(): void {
    if (this.#closed) return;
    this.#settling = false;
    this.#again = this.#reading;
    if (this.#reading) return;
    this.#reading = true;
    this.#bundle.read().then(
      (snapshot) => this.#done(snapshot, null),
      (error: Error) => this.#done(null, error),
    );
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
    this.#bundle.close();
  }

  #done(snapshot: Snapshot | null, error: Error | null): void {
    this.#reading = false;
    if (this.#closed) return;
    if (error !== null) this.#options.onFailure?.(error);
    if (snapshot !== null && snapshot.hash !== this.#hash) {
      this.#hash = snapshot.hash;
      this.#onSnapshot(snapshot);
    }
    if (this.#again) this.soon();
    else if (!this.#settling) this.#in(this.#options.pollMs ?? DEFAULTS.pollMs);
    this.#again = false;
  }

  #in(ms: number): void {
    this.#cancel();
    if (!this.#closed) this.#cancel = this.#clock.setTimer(ms, () => this.look());
  }
}
