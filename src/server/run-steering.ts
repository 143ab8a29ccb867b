import type { InstanceFound } from '../core/dag/calls.js';
import { type InstanceChoice, type RunKey, type RunRow, runKeyOf } from '../core/dag/rows.js';
import type {
  ChosenInstance,
  ClearRunRequest,
  ClearRunResponse,
  MarkTasksRequest,
  MarkTasksResponse,
  InstanceChoice as WireChoice,
} from '../wire/gen/holdfast/v1/dag_service.js';
import { marks, taskStates } from '../wire/names.js';
import { type DagServiceHost, decided } from './dag-host.js';
import { reasonOf } from './dag-requests.js';
import { findRun } from './dag-runs.js';
import { runOf } from './dag-views.js';
import { Fault } from './fault.js';

/** What operators do to runs. Each looks the run up first, so that one that is not there is told of in the same words. */

interface Named {
  readonly dagId: string;
  readonly runId: string;
}

async function keyOf(host: DagServiceHost, { dagId, runId }: Named): Promise<RunKey> {
  await findRun(host, dagId, runId);
  return runKeyOf(dagId, runId);
}

export async function cancelRun(host: DagServiceHost, request: Named & { readonly reason: string }) {
  return { run: runOf(await endRun(host, request, 'cancelled', request.reason)) };
}

export async function markRun(
  host: DagServiceHost,
  request: Named & { readonly as: number; readonly reason: string },
) {
  return { run: runOf(await endRun(host, request, markOf(request.as), request.reason)) };
}

async function endRun(
  host: DagServiceHost,
  named: Named,
  as: 'cancelled' | 'success' | 'failed',
  reason: string,
): Promise<RunRow> {
  const run = await keyOf(host, named);
  return (await decided(host, 'run', { action: 'end_run', run, as, reason: reasonOf(reason) })).run;
}

export async function clearRun(host: DagServiceHost, request: ClearRunRequest): Promise<ClearRunResponse> {
  const { upstream, downstream, onlyFailed, dryRun } = request;
  const tasks = choicesOf(request.tasks, 0);
  const how = { upstream, downstream, onlyFailed, dryRun, reason: reasonOf(request.reason) };
  const run = await keyOf(host, request);
  const reply = await decided(host, 'instances', { action: 'clear', run, tasks, ...how });
  return { run: runOf(reply.run), instances: reply.instances.map(chosenOf) };
}

export async function markTasks(host: DagServiceHost, request: MarkTasksRequest): Promise<MarkTasksResponse> {
  const tasks = choicesOf(request.tasks, 1);
  const how = { as: markOf(request.as), reason: reasonOf(request.reason) };
  const run = await keyOf(host, request);
  const reply = await decided(host, 'instances', { action: 'mark', run, tasks, ...how });
  return { run: runOf(reply.run), instances: reply.instances.map(chosenOf) };
}

const CHOICES = 1_000;

function choicesOf(choices: readonly WireChoice[], least: number): InstanceChoice[] {
  if (choices.length < least || choices.length > CHOICES) {
    const because = `one call takes ${least} to ${CHOICES}`;
    throw new Fault('INVALID_REQUEST', `${choices.length} tasks are chosen`, because, 'choose others');
  }
  return choices.map(({ task, mapIndex }) => ({ task, mapIndex: mapIndex ?? null }));
}

function markOf(as: number): 'success' | 'failed' {
  const mark = marks.from(as);
  if (mark !== undefined) return mark;
  throw new Fault('INVALID_REQUEST', 'no mark', 'it is unspecified or unknown', 'say SUCCESS or FAILED');
}

function chosenOf({ taskId, task, mapIndex, state, requested }: InstanceFound): ChosenInstance {
  return {
    task,
    mapIndex: mapIndex < 0 ? undefined : mapIndex,
    taskId: taskId ?? '',
    state: state === null ? 0 : taskStates.to(state),
    requested,
  };
}
