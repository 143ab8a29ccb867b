import type { StreamId } from '../kit/ids.js';
import { NOTHING_MORE } from './acks.js';
import type { Draft } from './draft.js';
import type { Frame } from './frames.js';
import type { State } from './state.js';

/**
 * Acknowledges a heartbeat that waits to be decided, and nothing else: its agent's lease and its stream live on (P2, P4) however
 * long the store takes. What the heartbeat says is judged later, as if the answer had been lost. Null for a session that is over
 * or that `pending`, the draft whose commit is waited for, may end or give to another stream: from a decision to fail on nothing
 * is acknowledged (P1).
 */
export function ackAside(
  state: State,
  pending: Draft | null,
  streamId: StreamId,
  received: number,
): Frame | null {
  const presence = state.presenceOfStream(streamId);
  if (presence === undefined || state.sessions.get(presence.epoch)?.state !== 'live') return null;
  const { epoch } = presence;
  if (pending !== null && (pending.session(epoch)?.state !== 'live' || pending.attaches(epoch))) return null;
  presence.sent++;
  return { kind: 'ack', streamId, ack: { ...NOTHING_MORE, number: presence.sent, received } };
}
