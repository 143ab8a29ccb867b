import type { DagDefinition } from '../core/dag/definition.js';
import { type RunKey, type RunRow, runKeyOf } from '../core/dag/rows.js';
import type { TaskRow } from '../core/rows.js';
import { formatDuration } from '../kit/duration.js';
import type { RunFilter } from '../store/dags.js';
import type {
  GetRunRequest,
  GetRunResponse,
  ListRunsRequest,
  ListRunsResponse,
} from '../wire/gen/holdfast/v1/dag_service.js';
import { runStates, runTypes } from '../wire/names.js';
import type { DagServiceHost } from './dag-host.js';
import { definedTaskOf, instanceOf, runOf } from './dag-views.js';
import { Fault } from './fault.js';
import { badToken, cut, placeOf, placeToken, sizeOf } from './paging.js';

/** Runs by filter, newest first. */
export async function listRuns(
  { store }: DagServiceHost,
  request: ListRunsRequest,
): Promise<ListRunsResponse> {
  const place = placeOf(request.pageToken);
  const before = place && { createdAt: place.createdAt, run: place.name as RunKey };
  const size = sizeOf(request);
  const rows = await store.listRuns(filterOf(request), before, size + 1);
  const { page, nextPageToken } = cut(rows, (row) => placeToken(row.createdAt, row.run), size);
  return { runs: page.map(runOf), nextPageToken };
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

const INSTANCE_PAGE = 10_000;

export async function getRun(host: DagServiceHost, request: GetRunRequest): Promise<GetRunResponse> {
  const { store } = host;
  const row = await findRun(host, request.dagId, request.runId);
  const [version] = await store.readDagVersions([row]);
  const { tasks } =
    version === undefined ? { tasks: [] } : (JSON.parse(version.definition) as Pick<DagDefinition, 'tasks'>);
  const places = new Map(tasks.map(({ taskId }, at) => [taskId, at]));
  const instances = [...(await store.readInstances(row.run))].sort((a, b) => placeIn(places, a, b));
  const rest = instances.slice(startOf(instances, request.pageToken));
  const size = Math.min(request.pageSize === 0 ? INSTANCE_PAGE : request.pageSize, INSTANCE_PAGE);
  const { page, nextPageToken } = cut(rest, ({ taskId }) => taskId, size);
  return {
    run: runOf(row),
    tasks: request.pageToken === '' ? tasks.map(definedTaskOf) : [],
    instances: page.flatMap((instance) => instanceOf(instance) ?? []),
    nextPageToken,
  };
}

/** In the order of the definition, then of the map index. */
function placeIn(places: ReadonlyMap<string, number>, a: TaskRow, b: TaskRow): number {
  const at = ({ instance }: TaskRow) => places.get(instance?.task ?? '') ?? places.size;
  return at(a) - at(b) || (a.instance?.mapIndex ?? 0) - (b.instance?.mapIndex ?? 0);
}

/** Where a page begins: behind the instance that ended the one before. */
function startOf(instances: readonly TaskRow[], pageToken: string): number {
  if (pageToken === '') return 0;
  const last = instances.findIndex(({ taskId }) => taskId === pageToken);
  if (last < 0) throw badToken(pageToken);
  return last + 1;
}
