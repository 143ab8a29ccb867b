import type { SnapshotDag } from '../../../src/core/dag/bundles.js';
import type { DagDefinition } from '../../../src/core/dag/definition.js';
import type { BundleHold, SnapshotAnswer } from '../../../src/core/dag/draft.js';
import type { BundleRow, DagRow } from '../../../src/core/dag/rows.js';
import type { Frame } from '../../../src/core/frames.js';
import type { AgentId, Epoch, InstanceId, StreamId } from '../../../src/kit/ids.js';
import type { DagWorld } from './support.js';

/** A DAG as a snapshot brings it; the hash stands for its content. */
export function inFile(definition: DagDefinition, hash = 'v1', file = `${definition.dagId}.dag.yaml`) {
  const dag: SnapshotDag = {
    dagId: definition.dagId,
    file,
    hash: `${definition.dagId} ${hash}`,
    checked: { definition, text: JSON.stringify(definition) },
  };
  return dag;
}

let streams = 1_000;

/** A DAG processor that says what a test wants. */
export class Processor {
  readonly #world: DagWorld;
  readonly #agentId: string;
  readonly #bundles: readonly string[];
  #instance = 0;
  #streamNo = 0n;
  #seq = 1;
  #sequence = 0n;
  streamId = 0 as StreamId;

  constructor(world: DagWorld, agentId: string, bundles: readonly string[] = ['main']) {
    this.#world = world;
    this.#agentId = agentId;
    this.#bundles = bundles;
  }

  /** A new stream; with `fresh` of a new process. */
  async connect(fresh = false, change: { readonly bundles?: readonly string[] } = {}): Promise<this> {
    this.hello(fresh, change);
    await this.#world.idle();
    return this;
  }

  /** As `connect`, without the answer. */
  hello(fresh = false, change: { readonly bundles?: readonly string[] } = {}): void {
    if (fresh) this.#instance++;
    this.#streamNo++;
    this.#seq = 1;
    this.streamId = ++streams as StreamId;
    this.#world.engine.put({
      kind: 'hello',
      streamId: this.streamId,
      at: this.#world.clockwork.clock.mono(),
      hello: {
        agentId: this.#agentId as AgentId,
        instanceId: `instance-${this.#instance}-of-${this.#agentId}` as InstanceId,
        ...{ streamNo: this.#streamNo, kind: 'dag_processor', queues: [], slots: 0, labels: {} },
        ...{ handlers: [], bundles: change.bundles ?? this.#bundles, triggerKinds: [] },
        ...{ software: '', hostname: '', inventory: [], reports: [], proof: null },
        ...{ highestToken: 0n as never, highestEpoch: 0n as Epoch },
        process: { bootId: '', lockDevice: 0n, lockInode: 0n, pid: 1 },
      },
    });
  }

  async beat(): Promise<void> {
    const beat = {
      reports: [],
      inventoryChanges: [],
      inventoryCount: 0,
      inventoryHash: 0,
      startRequests: [],
    };
    this.#world.engine.put({
      kind: 'heartbeat',
      streamId: this.streamId,
      at: this.#world.clockwork.clock.mono(),
      beat: { ...beat, seq: ++this.#seq, applied: 1, freeSlots: 0, health: null, fullInventory: null },
    });
    await this.#world.idle();
  }

  async goodbye(): Promise<void> {
    const { streamId } = this;
    this.#world.engine.put({ kind: 'goodbye', streamId, endsSession: true, reason: 'drained' });
    await this.#world.idle();
  }

  async lose(): Promise<void> {
    this.#world.engine.put({ kind: 'stream_closed', streamId: this.streamId });
    await this.#world.idle();
  }

  /** Sends a whole snapshot; what became of it, undefined when nobody answers. */
  async snapshot(
    dags: readonly SnapshotDag[],
    change: {
      readonly sequence?: bigint;
      readonly hash?: string;
      readonly bundle?: string;
      readonly errors?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<SnapshotAnswer | undefined> {
    const { sequence = this.#sequence + 1n, bundle = 'main', errors = {} } = change;
    this.#sequence = sequence;
    const importErrors = Object.entries(errors).map(([file, message]) => ({ file, message }));
    const hash = change.hash ?? JSON.stringify([dags.map((dag) => dag.hash), errors]);
    const before = this.#world.frames.length;
    const { streamId } = this;
    this.#world.engine.put({ kind: 'snapshot', streamId, bundle, sequence, hash, dags, importErrors });
    await this.#world.idle();
    const answers = this.#world.frames.slice(before).filter((frame) => this.#isMine(frame, 'bundle_answer'));
    return answers[0]?.kind === 'bundle_answer' ? answers[0].answer : undefined;
  }

  /** What it was told of who holds its bundles, on its newest stream. */
  get holds(): BundleHold[] {
    return this.#world.frames.flatMap((frame) =>
      this.#isMine(frame, 'bundle_hold') && frame.kind === 'bundle_hold' ? [frame.hold] : [],
    );
  }

  /** Whether it was last told that it holds the bundle; undefined when it was told nothing. */
  holding(bundle = 'main'): boolean | undefined {
    return this.holds.findLast((hold) => hold.bundle === bundle)?.held;
  }

  #isMine(frame: Frame, kind: Frame['kind']): boolean {
    return frame.kind === kind && frame.streamId === this.streamId;
  }
}

export function dagIn(world: DagWorld, dagId: string): DagRow {
  const dag = world.engine.state.dags.dags.get(dagId);
  if (dag === undefined) throw new Error(`no DAG ${dagId}`);
  return dag;
}

export function bundleIn(world: DagWorld, bundle = 'main'): BundleRow {
  const row = world.engine.state.dags.bundles.get(bundle);
  if (row === undefined) throw new Error(`no bundle ${bundle}`);
  return row;
}

/** DAGs that are in force. */
export function inForce(world: DagWorld): string[] {
  return [...world.engine.state.dags.dags.values()]
    .filter(({ active }) => active)
    .map(({ dagId }) => dagId)
    .sort();
}
