import type { ServerWritableStream } from '@grpc/grpc-js';
import type { DagCall } from '../core/dag/calls.js';
import type { DagDefinition } from '../core/dag/definition.js';
import type { DagRow } from '../core/dag/rows.js';
import type { Store } from '../store/store.js';
import type {
  Dag,
  DagServiceServer,
  DagVersion,
  GetDagRequest,
  GetDagResponse,
  ListDagsRequest,
  ListDagsResponse,
  TriggerDagRequest,
  WatchRunRequest,
  WatchRunResponse,
} from '../wire/gen/holdfast/v1/dag_service.js';
import { durationOf } from '../wire/time.js';
import { createBackfill, listBackfills, steerBackfill } from './backfills.js';
import { type DagServiceHost, decided, findDag } from './dag-host.js';
import { instantOf, jsonObjectOf, runIdOf } from './dag-requests.js';
import { getRun, listRuns } from './dag-runs.js';
import { dagOf, definedTaskOf, paramsOf, runOf } from './dag-views.js';
import { Fault, unary } from './fault.js';
import { pageOf } from './paging.js';
import { cancelRun, clearRun, markRun, markTasks } from './run-steering.js';
import {
  deletePool,
  emitAssetEvent,
  fireTrigger,
  listAssetEvents,
  listAssets,
  listBundles,
  listPools,
  listTriggers,
  setPool,
} from './shared-things.js';
import { dateOf } from './views.js';
import { watchRun } from './watch-run.js';

/** The public API for DAGs: what is in memory is shown from there, the rest from the store; changes go to the engine. */
export function dagService(host: DagServiceHost): DagServiceServer {
  const { log } = host;
  return {
    listDags: unary(log, async (request) => listDags(host, request)),
    getDag: unary(log, (request) => getDag(host, request)),
    pauseDag: unary(log, async ({ dagId }) => ({ dag: await pause(host, dagId, true) })),
    unpauseDag: unary(log, async ({ dagId }) => ({ dag: await pause(host, dagId, false) })),
    triggerDag: unary(log, async (request) => ({ run: runOf(await trigger(host, request)) })),
    listRuns: unary(log, (request) => listRuns(host, request)),
    getRun: unary(log, (request) => getRun(host, request)),
    watchRun: (call: ServerWritableStream<WatchRunRequest, WatchRunResponse>) => watchRun(host, call),
    cancelRun: unary(log, (request) => cancelRun(host, request)),
    markRun: unary(log, (request) => markRun(host, request)),
    clearRun: unary(log, (request) => clearRun(host, request)),
    markTasks: unary(log, (request) => markTasks(host, request)),
    createBackfill: unary(log, (request) => createBackfill(host, request)),
    steerBackfill: unary(log, (request) => steerBackfill(host, request)),
    listBackfills: unary(log, (request) => listBackfills(host, request)),
    listAssets: unary(log, async (request) => listAssets(host, request)),
    listAssetEvents: unary(log, (request) => listAssetEvents(host, request)),
    emitAssetEvent: unary(log, (request) => emitAssetEvent(host, request)),
    listPools: unary(log, async () => listPools(host)),
    setPool: unary(log, (request) => setPool(host, request)),
    deletePool: unary(log, (request) => deletePool(host, request)),
    listTriggers: unary(log, (request) => listTriggers(host, request)),
    fireTrigger: unary(log, (request) => fireTrigger(host, request)),
    listBundles: unary(log, async () => listBundles(host)),
  };
}

function listDags({ engine }: DagServiceHost, request: ListDagsRequest): ListDagsResponse {
  const { tag, bundle, paused, inactive } = request;
  const fits = (dag: DagRow): boolean =>
    (tag === '' || dag.tags.includes(tag)) &&
    (bundle === '' || dag.bundle === bundle) &&
    (paused === undefined || dag.paused === paused) &&
    (inactive || dag.active);
  const found = [...engine.state.dags.dags.values()].filter(fits);
  const { page, nextPageToken } = pageOf(found, ({ dagId }) => dagId, request);
  const moment = engine.context();
  return { dags: page.map((dag) => dagOf(engine.state, dag, moment)), nextPageToken };
}

const shownDag = ({ engine }: DagServiceHost, dag: DagRow): Dag => dagOf(engine.state, dag, engine.context());

async function getDag(host: DagServiceHost, request: GetDagRequest): Promise<GetDagResponse> {
  const dag = findDag(host, request.dagId);
  const version =
    request.definitionVersion === 0n ? dag.definitionVersion : Number(request.definitionVersion);
  const [row] = await host.store.readDagVersions([{ dagId: dag.dagId, definitionVersion: version }]);
  if (row === undefined) {
    throw new Fault(
      'DAG_VERSION_NOT_FOUND',
      `DAG ${dag.dagId} has no definition ${version}`,
      `its newest is ${dag.definitionVersion}; older ones are kept while a run pins them`,
      'use `dag describe` to see those that are kept',
    );
  }
  const definition = JSON.parse(row.definition) as DagDefinition;
  return {
    dag: shownDag(host, dag),
    definitionVersion: BigInt(version),
    params: paramsOf(definition),
    tasks: definition.tasks.map(definedTaskOf),
    versions: await versionsOf(host.store, dag),
    definition: request.withDefinition ? row.definition : '',
    maxActiveTasks: definition.maxActiveTasks,
    // Definitions that were written before it was there have none.
    dagrunTimeout: definition.dagrunTimeoutMs == null ? undefined : durationOf(definition.dagrunTimeoutMs),
  };
}

const VERSIONS_SHOWN = 20;

/** One after the other, since a definition may be large. */
async function versionsOf(store: Store, { dagId, definitionVersion: newest }: DagRow): Promise<DagVersion[]> {
  const versions: DagVersion[] = [];
  for (let at = newest; at > Math.max(0, newest - VERSIONS_SHOWN); at--) {
    const [row] = await store.readDagVersions([{ dagId, definitionVersion: at }]);
    if (row === undefined) continue;
    versions.push({ definitionVersion: BigInt(at), hash: row.hash, createdAt: dateOf(row.createdAt) });
  }
  return versions;
}

async function pause(host: DagServiceHost, dagId: string, paused: boolean): Promise<Dag> {
  findDag(host, dagId);
  const { dag } = await decided(host, 'dag', { action: 'pause', dagId, paused });
  return shownDag(host, dag);
}

async function trigger(host: DagServiceHost, request: TriggerDagRequest) {
  const { dagId } = request;
  const call: DagCall = {
    action: 'trigger',
    dagId: findDag(host, dagId).dagId,
    runId: request.runId === '' ? '' : runIdOf(request.runId),
    logicalDate: request.logicalDate === undefined ? null : instantOf('logical_date', request.logicalDate),
    params: jsonObjectOf('params', request.params, 'INVALID_PARAMS'),
  };
  const { run } = await decided(host, 'run', call);
  return run;
}
