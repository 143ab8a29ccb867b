import { NOTIFICATION_EVENTS, type NotificationEvent } from '../core/rows.js';
import { keysOf } from './sign.js';

/** Where notifications go. */
export interface WebhookOptions {
  /** https, or http on this machine; http elsewhere needs `allowPlaintext` of the coordinator. One entry for each URL. */
  readonly url: string;
  /**
   * The secret that signs every sending: `whsec_` and base64 of 24 to 64 bytes. Two on lines of their own while one
   * replaces the other: then each sending bears both signatures.
   */
  readonly secret: string;
  /** Which events are sent. Default all. `notifications.missed` always is. */
  readonly events?: readonly NotificationEvent[] | undefined;
}

/** An endpoint whose options were found good. */
export interface Endpoint {
  readonly url: string;
  readonly keys: readonly Buffer[];
  readonly events: ReadonlySet<NotificationEvent>;
}

/** Endpoints of one coordinator; each has a queue of its own. */
const MOST_ENDPOINTS = 16;

/** What is wrong with these endpoints, one sentence each with its reason; empty when they may be used. */
export function webhookFaults(
  webhooks: readonly WebhookOptions[],
  reachable: (url: URL) => boolean,
): readonly string[] {
  const faults: string[] = [];
  if (webhooks.length > MOST_ENDPOINTS) {
    faults.push(`there are ${webhooks.length} webhooks, because there may be at most ${MOST_ENDPOINTS}`);
  }
  const seen = new Set<string>();
  for (const { url, secret, events = [] } of webhooks) {
    const parsed = URL.canParse(url) ? new URL(url) : null;
    // What a URL carries behind its host may be a secret of the receiver.
    const name = parsed === null ? 'a webhook' : `the webhook at ${parsed.origin}`;
    if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
      faults.push(`${name} cannot be used, because its url is no http or https URL`);
    } else if (parsed.username !== '' || parsed.password !== '') {
      faults.push(
        `${name} cannot be used, because a user in the url would be sent in the clear; use its path`,
      );
    } else if (!reachable(parsed)) {
      faults.push(
        `${name} cannot be used, because it is http beyond this machine: use https, or allow plaintext`,
      );
    }
    if (seen.has(url)) faults.push(`${name} cannot be used, because the same url is there twice`);
    seen.add(url);
    const keys = keysOf(secret);
    if (typeof keys === 'string') faults.push(`the secret of ${name} cannot be used, because ${keys}`);
    for (const event of events) {
      if (NOTIFICATION_EVENTS.includes(event)) continue;
      faults.push(`${name} asks for ${event}, because it must be one of ${NOTIFICATION_EVENTS.join(', ')}`);
    }
  }
  return faults;
}

/** Checked options as they are used. */
export function endpointOf({ url, secret, events = [] }: WebhookOptions): Endpoint {
  const keys = keysOf(secret);
  if (typeof keys === 'string') throw new Error(`the secret of a webhook cannot be used, because ${keys}`);
  return { url, keys, events: new Set(events.length === 0 ? NOTIFICATION_EVENTS : events) };
}

/** The events that any of these wants. */
export function eventsOf(webhooks: readonly WebhookOptions[]): readonly NotificationEvent[] {
  const wanted = new Set(webhooks.flatMap((webhook) => [...endpointOf(webhook).events]));
  return NOTIFICATION_EVENTS.filter((event) => wanted.has(event));
}
