import { NOTIFICATION_EVENTS, type NotificationEvent, type NotificationRow } from '../core/rows.js';
import type { ServiceMs, WallMs } from '../kit/time.js';
import type { DeliveryRow, Missed, StoredNotification } from './store.js';
import { TupleReader } from './tuple.js';

/* Notifications and their deliveries to their stored form and back; see codec.ts for the form. */

const EVENTS = Object.fromEntries(NOTIFICATION_EVENTS.map((event) => [event, true])) as Readonly<
  Record<NotificationEvent, true>
>;

export function encodeNotification(row: NotificationRow): string {
  return JSON.stringify([row.id, row.event, row.at, row.atService, row.subject, JSON.stringify(row.data)]);
}

export function decodeNotification(n: number, stored: string): StoredNotification {
  const r = new TupleReader(stored, `notification ${n}`);
  return {
    n,
    id: r.text(),
    event: r.word(EVENTS),
    at: r.number() as WallMs,
    atService: r.number() as ServiceMs,
    subject: r.text(),
    data: JSON.parse(r.text()) as NotificationRow['data'],
  };
}

export function encodeDelivery({ cursor, missed }: DeliveryRow): string {
  return JSON.stringify([
    cursor,
    missed === null ? null : [missed.count, missed.first, missed.from, missed.to],
  ]);
}

export function decodeDelivery(endpoint: string, stored: string): DeliveryRow {
  const r = new TupleReader(stored, `deliveries to ${endpoint}`);
  return { endpoint, cursor: r.number(), missed: r.tupleOrNull(readMissed) };
}

const readMissed = (r: TupleReader): Missed => ({
  count: r.number(),
  first: r.number(),
  from: r.number() as WallMs,
  to: r.number() as WallMs,
});
