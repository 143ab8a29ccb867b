import type {
  AssetEventRow,
  AssetRow,
  BackfillRow,
  BundleRow,
  DagRow,
  DagVersionRow,
  RunRow,
  TriggerRow,
} from '../core/dag/rows.js';
import type { TaskId } from '../kit/ids.js';
import type { WallMs } from '../kit/time.js';
import {
  decodeAssetEvent,
  decodeBackfill,
  decodeBundle,
  decodeDag,
  decodeRun,
  decodeTrigger,
} from './dag-codec.js';

/* Rows of DAGs from the columns that both databases name alike. Whole numbers of PostgreSQL may come as text. */

type Columns = Readonly<Record<string, unknown>>;

export const toDag = (c: Columns): DagRow =>
  decodeDag(
    {
      dagId: c.dag_id as string,
      version: c.version as number,
      definitionVersion: c.definition_version as number,
    },
    c.data as string,
  );

export const toVersion = (c: Columns): DagVersionRow => ({
  dagId: c.dag_id as string,
  definitionVersion: c.definition_version as number,
  hash: c.hash as string,
  definition: c.definition as string,
  createdAt: c.created_at as WallMs,
});

export const toRun = (c: Columns): RunRow =>
  decodeRun({
    run: c.run as string,
    version: c.version as number,
    dagId: c.dag_id as string,
    type: c.type as string,
    state: c.state as string,
    definitionVersion: c.definition_version as number,
    backfill: c.backfill as string,
    createdAt: c.created_at as number,
    endedAt: c.ended_at as number | null,
    data: c.data as string,
  });

export const toAsset = (c: Columns): AssetRow => ({
  asset: c.asset as string,
  version: c.version as number,
  lastEvent: Number(c.last_event),
  lastEventAt: c.last_event_at as WallMs | null,
});

export const toEvent = (c: Columns): AssetEventRow =>
  decodeAssetEvent(Number(c.n), c.asset as string, c.data as string);

export const toTrigger = (c: Columns): TriggerRow =>
  decodeTrigger(
    { triggerId: c.trigger_id as string, version: c.version as number, taskId: c.task_id as TaskId },
    c.data as string,
  );

export const toBundle = (c: Columns): BundleRow =>
  decodeBundle(c.bundle as string, c.version as number, c.data as string);

export const toBackfill = (c: Columns): BackfillRow =>
  decodeBackfill(
    {
      backfill: c.backfill as string,
      version: c.version as number,
      dagId: c.dag_id as string,
      createdAt: c.created_at as WallMs,
    },
    c.data as string,
  );
