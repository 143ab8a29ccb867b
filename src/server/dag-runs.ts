import type { DagDefinition, TaskDefinition } from '../core/dag/definition.js';
import { type RunKey, type RunRow, runKeyOf } from '../core/dag/rows.js';
import { formatDuration } from '../kit/duration.js';
import type { TaskId } from '../kit/ids.js';
import type { RunFilter } from '../store/dags.js';
import type {
  GetRunRequest,
  GetRunResponse,
  ListRunsRequest,
  ListRunsResponse,
} from '../wire/gen/holdfast/v1/dag_service.js';
import { runStates, runTypes } from '../wire/names.js';
import { type DagServiceHost, findDag } from './dag-host.js';
import { definedTaskOf, instanceOf, runOf } from './dag-views.js';
import { Fault } from './fault.js';
import { badToken, cut, placeOf, placeToken, sizeOf } from './paging.js';

/** Runs by filter, newest first. Throws Fault DAG_NOT_FOUND for a DAG that is unknown and has left no run behind. */
export async function listRuns(host: DagServiceHost, request: ListRunsRequest): Promise<ListRunsResponse> {
  const { store } = host;
  const place = placeOf(request.pageToken);
  const before = place && { createdAt: place.createdAt, run: place.name as RunKey };
  const size = sizeOf(request);
  const rows = await store.listRuns(filterOf(request), before, size + 1);
  if (rows.length === 0 && request.dagId !== '') await findRunsOf(host, request.dagId);
  const { page, nextPageToken } = cut(rows, (row) => placeToken(row.createdAt, row.run), size);
  return { runs: page.map(runOf), nextPageToken };
}

/** A DAG that is known, or was and has runs still. */
async function findRunsOf(host: DagServiceHost, dagId: string): Promise<void> {
  const [any] = await host.store.listRuns({ dagId }, null, 1);
  if (any === undefined) findDag(host, dagId);
}

function filterOf({ dagId, states, type, backfill }: ListRunsRequest): RunFilter {
  const unknown = (what: string) =>
    new Fault('INVALID_REQUEST', `${what} is unknown`, 'this coordinator does not know it', 'leave it out');
  const names = states.map((state) => {
    const name = runStates.from(state);
    if (name === undefined) throw unknown(`run state ${state}`);
    return name;
  });
  const typeName = type === 0 ? undefined : runTypes.from(type);
  if (type !== 0 && typeName === undefined) throw unknown(`run type ${type}`);
  return {
    ...(dagId === '' ? {} : { dagId }),
    ...(names.length === 0 ? {} : { states: names }),
    ...(typeName === undefined ? {} : { type: typeName }),
    ...(backfill === '' ? {} : { backfill }),
  };
}

/** A run that has ended or not. Throws Fault RUN_NOT_FOUND. */
export async function findRun(
  { engine, store }: Pick<DagServiceHost, 'engine' | 'store'>,
  dagId: string,
  runId: string,
): Promise<RunRow> {
  const [row] = await store.readRuns([runKeyOf(dagId, runId)]);
  if (row !== undefined) return row;
  const { ageMs } = engine.context().policy.retention;
  throw new Fault(
    'RUN_NOT_FOUND',
    `DAG ${dagId.slice(0, 140)} has no run ${runId.slice(0, 260)}`,
    `it was never created, or retention has removed it: runs that have ended are kept for ${formatDuration(ageMs)}`,
    'use `run list` to see the runs',
  );
}

/** Tasks and instances of one answer: more of them would keep heartbeats waiting. */
const PAGE = 1_000;

/** Where a page begins: behind so many tasks, and behind an instance. */
interface RunPlace {
  readonly tasks: number | null;
  /** Null: all of them have been told, as for tasks. */
  readonly after: TaskId | null;
}

/** Pages bring tasks and instances side by side, until there are no more of either. */
export async function getRun(host: DagServiceHost, request: GetRunRequest): Promise<GetRunResponse> {
  const { store } = host;
  const row = await findRun(host, request.dagId, request.runId);
  const { tasks: from, after } = placeIn(request.pageToken);
  const size = Math.min(request.pageSize === 0 ? PAGE : request.pageSize, PAGE);
  const tasks = from === null ? [] : await tasksOf(host, row, from, size);
  const instances = after === null ? [] : await store.readInstances(row.run, after, size);
  const last = instances.length < size ? null : (instances.at(-1)?.taskId ?? null);
  return {
    run: runOf(row),
    tasks: tasks.map(definedTaskOf),
    instances: instances.flatMap((instance) => instanceOf(instance) ?? []),
    nextPageToken: tokenOf({ tasks: tasks.length < size ? null : (from ?? 0) + size, after: last }),
  };
}

const ALL_TOLD = '-';

function tokenOf({ tasks, after }: RunPlace): string {
  return tasks === null && after === null ? '' : `${tasks ?? ALL_TOLD}:${after ?? ALL_TOLD}`;
}

function placeIn(pageToken: string): RunPlace {
  if (pageToken === '') return { tasks: 0, after: '' as TaskId };
  const [, tasks, after] = /^(\d{1,9}|-):(.{1,140})$/.exec(pageToken) ?? [];
  if (tasks === undefined || after === undefined) throw badToken(pageToken);
  return {
    tasks: tasks === ALL_TOLD ? null : Number(tasks),
    after: after === ALL_TOLD ? null : (after as TaskId),
  };
}

/** Tasks of the definition that a run pins; from memory while the run goes on, since a large one takes long to read. */
async function tasksOf(
  { engine, store }: DagServiceHost,
  row: RunRow,
  from: number,
  size: number,
): Promise<readonly TaskDefinition[]> {
  const plan = engine.state.dags.planOf(row);
  if (plan !== undefined) return plan.tasks.slice(from, from + size);
  const [version] = await store.readDagVersions([row]);
  if (version === undefined) return [];
  const { tasks } = JSON.parse(version.definition) as Pick<DagDefinition, 'tasks'>;
  return tasks.slice(from, from + size);
}
