import { createHash } from 'node:crypto';
import type { SnapshotDag } from '../../../core/dag/bundles.js';
import type { DagDefinition } from '../../../core/dag/definition.js';
import type { SnapshotAnswer } from '../../../core/dag/draft.js';
import type { Engine } from '../../../engine/engine.js';
import type { Timers } from '../../../engine/timers.js';
import type { StreamId } from '../../../kit/ids.js';
import type { IntakeDesk, WholeSnapshot } from '../../../server/bundle-intake.js';
import type { SentSnapshot } from './bundle.js';

/** Takes whole snapshots to the engine, one after the other, as the real one does; what is in them needs no check. */
export class Desk implements IntakeDesk {
  readonly engine: Engine;
  readonly timers: Timers;
  readonly #line: WholeSnapshot[] = [];
  #deciding: WholeSnapshot | null = null;

  constructor(engine: Engine, timers: Timers) {
    this.engine = engine;
    this.timers = timers;
  }

  /** There is always room. */
  takeRoom(_: number, granted: () => void): { giveBack(): void } {
    granted();
    return { giveBack: () => {} };
  }

  put(snapshot: WholeSnapshot): void {
    this.#line.push(snapshot);
    this.#takeIn();
  }

  #takeIn(): void {
    while (this.#deciding === null) {
      const snapshot = this.#line.shift();
      if (snapshot === undefined) return;
      if (!snapshot.isWanted()) continue;
      this.#deciding = snapshot;
      const { streamId, bundle, sequence, hash, bytes } = snapshot;
      const sent = JSON.parse(new TextDecoder().decode(bytes)) as SentSnapshot;
      const dags = sent.dags.map(({ file, definition }) => this.#dag(bundle, file, definition));
      const { importErrors } = sent;
      this.engine.put({ kind: 'snapshot', streamId, bundle, sequence, hash, dags, importErrors });
    }
  }

  /** What is in force as it is goes without its definition. */
  #dag(bundle: string, file: string, definition: DagDefinition): SnapshotDag {
    const text = JSON.stringify(definition);
    const hash = createHash('sha256').update(text).digest('hex');
    const { dagId } = definition;
    const known = this.engine.state.dags.dags.get(dagId);
    const isKnown = known?.active === true && known.bundle === bundle && known.definitionHash === hash;
    return { dagId, file, hash, checked: isKnown ? null : { definition, text } };
  }

  decided(streamId: StreamId, answer: SnapshotAnswer | null): void {
    const snapshot = this.#deciding;
    if (snapshot?.streamId !== streamId) return;
    if (answer !== null && (answer.bundle !== snapshot.bundle || answer.sequence !== snapshot.sequence))
      return;
    this.#deciding = null;
    if (answer !== null) snapshot.answer(answer);
    this.#takeIn();
  }
}
