import { SECOND } from '../kit/time.js';
import type { StoredNotification } from '../store/store.js';
import type { Endpoint } from './endpoint.js';
import type { Outcome, Sending } from './queue.js';
import { retryAfterMs } from './retry-after.js';
import { signatureOf } from './sign.js';

/** Milliseconds for one sending, from the connection to the answer's status. */
export const ANSWER_MS = 10_000;

/** Statuses by which a receiver says that it will never take this very notification. */
const REFUSALS: ReadonlySet<number> = new Set([400, 413, 422]);

/** What is sent, as text: the signature is over exactly these bytes. */
function messageOf(sending: Sending): { readonly id: string; readonly body: string } {
  if (sending.kind === 'notification') {
    const { id, event, at, data }: StoredNotification = sending.row;
    return { id, body: JSON.stringify({ type: event, timestamp: new Date(at).toISOString(), data }) };
  }
  const { count, first, from, to } = sending.missed;
  const data = { count, from: new Date(from).toISOString(), to: new Date(to).toISOString() };
  return {
    id: `notifications.missed_${first}_${count}_${to}`,
    body: JSON.stringify({ type: 'notifications.missed', timestamp: data.to, data }),
  };
}

/** How a sending ended, with the status or the reason for people. */
export interface Answer {
  readonly outcome: Outcome;
  readonly detail: string;
  /** How long the receiver asks to be left alone, in milliseconds; 0 when it does not say. */
  readonly retryAfterMs: number;
}

/**
 * Sends once. A redirect is a failure and never followed: whoever can answer for the endpoint could otherwise send our
 * signed messages anywhere. `signal` ends it, whatever the receiver does.
 */
export async function post(
  endpoint: Endpoint,
  sending: Sending,
  timestamp: number,
  signal: AbortSignal,
): Promise<Answer> {
  const { id, body } = messageOf(sending);
  try {
    const response = await fetch(endpoint.url, {
      method: 'POST',
      redirect: 'manual',
      signal,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'holdfast',
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': signatureOf(endpoint.keys, id, timestamp, body),
      },
      body,
    });
    // The status is all that counts: a body without end must not hold the connection.
    await response.body?.cancel().catch(() => {});
    const { status } = response;
    const wait = retryAfterMs(response.headers, timestamp * SECOND);
    if (response.ok) return { outcome: 'accepted', detail: `status ${status}`, retryAfterMs: 0 };
    if (REFUSALS.has(status)) return { outcome: 'refused', detail: `status ${status}`, retryAfterMs: wait };
    const redirect = status >= 300 && status < 400 ? ', a redirect, which is not followed' : '';
    return { outcome: 'failed', detail: `status ${status}${redirect}`, retryAfterMs: wait };
  } catch (error) {
    const detail = signal.aborted ? `no answer within ${ANSWER_MS} ms` : reasonOf(error);
    return { outcome: 'failed', detail, retryAfterMs: 0 };
  }
}

/** fetch wraps what the system said. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return code ?? message;
}
