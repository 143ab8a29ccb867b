import type { TaskId } from '../../kit/ids.js';
import type { WallMs } from '../../kit/time.js';
import type { Draft } from '../draft.js';
import type { CallFault } from '../inputs.js';
import type { TaskState } from '../rows.js';
import { emitAsset } from './assets.js';
import { createBackfill, steerBackfill } from './backfill.js';
import { endRunByHand, noDag, triggerDag } from './by-hand.js';
import { clearInstances, markInstances } from './clear.js';
import { DEFAULT_POOL, type Json } from './definition.js';
import type {
  AssetEventRow,
  BackfillRow,
  DagRow,
  InstanceChoice,
  PoolRow,
  RunKey,
  RunRow,
  TriggerRow,
} from './rows.js';
import { fireTrigger } from './trigger-events.js';

/** What the public API may ask of DAGs, their runs and what they share. */
export type DagCall =
  | {
      readonly action: 'trigger';
      readonly dagId: string;
      /** Empty: named for its date. */
      readonly runId: string;
      /** Null: now. */
      readonly logicalDate: WallMs | null;
      readonly params: Readonly<Record<string, Json>>;
    }
  | { readonly action: 'pause'; readonly dagId: string; readonly paused: boolean }
  /** Whatever of the run has not ended is cancelled, and the run then ends so. */
  | {
      readonly action: 'end_run';
      readonly run: RunKey;
      readonly as: 'cancelled' | 'success' | 'failed';
      readonly reason: string;
    }
  /** The chosen instances are decided anew, of an ended run too. */
  | {
      readonly action: 'clear';
      readonly run: RunKey;
      /** Empty: all of the run's. */
      readonly tasks: readonly InstanceChoice[];
      /** Also every instance of what comes before them, or after them. */
      readonly upstream: boolean;
      readonly downstream: boolean;
      /** Of all these only what has failed, was cancelled, or could not run because of that. */
      readonly onlyFailed: boolean;
      /** Says what would be cleared, and clears nothing. */
      readonly dryRun: boolean;
      readonly reason: string;
    }
  | {
      readonly action: 'mark';
      readonly run: RunKey;
      /** At least one. */
      readonly tasks: readonly InstanceChoice[];
      readonly as: 'success' | 'failed';
      readonly reason: string;
    }
  | {
      readonly action: 'backfill';
      readonly dagId: string;
      /** Its name; empty: named for its DAG and this moment. */
      readonly backfill: string;
      /** Instants of the timetable from here to there, both included. */
      readonly from: WallMs;
      readonly to: WallMs;
      readonly params: Readonly<Record<string, Json>>;
      /** At least 1. */
      readonly maxActiveRuns: number;
      readonly reprocess: BackfillRow['reprocess'];
      /** Says which runs there would be, and makes none. */
      readonly dryRun: boolean;
    }
  | {
      readonly action: 'steer_backfill';
      readonly backfill: string;
      readonly to: 'running' | 'paused' | 'cancelled';
    }
  | {
      readonly action: 'set_pool';
      readonly pool: string;
      readonly slots: number;
      readonly description: string;
    }
  /** An event by hand: of a trigger of kind `external`, or of any other that somebody cannot wait for. */
  | {
      readonly action: 'fire_trigger';
      readonly triggerId: string;
      /** JSON text. */
      readonly payload: string;
    }
  /** The default pool becomes unlimited again. */
  | { readonly action: 'delete_pool'; readonly pool: string }
  /** Something happened to an asset outside of every run. */
  | {
      readonly action: 'emit_asset';
      readonly asset: string;
      /** JSON text of an object, 64 KiB at most; empty means none. */
      readonly extra: string;
    };

/** An instance as a call found it. */
export interface InstanceFound {
  /** Null for one that nothing was decided of before. */
  readonly taskId: TaskId | null;
  readonly task: string;
  readonly mapIndex: number;
  /** Before the call. */
  readonly state: TaskState | null;
  /** Its agent must answer first (P15). */
  readonly requested: boolean;
}

/** What a backfill makes of one instant. */
export interface BackfillInstant {
  readonly logicalDate: WallMs;
  /** `clear`: its run is there and done again; `skip`: it is there, and left as it is. */
  readonly then: 'create' | 'clear' | 'skip';
  /** The run that is there; null when there is none. */
  readonly run: RunRow | null;
}

export type DagReply =
  | { readonly kind: 'run'; readonly run: RunRow }
  | { readonly kind: 'dag'; readonly dag: DagRow }
  /** Null: it is removed. */
  | { readonly kind: 'pool'; readonly pool: PoolRow | null }
  | { readonly kind: 'trigger'; readonly trigger: TriggerRow }
  | { readonly kind: 'instances'; readonly run: RunRow; readonly instances: readonly InstanceFound[] }
  /** Instants only of one that is created, or would be. */
  | {
      readonly kind: 'backfill';
      readonly backfill: BackfillRow;
      readonly instants: readonly BackfillInstant[];
    }
  | { readonly kind: 'asset_event'; readonly event: AssetEventRow };

export type DagFaultCode =
  | 'DAG_NOT_FOUND'
  | 'DAG_PAUSED'
  | 'RUN_EXISTS'
  | 'INVALID_PARAMS'
  | 'TRIGGER_NOT_FOUND'
  | 'RUN_NOT_FOUND'
  | 'RUN_ENDED'
  | 'RUN_PRUNED'
  | 'RUN_BUSY'
  | 'TASK_NOT_IN_DAG'
  | 'POOL_NOT_FOUND'
  | 'ASSET_NOT_FOUND'
  | 'EXTRA_TOO_LARGE'
  | 'BACKFILL_NOT_FOUND'
  | 'BACKFILL_ENDED'
  | 'BACKFILL_EXISTS'
  | 'NO_INSTANTS'
  | 'TOO_MANY_INSTANTS';

/** One of the calls. */
export type DagCallOf<A extends DagCall['action']> = Extract<DagCall, { readonly action: A }>;

/** What a call is answered, or why it is refused. */
export type Answer = DagReply | CallFault;

export function decideDagCall(draft: Draft, callId: number, call: DagCall): void {
  const reply = replyTo(draft, call);
  draft.reply(callId, 'code' in reply ? { kind: 'refused', fault: reply } : reply);
}

function replyTo(draft: Draft, call: DagCall): Answer {
  switch (call.action) {
    case 'trigger':
      return triggerDag(draft, call);
    case 'pause':
      return pauseDag(draft, call);
    case 'end_run':
      return endRunByHand(draft, call);
    case 'clear':
      return clearInstances(draft, call);
    case 'mark':
      return markInstances(draft, call);
    case 'backfill':
      return createBackfill(draft, call);
    case 'steer_backfill':
      return steerBackfill(draft, call);
    case 'set_pool': {
      const { pool, slots, description } = call;
      return { kind: 'pool', pool: draft.dags.putPool({ pool, version: 0, slots, description }) };
    }
    case 'fire_trigger': {
      const trigger = draft.dags.trigger(call.triggerId);
      if (trigger !== undefined && fireTrigger(draft, trigger, call.payload))
        return { kind: 'trigger', trigger };
      return {
        code: 'TRIGGER_NOT_FOUND',
        what: `no trigger ${call.triggerId}`,
        because: 'no task waits for it: it has fired, or its task was cancelled, cleared or has timed out',
        try: 'use `trigger list` to see what is waited for',
      };
    }
    case 'delete_pool':
      return deletePool(draft, call);
    case 'emit_asset':
      return emitAsset(draft, call);
  }
}

function pauseDag(draft: Draft, { dagId, paused }: DagCallOf<'pause'>): Answer {
  const dag = draft.dags.dag(dagId);
  if (dag === undefined) return noDag(dagId);
  if (dag.paused === paused) return { kind: 'dag', dag };
  return { kind: 'dag', dag: draft.dags.putDag({ ...dag, paused }) };
}

/** What waits in it goes on waiting, and says why: nobody has decided where else it may run. */
function deletePool(draft: Draft, { pool }: DagCallOf<'delete_pool'>): Answer {
  if (draft.dags.removePool(pool)) return { kind: 'pool', pool: null };
  if (pool === DEFAULT_POOL) {
    return {
      code: 'POOL_NOT_FOUND',
      what: `pool ${pool} stays`,
      because: 'it is there without anybody having made it, and nobody has limited it',
      try: `use \`pool set ${pool} SLOTS\` to limit it; a removal lifts that limit again`,
    };
  }
  return {
    code: 'POOL_NOT_FOUND',
    what: `no pool ${pool}`,
    because: 'nobody has made it, or somebody has removed it',
    try: 'use `pool list` to see the pools',
  };
}
