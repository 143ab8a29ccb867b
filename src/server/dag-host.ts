import { noDag } from '../core/dag/by-hand.js';
import type { DagCall, DagReply } from '../core/dag/calls.js';
import type { DagRow } from '../core/dag/rows.js';
import type { Engine } from '../engine/engine.js';
import type { Log } from '../kit/log.js';
import { first } from '../kit/sets.js';
import { didYouMean } from '../kit/suggest.js';
import type { Store } from '../store/store.js';
import { expectReply, Fault } from './fault.js';
import type { RunWatchers } from './watchers.js';

/** What the service for DAGs needs of its coordinator. */
export interface DagServiceHost {
  readonly engine: Engine;
  readonly store: Store;
  readonly runWatchers: RunWatchers;
  readonly log: Log;
  /** Lets everything else have its turn of the loop. */
  rest(): Promise<void>;
}

/** Has the core decide a call on DAGs; the reply that it asks for. Throws Fault. */
export async function decided<K extends DagReply['kind']>(
  { engine }: Pick<DagServiceHost, 'engine'>,
  kind: K,
  call: DagCall,
): Promise<Extract<DagReply, { kind: K }>> {
  const reply = await engine.call((callId) => ({ kind: 'dag', callId, call }));
  return expectReply(kind, reply) as Extract<DagReply, { kind: K }>;
}

/** Names that one which is unknown is compared with: that takes a part of a millisecond for each hundred. */
const NAMES_COMPARED = 1_000;

/** A DAG that some snapshot has brought. Throws Fault DAG_NOT_FOUND. */
export function findDag({ engine }: Pick<DagServiceHost, 'engine'>, dagId: string): DagRow {
  const { dags } = engine.state.dags;
  const dag = dags.get(dagId);
  if (dag !== undefined) return dag;
  const named = dagId.slice(0, 140);
  const fault = noDag(named);
  const near = didYouMean(named, first(dags.keys(), NAMES_COMPARED));
  throw new Fault('DAG_NOT_FOUND', fault.what + near, fault.because, fault.try);
}
