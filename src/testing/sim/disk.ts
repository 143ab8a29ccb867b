import type { Random } from '../../kit/random.js';
import type { Snapshot } from '../../store/memory/snapshot.js';
import { type CommitFault, MemoryStore } from '../../store/memory/store.js';
import type { Puts } from '../../store/store.js';
import type { EventQueue } from './events.js';
import type { Process } from './host.js';

/** `write`: decided, and nothing of it on the disk. `return`: on the disk, and nobody knows it. */
export type CommitStep = 'write' | 'return';

/** What shall happen to the coordinator inside a commit. */
export interface Strike {
  readonly step: CommitStep;
  readonly happen: () => void;
}

/** What watches the disk. */
export interface DiskWatcher {
  committed(puts: Puts): void;
  decided(): void;
  commitOver(): void;
  storeLags(): void;
}

/** Half of a commit on a good disk takes up to this. */
const FAST_MS = 1;
/** What takes longer delays the failing of agents. */
const LAG_MS = 100;

/**
 * The coordinator's disk. A commit takes its time, half of it before its puts are made and half after; in some worlds
 * the process stands still meanwhile (SQLite is called from its loop), in others it goes on (a server answers later).
 */
export class Disk {
  /** Full until then, in true time. */
  fullUntil = 0;
  /** Slow until then, in true time: each half of a commit takes up to `slowMs`. */
  slowUntil = 0;
  slowMs = 0;
  /** The next commit fails in this way. */
  nextFault: CommitFault | null = null;
  /** Inside the next commit, this happens. */
  strike: Strike | null = null;
  /** A commit waits for time to pass. */
  waited = false;
  /** It was busy: the engine waits before it asks again. */
  #refused = false;
  /** A half of the commit under way took long. */
  #lags = false;
  readonly #events: EventQueue;
  readonly #random: Random;
  readonly #blocks: boolean;
  readonly #watcher: DiskWatcher;

  constructor(events: EventQueue, random: Random, blocks: boolean, watcher: DiskWatcher) {
    this.#events = events;
    this.#random = random;
    this.#blocks = blocks;
    this.#watcher = watcher;
  }

  /** A new disk, or what a restart finds on the old one. */
  open(from: Snapshot | null, pace: (step: CommitStep) => Promise<void>): MemoryStore {
    this.waited = false;
    const options = {
      pace,
      beforeCommit: () => this.#fault(),
      onCommit: (puts: Puts) => this.#watcher.committed(puts),
    };
    return new MemoryStore(options, from);
  }

  heal(): void {
    this.fullUntil = 0;
    this.slowUntil = 0;
    this.nextFault = null;
    this.strike = null;
  }

  /** Lets one half of a commit take its time. What the process does not live to see never happens. */
  wait(step: CommitStep, process: Process, done: () => void): void {
    const isSlow = this.#events.now < this.slowUntil;
    const ms = this.#random() * (isSlow ? this.slowMs : FAST_MS);
    this.#refused &&= step === 'return';
    if (step === 'write') this.#watcher.decided();
    if (step === 'write' && this.#blocks) process.block();
    this.#lags = ms > LAG_MS || (step === 'return' && this.#lags);
    if (this.#lags) this.#watcher.storeLags();
    this.waited = true;
    const begin = this.#events.now;
    const { strike } = this;
    if (strike?.step === step) {
      this.strike = null;
      strike.happen();
    }
    this.#events.after(ms, () => {
      const goOn = () => {
        // Stopped inside of it, the process comes to what it decided as late as on a slow disk.
        this.#lags ||= this.#events.now - begin > LAG_MS;
        this.waited = step === 'return' && this.#refused;
        if (step === 'return') this.#watcher.commitOver();
        if (this.#lags) this.#watcher.storeLags();
        done();
        if (step === 'return' && this.#blocks) process.unblock();
      };
      if (this.#blocks) process.proceed(goOn);
      else process.run(goOn);
    });
  }

  #fault(): CommitFault | null {
    if (this.#events.now < this.fullUntil) {
      this.#watcher.storeLags();
      return { fault: 'full', applied: false };
    }
    const fault = this.nextFault;
    this.nextFault = null;
    this.#refused = fault?.fault === 'busy';
    return fault;
  }
}
