import type { SnapshotAnswer } from '../core/dag/draft.js';
import type { Clock } from '../engine/clock.js';
import type { Engine } from '../engine/engine.js';
import type { Timers } from '../engine/timers.js';
import type { StreamId } from '../kit/ids.js';
import { LIMITS } from '../wire/limits.js';
import type { IntakeDesk, WholeSnapshot } from './bundle-intake.js';
import {
  type CheckedSnapshot,
  checkSnapshot,
  type DagCheck,
  type FoundDag,
  type LargeDagCheck,
} from './snapshot-check.js';

export interface DeskPorts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Null: this coordinator takes no DAGs. */
  readonly check: DagCheck | null;
  /** Null: large DAGs are checked like all others. */
  readonly checkLarge: LargeDagCheck | null;
}

/** Somebody who waits for room in memory. */
interface Waiting {
  readonly bytes: number;
  readonly granted: () => void;
}

interface Begun {
  readonly hash: string;
  readonly found: Map<string, FoundDag>;
}

/** Bundles whose half-checked snapshots are kept; the one that was begun first is let go. */
const BEGUN_KEPT = 4;

/**
 * What the streams of all DAG processors share: the memory for snapshots on their way, and the one place where they are
 * checked and decided, one after the other. What is in force while one is checked is so when it is decided.
 */
export class BundleDesk implements IntakeDesk {
  readonly #ports: DeskPorts;
  readonly #line: WholeSnapshot[] = [];
  #deciding: { readonly snapshot: WholeSnapshot; readonly settle: () => void } | null = null;
  #busy = false;
  #taken = 0;
  #waiting: Waiting[] = [];
  /**
   * By bundle, what was found of a snapshot whose stream went before it was decided. Checking a DAG of 10,000 tasks may
   * silence a stream; beginning anew on the next one, such a snapshot would never come into force.
   */
  readonly #begun = new Map<string, Begun>();

  constructor(ports: DeskPorts) {
    this.#ports = ports;
  }

  get engine(): Engine {
    return this.#ports.engine;
  }

  get timers(): Timers {
    return this.#ports.timers;
  }

  /** Takes room for a snapshot; `granted` is called when there is some, at once or later. Give it back, or leave the line. */
  takeRoom(bytes: number, granted: () => void): { giveBack(): void } {
    const waiting = { bytes, granted };
    this.#waiting.push(waiting);
    this.#grant();
    let over = false;
    return {
      giveBack: () => {
        if (over) return;
        over = true;
        if (this.#waiting.includes(waiting)) this.#waiting = this.#waiting.filter((one) => one !== waiting);
        else this.#taken -= bytes;
        this.#grant();
      },
    };
  }

  /** In the order of arrival: a large one is not overtaken for ever by small ones. */
  #grant(): void {
    for (;;) {
      const [first] = this.#waiting;
      if (first === undefined || this.#taken + first.bytes > LIMITS.bundlesBytes) return;
      this.#waiting.shift();
      this.#taken += first.bytes;
      first.granted();
    }
  }

  put(snapshot: WholeSnapshot): void {
    this.#line.push(snapshot);
    void this.#work();
  }

  /** The engine has decided a snapshot, or its stream is gone. */
  decided(streamId: StreamId, answer: SnapshotAnswer | null): void {
    const { snapshot, settle } = this.#deciding ?? {};
    if (snapshot?.streamId !== streamId) return;
    if (answer !== null && (answer.bundle !== snapshot.bundle || answer.sequence !== snapshot.sequence))
      return;
    this.#deciding = null;
    if (answer !== null) {
      this.#begun.delete(snapshot.bundle);
      snapshot.answer(answer);
    }
    settle?.();
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#line.shift(); next !== undefined; next = this.#line.shift())
      await this.#takeIn(next);
    this.#busy = false;
    this.#ports.checkLarge?.close();
  }

  async #takeIn(snapshot: WholeSnapshot): Promise<void> {
    if (!snapshot.isWanted()) return;
    const checked = await this.#check(snapshot);
    if (checked.kind === 'unwanted' || !snapshot.isWanted()) return;
    if (checked.kind === 'malformed') this.#begun.delete(snapshot.bundle);
    if (checked.kind === 'malformed') return snapshot.answer({ state: 'refused', message: checked.message });
    const { streamId, bundle, sequence, hash } = snapshot;
    const { dags, importErrors } = checked;
    await new Promise<void>((settle) => {
      this.#deciding = { snapshot, settle };
      this.engine.put({ kind: 'snapshot', streamId, bundle, sequence, hash, dags, importErrors });
    });
  }

  #foundBefore(bundle: string, hash: string): Map<string, FoundDag> {
    const begun = this.#begun.get(bundle);
    if (begun?.hash === hash) return begun.found;
    const found = new Map<string, FoundDag>();
    this.#begun.delete(bundle);
    this.#begun.set(bundle, { hash, found });
    const [first] = this.#begun.keys();
    if (this.#begun.size > BEGUN_KEPT && first !== undefined) this.#begun.delete(first);
    return found;
  }

  async #check({ bundle, bytes, hash, isWanted }: WholeSnapshot): Promise<CheckedSnapshot> {
    const { check, checkLarge, clock, timers } = this.#ports;
    if (check === null) return { kind: 'malformed', message: 'this coordinator takes no DAGs' };
    const known = new Map<string, string>();
    for (const dag of this.engine.state.dags.dags.values())
      if (dag.active && dag.bundle === bundle) known.set(dag.definitionHash, dag.dagId);
    const found = this.#foundBefore(bundle, hash);
    return checkSnapshot(bytes, {
      ...{ check, checkLarge, known, found },
      isWanted,
      now: () => clock.mono(),
      rest: () => new Promise((resolve) => timers.soon(resolve)),
    });
  }
}
