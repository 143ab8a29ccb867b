import type { Asset, AssetEvent, Bundle, Pool, Trigger } from '../client/index.js';
import type { Presentation } from './present.js';
import { instanceNameShape, orNull, type Shape, time } from './shapes.js';
import { renderTable } from './table.js';
import { instanceNameWords, type View } from './task-views.js';
import { agoWords, spanWords } from './words.js';

/** What is shown of assets, pools, triggers and bundles. */

const listOf = <T>(
  items: readonly T[],
  view: View,
  shape: (item: T) => Shape,
  name: (item: T) => string,
  headers: readonly string[],
  row: (item: T) => readonly string[],
): Presentation => ({
  data: items.map(shape),
  names: items.map(name),
  table: () => renderTable(headers, items.map(row), view.colours, view.out.columns),
});

const assetShape = ({ asset, lastEvent, lastEventAt, dagIds }: Asset): Shape => ({
  ...{ asset, lastEvent: String(lastEvent), lastEventAt: time(lastEventAt), dagIds },
});

export const assetListView = (assets: readonly Asset[], view: View): Presentation =>
  listOf(
    assets,
    view,
    assetShape,
    ({ asset }) => asset,
    ['ASSET', 'LAST EVENT', 'DAGS'],
    ({ asset, lastEventAt, dagIds }) => [asset, agoWords(lastEventAt, view.now), dagIds.join(', ') || '-'],
  );

const eventShape = ({ n, asset, at, source, extra }: AssetEvent): Shape => ({
  ...{
    n: String(n),
    asset,
    at: time(at),
    source: source ? instanceNameShape(source) : null,
    extra: extra ?? null,
  },
});

export const assetEventListView = (events: readonly AssetEvent[], view: View): Presentation =>
  listOf(
    events,
    view,
    eventShape,
    ({ n }) => String(n),
    ['EVENT', 'ASSET', 'WHEN', 'SOURCE', 'EXTRA'],
    ({ n, asset, at, source, extra }) => [
      ...[String(n), asset, agoWords(at, view.now)],
      source === undefined ? '-' : instanceNameWords(source),
      extra === undefined ? '' : JSON.stringify(extra),
    ],
  );

export const assetEventView = (event: AssetEvent, view: View): Presentation => ({
  ...assetEventListView([event], view),
  data: eventShape(event),
});

const poolShape = ({ pool, slots, used, waiting, description, known }: Pool): Shape => ({
  ...{ pool, slots: slots ?? null, used, waiting, description: orNull(description), known },
});

export const poolListView = (pools: readonly Pool[], view: View): Presentation =>
  listOf(
    pools,
    view,
    poolShape,
    ({ pool }) => pool,
    ['POOL', 'SLOTS', 'USED', 'WAITING', 'DESCRIPTION'],
    ({ pool, slots, used, waiting, description, known }) => [
      ...[pool, slots === undefined ? 'no limit' : String(slots), String(used), String(waiting)],
      known ? description : '(nobody has set it)',
    ],
  );

export const poolView = (pool: Pool, view: View): Presentation => ({
  ...poolListView([pool], view),
  data: poolShape(pool),
});

export const triggerShape = (trigger: Trigger): Shape => ({
  triggerId: trigger.triggerId,
  taskId: trigger.taskId,
  instance: trigger.instance === undefined ? null : instanceNameShape(trigger.instance),
  kind: trigger.kind,
  input: trigger.input ?? null,
  createdAt: time(trigger.createdAt),
  timesOutInMs: trigger.timesOutInMs ?? null,
  agentId: orNull(trigger.agentId),
  fencingToken: String(trigger.fencingToken),
});

export const triggerListView = (triggers: readonly Trigger[], view: View): Presentation =>
  listOf(
    triggers,
    view,
    triggerShape,
    ({ triggerId }) => triggerId,
    ['TRIGGER', 'KIND', 'AGENT', 'WAITING', 'TIMES OUT', 'FOR', 'INPUT'],
    ({ triggerId, kind, agentId, createdAt, timesOutInMs, instance, taskId, input }) => [
      ...[triggerId, kind, agentId || '-'],
      createdAt === undefined ? '-' : spanWords(view.now - createdAt.getTime()),
      timesOutInMs === undefined ? 'never' : `in ${spanWords(timesOutInMs)}`,
      instance === undefined ? `task ${taskId}` : instanceNameWords(instance),
      input === undefined ? '' : JSON.stringify(input),
    ],
  );

const bundleShape = (bundle: Bundle): Shape => ({
  bundle: bundle.bundle,
  agentId: orNull(bundle.agentId),
  receivedAt: time(bundle.receivedAt),
  unheardForMs: bundle.unheardForMs ?? null,
  dagCount: bundle.dagCount,
  importErrors: bundle.importErrors.map(({ file, message, since }) => ({
    file,
    message,
    since: time(since),
  })),
});

export function bundleListView(bundles: readonly Bundle[], view: View): Presentation {
  const list = listOf(
    bundles,
    view,
    bundleShape,
    ({ bundle }) => bundle,
    ['BUNDLE', 'DAGS', 'ERRORS', 'READ BY', 'UNHEARD FOR', 'SNAPSHOT'],
    ({ bundle, dagCount, importErrors, agentId, unheardForMs, receivedAt }) => [
      ...[bundle, String(dagCount), String(importErrors.length), agentId || '-'],
      unheardForMs === undefined ? '-' : spanWords(unheardForMs),
      agoWords(receivedAt, view.now),
    ],
  );
  return { ...list, table: () => `${list.table()}${importErrorTable(bundles, view)}` };
}

/** Files that cannot be read, a row for each line of their errors: one that never could be has no DAG that shows it. */
function importErrorTable(bundles: readonly Bundle[], view: View): string {
  const rows = bundles.flatMap(({ bundle, importErrors }) =>
    importErrors.flatMap(({ message, since }) =>
      message
        .split('\n')
        .map((line, n) => (n === 0 ? [bundle, agoWords(since, view.now), line] : ['', '', line])),
    ),
  );
  if (rows.length === 0) return '';
  return `\n${renderTable(['BUNDLE', 'SINCE', 'IMPORT ERROR'], rows, view.colours, undefined)}`;
}
