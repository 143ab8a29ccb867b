import type { AgentId, Epoch } from '../../kit/ids.js';
import { LazyMap } from '../../kit/lazy.js';
import type { Draft } from '../draft.js';
import { leaseExpired } from '../lease.js';
import type { Presence } from '../presence.js';
import type { AgentRow, SessionRow } from '../rows.js';
import { firstMatch } from '../rules.js';
import { CORE_KINDS } from './trigger-book.js';

/** Triggers that one batch assigns at most: about as many rows as a commit should have; the others follow in the next. */
const ASSIGN_STEP = 500;

/** What a triggerer is judged on. */
interface TriggererCase {
  readonly draft: Draft;
  readonly session: SessionRow | undefined;
  readonly agent: AgentRow | undefined;
  readonly presence: Presence | undefined;
}

/** Why a triggerer gets no triggers now. The first row that matches; none lets it have some. */
export const TRIGGERER_BLOCKS: readonly {
  readonly name: string;
  readonly when: (c: TriggererCase) => boolean;
}[] = [
  { name: 'session_over', when: ({ session }) => session?.state !== 'live' },
  { name: 'cordoned', when: ({ agent }) => agent === undefined || agent.cordoned || agent.draining },
  // P18: what is assigned in commits that are lost may be running somewhere.
  { name: 'recovering', when: ({ draft }) => draft.state.recovery !== null || draft.losesCommits },
  { name: 'suspect', when: (c) => !isConnected(c) },
  {
    name: 'lease_over',
    when: ({ presence, draft, session }) =>
      presence !== undefined &&
      session !== undefined &&
      !draft.attaches(session.epoch) &&
      leaseExpired(presence.leaseEnds, draft.ctx.now),
  },
];

function isConnected({ draft, session, presence }: TriggererCase): boolean {
  const attached = draft.attachments.findLast((attachment) => attachment.session.epoch === session?.epoch);
  if (attached !== undefined) return !draft.gone.includes(attached.streamId);
  const streamId = presence?.streamId ?? null;
  return streamId !== null && !draft.closings.some((closing) => closing.streamId === streamId);
}

interface Triggerer {
  readonly epoch: Epoch;
  readonly agentId: AgentId;
  readonly kinds: ReadonlySet<string>;
  readonly slots: number;
  count: number;
}

/**
 * P16: triggers without an owner go to the triggerers that can have them, each to the one with the smallest share of its
 * slots taken. An assignment is one durable write with a token of its own; what was told under an older one counts no more.
 */
export function assignTriggers(draft: Draft): void {
  const wanting = unowned(draft);
  if (wanting.size === 0) return;
  const triggerers = healthyTriggerers(draft);
  let left = ASSIGN_STEP;
  for (const [kind, triggerIds] of wanting) {
    const able = triggerers.filter(({ kinds }) => kinds.has(kind));
    for (const triggerId of able.length === 0 ? [] : triggerIds) {
      const triggerer = leastTaken(able);
      if (left === 0) return;
      if (triggerer === null) break;
      const trigger = draft.dags.trigger(triggerId);
      if (trigger === undefined) continue;
      const { epoch, agentId } = triggerer;
      draft.dags.putTrigger({ ...trigger, token: draft.drawToken(), epoch, agentId });
      triggerer.count++;
      left--;
    }
  }
}

/** By kind: those of sessions that this draft ends included, so that they are assigned again by the same commit. */
function unowned(draft: Draft): ReadonlyMap<string, ReadonlySet<string>> {
  const { triggers } = draft.state.dags;
  const wanting = new LazyMap<string, Set<string>>();
  const want = (kind: string, triggerId: string) => {
    if (CORE_KINDS.has(kind)) return;
    wanting.set(kind, (wanting.get(kind) ?? new Set()).add(triggerId));
  };
  const known = triggers.unowned;
  for (const session of draft.sessions.values()) {
    if (session.state === 'live') continue;
    for (const triggerId of triggers.of(session.epoch)) want(triggers.get(triggerId)?.kind ?? '', triggerId);
  }
  for (const trigger of draft.touchedDags?.triggers.values() ?? [])
    if (trigger.epoch === 0n) want(trigger.kind, trigger.triggerId);
  if (wanting.size === 0) return isServed(draft, known) ? known : wanting;
  for (const [kind, triggerIds] of known) for (const triggerId of triggerIds) want(kind, triggerId);
  return wanting;
}

/** Whether anything but the core's own kinds waits; with nobody there, what waits is not looked through. */
function isServed({ state, sessions }: Draft, known: ReadonlyMap<string, unknown>): boolean {
  return known.size > 0 && (state.triggerers.size > 0 || sessions.size > 0);
}

function healthyTriggerers(draft: Draft): Triggerer[] {
  const { state } = draft;
  const found: Triggerer[] = [];
  const epochs = new Set(state.triggerers);
  for (const session of draft.sessions.values()) if (session.kind === 'triggerer') epochs.add(session.epoch);
  for (const epoch of epochs) {
    const session = draft.session(epoch);
    const agent = session && draft.agent(session.agentId);
    const c: TriggererCase = { draft, session, agent, presence: state.presences.get(epoch) };
    if (session === undefined) continue;
    if (firstMatch('triggerer', TRIGGERER_BLOCKS, draft.ctx.tally, c) !== undefined) continue;
    const { agentId, slots, triggerKinds } = session;
    const count = state.dags.triggers.of(epoch).size;
    const kinds = new Set(triggerKinds.filter((kind) => !CORE_KINDS.has(kind)));
    found.push({ epoch, agentId, kinds, slots, count });
  }
  return found;
}

function leastTaken(triggerers: readonly Triggerer[]): Triggerer | null {
  let least: Triggerer | null = null;
  for (const triggerer of triggerers) {
    if (triggerer.count >= triggerer.slots) continue;
    if (least === null || triggerer.count / triggerer.slots < least.count / least.slots) least = triggerer;
  }
  return least;
}
