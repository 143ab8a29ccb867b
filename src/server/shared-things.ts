import { DEFAULT_POOL } from '../core/dag/definition.js';
import type { AssetEventRow, AssetRow, TriggerRow } from '../core/dag/rows.js';
import type { TaskRow } from '../core/rows.js';
import type { State } from '../core/state.js';
import type { Epoch } from '../kit/ids.js';
import type {
  Asset,
  AssetEvent,
  DeletePoolRequest,
  DeletePoolResponse,
  EmitAssetEventRequest,
  EmitAssetEventResponse,
  FireTriggerRequest,
  FireTriggerResponse,
  ListAssetEventsRequest,
  ListAssetEventsResponse,
  ListAssetsRequest,
  ListAssetsResponse,
  ListBundlesResponse,
  ListPoolsResponse,
  ListTriggersRequest,
  ListTriggersResponse,
  Pool,
  SetPoolRequest,
  SetPoolResponse,
  Trigger,
} from '../wire/gen/holdfast/v1/dag_service.js';
import { durationOf } from '../wire/time.js';
import { bundleOf } from './bundle-views.js';
import { type DagServiceHost, decided } from './dag-host.js';
import { jsonObjectOf, payloadOf, poolNameOf } from './dag-requests.js';
import { Fault } from './fault.js';
import { cut, numberOf, pageOf, sizeOf } from './paging.js';
import { dateOf, instanceNameOf } from './views.js';

/** What runs share: assets, pools, triggers, bundles. */

export function listAssets({ engine }: DagServiceHost, request: ListAssetsRequest): ListAssetsResponse {
  const { dags } = engine.state;
  const rows = new Map<string, AssetRow | undefined>(dags.assets);
  for (const asset of dags.dagsOfAsset.keys()) if (!rows.has(asset)) rows.set(asset, undefined);
  const { page, nextPageToken } = pageOf(rows, ([asset]) => asset, request);
  return { assets: page.map(([asset, row]) => assetOf(engine.state, asset, row)), nextPageToken };
}

function assetOf({ dags }: State, asset: string, row: AssetRow | undefined): Asset {
  return {
    asset,
    lastEvent: BigInt(row?.lastEvent ?? 0),
    lastEventAt: row?.lastEventAt == null ? undefined : dateOf(row.lastEventAt),
    dagIds: [...(dags.dagsOfAsset.get(asset) ?? [])].sort(),
  };
}

export async function listAssetEvents(
  { store }: DagServiceHost,
  request: ListAssetEventsRequest,
): Promise<ListAssetEventsResponse> {
  const size = sizeOf(request);
  const asset = request.asset === '' ? null : request.asset;
  const rows = await store.listAssetEvents(asset, numberOf(request.pageToken), size + 1);
  const { page, nextPageToken } = cut(rows, ({ n }) => String(n), size);
  return { events: page.map(assetEventOf), nextPageToken };
}

export async function emitAssetEvent(
  host: DagServiceHost,
  { asset, extra }: EmitAssetEventRequest,
): Promise<EmitAssetEventResponse> {
  const value = jsonObjectOf('extra', extra, 'INVALID_REQUEST');
  const text = extra === '' ? '' : JSON.stringify(value);
  const { event } = await decided(host, 'asset_event', { action: 'emit_asset', asset, extra: text });
  return { event: assetEventOf(event) };
}

function assetEventOf({ n, asset, at, source, extra }: AssetEventRow): AssetEvent {
  return { n: BigInt(n), asset, at: dateOf(at), source: source ? instanceNameOf(source) : undefined, extra };
}

export function listPools({ engine: { state } }: DagServiceHost): ListPoolsResponse {
  const { pools, poolUse, waiting } = state.dags;
  const names = new Set([...pools.keys(), ...poolUse.keys(), ...waiting.keys(), DEFAULT_POOL]);
  return { pools: [...names].sort().map((pool) => poolOf(state, pool)) };
}

function poolOf({ dags }: State, pool: string): Pool {
  const row = dags.pools.get(pool);
  const slots = dags.slotsOf(pool);
  let waiting = 0;
  for (const instances of dags.waiting.get(pool)?.values() ?? []) waiting += instances.size;
  return {
    pool,
    slots: Number.isFinite(slots) ? slots : undefined,
    used: dags.poolUse.get(pool) ?? 0,
    waiting,
    description: row?.description ?? '',
    known: row !== undefined || pool === DEFAULT_POOL,
  };
}

const SLOTS = 1_000_000;
const DESCRIPTION = 1_024;

export async function setPool(host: DagServiceHost, request: SetPoolRequest): Promise<SetPoolResponse> {
  const { slots, description } = request;
  const pool = poolNameOf(request.pool);
  if (slots > SLOTS)
    throw new Fault('INVALID_REQUEST', `slots is ${slots}`, `a pool has 0 to ${SLOTS}`, 'correct it');
  if (description.length > DESCRIPTION) {
    const because = `it may have ${DESCRIPTION}`;
    throw new Fault(
      'INVALID_REQUEST',
      `the description has ${description.length} characters`,
      because,
      'shorten it',
    );
  }
  await decided(host, 'pool', { action: 'set_pool', pool, slots, description });
  return { pool: poolOf(host.engine.state, pool) };
}

export async function deletePool(
  host: DagServiceHost,
  { pool }: DeletePoolRequest,
): Promise<DeletePoolResponse> {
  await decided(host, 'pool', { action: 'delete_pool', pool: poolNameOf(pool) });
  return {};
}

export async function listTriggers(
  { engine, store }: Pick<DagServiceHost, 'engine' | 'store'>,
  request: ListTriggersRequest,
): Promise<ListTriggersResponse> {
  const { kind, unassigned } = request;
  const { dags, triggerers } = engine.state;
  const fits = (row: TriggerRow): boolean =>
    (kind === '' || row.kind === kind) && (!unassigned || !triggerers.has(row.epoch));
  const found = [...dags.triggers.values()].filter(fits);
  const { page, nextPageToken } = pageOf(found, ({ triggerId }) => triggerId, request);
  const tasks = new Map(
    (await store.readTasks(page.map(({ taskId }) => taskId))).map((row) => [row.taskId, row]),
  );
  const service = engine.serviceNow;
  return {
    triggers: page.map((row) => triggerOf(row, tasks.get(row.taskId), service, triggerers)),
    nextPageToken,
  };
}

export async function fireTrigger(
  host: DagServiceHost,
  { triggerId, payload }: FireTriggerRequest,
): Promise<FireTriggerResponse> {
  const call = {
    action: 'fire_trigger',
    triggerId: triggerId.slice(0, 140),
    payload: payloadOf(payload),
  } as const;
  const { trigger } = await decided(host, 'trigger', call);
  const [task] = await host.store.readTasks([trigger.taskId]);
  const { state, serviceNow } = host.engine;
  return { trigger: triggerOf(trigger, task, serviceNow, state.triggerers) };
}

/** `triggerers` are the live sessions: a row goes on naming the one that is over until it is assigned again. */
function triggerOf(
  row: TriggerRow,
  task: TaskRow | undefined,
  service: number,
  triggerers: ReadonlySet<Epoch>,
): Trigger {
  const leftMs = row.timeoutAt === null ? null : Math.max(0, row.timeoutAt - service);
  return {
    triggerId: row.triggerId,
    taskId: row.taskId,
    instance: task?.instance ? instanceNameOf(task.instance) : undefined,
    kind: row.kind,
    input: row.input,
    createdAt: dateOf(row.createdAt),
    timesOutIn: leftMs === null ? undefined : durationOf(leftMs),
    agentId: triggerers.has(row.epoch) ? row.agentId : '',
    fencingToken: row.token,
  };
}

export function listBundles({ engine }: DagServiceHost): ListBundlesResponse {
  const moment = engine.context();
  const rows = [...engine.state.dags.bundles.values()].sort((a, b) => (a.bundle < b.bundle ? -1 : 1));
  return { bundles: rows.map((row) => bundleOf(engine.state, row, moment)) };
}
