import type { Epoch } from '../../kit/ids.js';
import { invariant } from '../../kit/invariant.js';
import { LazySet } from '../../kit/lazy.js';
import type { Draft } from '../draft.js';
import type { Frame } from '../frames.js';
import type { SessionRow } from '../rows.js';
import type { State } from '../state.js';
import type { DagDraft } from './draft.js';
import type { BundleRow } from './rows.js';

/**
 * P17: one holder for each bundle. The first live DAG processor that names it holds it for as long as its session lasts;
 * then the next one does, by epoch. A holder that comes back has a new session, and stands by behind the others. That the
 * hold is a row makes it last over restarts of ours, and lets the commit of a snapshot ask for it.
 */
export function seatHolders(draft: Draft): void {
  for (const bundle of bundlesOf(draft.sessions.values())) seat(draft, bundle);
  for (const { session } of draft.attachments) {
    for (const bundle of bundlesOf([session])) tellHold(draft, session.epoch, bundle);
  }
}

/** Bundles whose holder may be another one now. */
function bundlesOf(sessions: Iterable<SessionRow>): Iterable<string> {
  const bundles = new LazySet<string>();
  for (const { kind, bundles: named } of sessions) {
    if (kind === 'dag_processor') for (const bundle of named) bundles.add(bundle);
  }
  return bundles;
}

function seat(draft: Draft, bundle: string): void {
  const row = draft.dags.bundle(bundle);
  if (row !== undefined && isHeld(draft, row)) return;
  const next = nextHolder(draft, bundle);
  if (next === undefined) return;
  // P17: the bundles of a session never change, so whoever could have held it before was asked before.
  invariant(row === undefined || next.epoch > row.epoch, 'versions of a bundle only grow');
  const { epoch, agentId } = next;
  const empty = { bundle, version: 0, receivedAt: null, hash: '', importErrors: [] };
  draft.dags.putBundle({ ...(row ?? empty), epoch, sequence: 0n, agentId });
  draft.notes.push({ kind: 'bundle_held', bundle, agentId, epoch });
  if (!draft.attaches(epoch)) tellHold(draft, epoch, bundle);
}

/** Whether somebody's snapshots of the bundle count. */
function isHeld(draft: Draft, { epoch, bundle }: BundleRow): boolean {
  const session = draft.session(epoch);
  return session?.state === 'live' && session.bundles.includes(bundle);
}

function nextHolder(draft: Draft, bundle: string): SessionRow | undefined {
  let next: SessionRow | undefined;
  for (const epoch of new Set([...draft.state.presences.keys(), ...draft.sessions.keys()])) {
    const session = draft.session(epoch);
    if (session?.state !== 'live' || session.kind !== 'dag_processor') continue;
    if (!session.bundles.includes(bundle)) continue;
    if (next === undefined || epoch < next.epoch) next = session;
  }
  return next;
}

/** Tells a session whether it holds a bundle, and what is in force. */
export function tellHold(draft: Draft, epoch: Epoch, bundle: string): void {
  const row = draft.dags.bundle(bundle);
  draft.dags.holds.push({ epoch, bundle, held: row?.epoch === epoch, hash: row?.hash ?? '' });
}

/** After the commit: what DAG processors hear, on the streams that they have now. */
export function bundleFrames(state: State, dags: DagDraft): Frame[] {
  const frames: Frame[] = [];
  for (const answer of dags.answers)
    frames.push({ kind: 'bundle_answer', streamId: answer.streamId, answer });
  for (const hold of dags.holds) {
    const streamId = state.presences.get(hold.epoch)?.streamId;
    // Without a stream it hears of it with its next Welcome.
    if (streamId !== null && streamId !== undefined) frames.push({ kind: 'bundle_hold', streamId, hold });
  }
  return frames;
}
