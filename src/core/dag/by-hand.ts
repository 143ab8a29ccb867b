import type { Draft } from '../draft.js';
import type { CallFault } from '../inputs.js';
import type { Answer, DagCallOf } from './calls.js';
import { fillParams } from './params.js';
import { type DagRow, type RunKey, type RunRow, runKeyOf } from './rows.js';
import { createRun, intervalStartOf, requestEnd, runIdOf, runOfInstant } from './runs.js';
import { isActive } from './state.js';

/** A run that somebody asks for. */
export function triggerDag(draft: Draft, call: DagCallOf<'trigger'>): Answer {
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
  const params = paramsOf(draft, dag, call.params);
  if ('code' in params) return params;
  const at = call.logicalDate ?? draft.ctx.wall;
  const runId = call.runId === '' ? runIdOf('manual', at) : call.runId;
  const known =
    draft.dags.runRow(runKeyOf(dag.dagId, runId)) ?? runOfInstant(draft, { dagId: dag.dagId, at });
  if (known !== undefined) return runExists(known, known.runId === runId ? 'of that name' : 'of that date');
  const run = createRun(draft, dag, {
    type: 'manual',
    runId,
    logicalDate: at,
    intervalStart: intervalStartOf(draft, dag, at),
    params: params.text,
    consumed: [],
    backfill: '',
  });
  return { kind: 'run', run };
}

function runExists(known: RunRow, which: string): CallFault {
  return {
    code: 'RUN_EXISTS',
    what: `DAG ${known.dagId} has a run ${which} already: ${known.runId}`,
    because: `it was created at ${new Date(known.createdAt).toISOString()}, its state is ${known.state}`,
    try: 'name another run id or logical date, or clear that run to have it done again',
  };
}

/** The params of a run that somebody asks for, as JSON text, or why there are none. */
export function paramsOf(
  draft: Draft,
  dag: DagRow,
  given: DagCallOf<'trigger'>['params'],
): { readonly text: string } | CallFault {
  const plan = draft.dags.plan(dag);
  if (plan === undefined) return noDag(dag.dagId);
  const filled = fillParams(plan.definition.params, given);
  if (filled.ok) return { text: JSON.stringify(filled.params) };
  return {
    code: 'INVALID_PARAMS',
    what: `DAG ${dag.dagId} gets no run`,
    because: filled.faults.map(({ message }) => message).join('; '),
    try: 'correct them; `dag describe` shows the params',
  };
}

/** What of it has not ended is cancelled step by step, by whoever advances it (P15); then it ends as was said. */
export function endRunByHand(draft: Draft, { run, as, reason }: DagCallOf<'end_run'>): Answer {
  const row = draft.dags.runRow(run);
  if (row === undefined) return noRun(run);
  if (isActive(row)) return { kind: 'run', run: requestEnd(draft, row, as) };
  if (as !== 'cancelled') {
    const message = reason === '' ? '' : `: ${reason}`;
    return { kind: 'run', run: draft.dags.putRun({ ...row, state: as, reason: `marked${message}` }).row };
  }
  return {
    code: 'RUN_ENDED',
    what: `run ${run} is not cancelled`,
    because: `it has ended: its state is ${row.state}`,
    try: 'clear it to have it done again, or mark it as what it shall count as',
  };
}

export function noDag(dagId: string): CallFault {
  return {
    code: 'DAG_NOT_FOUND',
    what: `no DAG ${dagId}`,
    because: 'no complete snapshot of a bundle has brought it, or a newer one came without it',
    try: 'use `dag list` to see the DAGs, and `bundle list` for files that cannot be read and who reads them',
  };
}

export function noRun(run: RunKey): CallFault {
  return {
    code: 'RUN_NOT_FOUND',
    what: `no run ${run}`,
    because: 'it was never created, or retention has removed it',
    try: 'use `run list` to see the runs of a DAG',
  };
}
