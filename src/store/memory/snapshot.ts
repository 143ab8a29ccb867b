import type { AgentRow, Counters, HistoryRow, QueueRow, SessionRow, TaskSpecRow } from '../../core/rows.js';
import type { DagPuts } from '../dags.js';
import type { DeliveryRow, StoredNotification, TaskPut } from '../store.js';
import { byText } from './sorted.js';
import { Tables } from './tables.js';

/** All rows of a store as plain values in a fixed order: two stores are equal when their snapshots are. */
export interface Snapshot {
  readonly tasks: readonly TaskPut[];
  readonly specs: readonly TaskSpecRow[];
  readonly history: readonly HistoryRow[];
  readonly agents: readonly AgentRow[];
  readonly sessions: readonly SessionRow[];
  readonly queues: readonly QueueRow[];
  readonly notifications: readonly StoredNotification[];
  readonly newestNotification: number;
  readonly deliveries: readonly DeliveryRow[];
  readonly counters: Counters;
  /** Puts that make the rows of DAGs; never null, so that what is equal looks it. */
  readonly dags: DagPuts;
}

/** Tables with what a snapshot has; null has nothing. */
export function restore(start: Snapshot | null): Tables {
  const tables = new Tables();
  if (start === null) return tables;
  tables.apply({ ...start, notifications: [], removals: [], agentRemovals: [] });
  tables.notifications = [...start.notifications];
  tables.newestNotification = start.newestNotification;
  tables.deliveries = start.deliveries;
  return tables;
}

export const toSnapshot = (tables: Tables): Snapshot => ({
  tasks: [...tables.tasks.values()].sort((a, b) => byText(a.row.taskId, b.row.taskId)),
  specs: [...tables.specs.values()].sort((a, b) => byText(a.taskId, b.taskId)),
  history: [...tables.history.values()].flat().sort((a, b) => byText(a.taskId, b.taskId) || a.n - b.n),
  agents: [...tables.agents.values()].sort((a, b) => byText(a.agentId, b.agentId)),
  sessions: [...tables.sessions.values()].sort(byEpoch),
  queues: [...tables.queues.values()].sort((a, b) => byText(a.queue, b.queue)),
  notifications: [...tables.notifications],
  newestNotification: tables.newestNotification,
  deliveries: tables.deliveries,
  counters: tables.counters,
  dags: tables.dags.snapshot(),
});

export const byEpoch = (a: SessionRow, b: SessionRow): number =>
  a.epoch < b.epoch ? -1 : a.epoch > b.epoch ? 1 : 0;
