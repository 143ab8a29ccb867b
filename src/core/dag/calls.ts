import type { WallMs } from '../../kit/time.js';
import type { Draft } from '../draft.js';
import type { CallFault } from '../inputs.js';
import type { Json } from './definition.js';
import { fillParams } from './params.js';
import { type DagRow, type PoolRow, type RunRow, runKeyOf, type TriggerRow } from './rows.js';
import { createRun, intervalStartOf, runIdOf } from './runs.js';
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
    };

export type DagReply =
  | { readonly kind: 'run'; readonly run: RunRow }
  | { readonly kind: 'dag'; readonly dag: DagRow }
  | { readonly kind: 'pool'; readonly pool: PoolRow }
  | { readonly kind: 'trigger'; readonly trigger: TriggerRow };

export type DagFaultCode =
  | 'DAG_NOT_FOUND'
  | 'DAG_PAUSED'
  | 'RUN_EXISTS'
  | 'INVALID_PARAMS'
  | 'TRIGGER_NOT_FOUND';

export function decideDagCall(draft: Draft, callId: number, call: DagCall): void {
  const reply = replyTo(draft, call);
  draft.reply(callId, 'code' in reply ? { kind: 'refused', fault: reply } : reply);
}

function replyTo(draft: Draft, call: DagCall): DagReply | CallFault {
  switch (call.action) {
    case 'trigger':
      return triggerDag(draft, call);
    case 'pause': {
      const dag = draft.dags.dag(call.dagId);
      if (dag === undefined) return noDag(call.dagId);
      if (dag.paused === call.paused) return { kind: 'dag', dag };
      return { kind: 'dag', dag: draft.dags.putDag({ ...dag, paused: call.paused }) };
    }
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
  }
}

function triggerDag(draft: Draft, call: Extract<DagCall, { action: 'trigger' }>): DagReply | CallFault {
  const dag = draft.dags.dag(call.dagId);
  if (dag === undefined || !dag.active) return noDag(call.dagId);
  if (dag.paused) {
    return {
      code: 'DAG_PAUSED',
      what: `DAG ${dag.dagId} gets no run`,
      because: 'it is paused, so the run would wait without anybody knowing why',
      try: 'unpause it first',
    };
  }
  const plan = draft.dags.plan(dag);
  if (plan === undefined) return noDag(call.dagId);
  const filled = fillParams(plan.definition.params, call.params);
  if (!filled.ok) {
    return {
      code: 'INVALID_PARAMS',
      what: `DAG ${dag.dagId} gets no run`,
      because: filled.faults.map(({ message }) => message).join('; '),
      try: 'correct them; `dag describe` shows the params',
    };
  }
  const at = call.logicalDate ?? draft.ctx.wall;
  const runId = call.runId === '' ? runIdOf('manual', at) : call.runId;
  const known = draft.dags.runRow(runKeyOf(dag.dagId, runId));
  if (known !== undefined) {
    return {
      code: 'RUN_EXISTS',
      what: `DAG ${dag.dagId} has a run ${runId} already`,
      because: `it was created at ${new Date(known.createdAt).toISOString()}, its state is ${known.state}`,
      try: 'name another run id or logical date, or clear that run to have it done again',
    };
  }
  const run = createRun(draft, dag, {
    type: 'manual',
    runId,
    logicalDate: at,
    intervalStart: intervalStartOf(draft, dag, at),
    params: JSON.stringify(filled.params),
    consumed: [],
    backfill: '',
  });
  return { kind: 'run', run };
}

export function noDag(dagId: string): CallFault {
  return {
    code: 'DAG_NOT_FOUND',
    what: `no DAG ${dagId}`,
    because: 'no complete snapshot of a bundle has brought it, or a newer one came without it',
    try: 'use `dag list` to see the DAGs, and whether a DAG processor is connected',
  };
}
