import type { Epoch, StreamId, Token } from '../kit/ids.js';
import { invariant } from '../kit/invariant.js';
import { later, MINUTE, type MonoMs } from '../kit/time.js';
import type { AckParts } from './acks.js';
import { directiveOf } from './calls.js';
import { bundleFrames } from './dag/holders.js';
import { noteTriggerChanges, tellAgain, tellTriggers, triggerChanges } from './dag/trigger-telling.js';
import type { Attachment, Draft } from './draft.js';
import type { Frame, Permit } from './frames.js';
import { leaseTerms, renewedLease, silenceLimitMs } from './lease.js';
import { Placement } from './placement.js';
import { newPresence, type Presence } from './presence.js';
import { laneOf, type TaskRow } from './rows.js';
import { permitFrame } from './start.js';
import type { State } from './state.js';

/**
 * What is committed becomes the state, offers are made on it, and the frames that may now leave are numbered. Nothing
 * of a draft is sent before this; nothing is settled that is not durable. `told`: now, when the frames leave; a slow commit may
 * have taken long since the draft was decided, and from here on its agents have the time that they are given for an answer (P13).
 */
export function settle(draft: Draft, told: MonoMs): Frame[] {
  const { state } = draft;
  state.counters = draft.counters;
  for (const agent of draft.agents.values()) {
    state.agents.set(agent.agentId, agent);
    state.dirty.add(agent.epoch);
  }
  for (const agentId of draft.agentRemovals.keys()) state.forgetAgent(agentId);
  if (draft.nextLook !== null) state.lookAtPresences = draft.nextLook;
  if (draft.agentsSeen) state.lookAtAgents = later(draft.ctx.now, MINUTE);
  for (const queue of draft.queues.values()) state.queues.set(queue.queue, queue);
  for (const session of draft.sessions.values()) state.putSession(session);
  for (const task of draft.tasks.values()) settleTask(draft, task.taskId);
  const { touchedDags } = draft;
  const ofTriggers = touchedDags === null ? [] : triggerChanges(state, touchedDags);
  touchedDags?.settle();
  for (const session of draft.sessions.values())
    if (session.state !== 'live') endPresence(state, session.epoch);
  settleFailures(draft);
  const frames: Frame[] = [];
  for (const refusal of draft.refusals) frames.push({ kind: 'refused', ...refusal });
  for (const attachment of draft.attachments) settleAttachment(draft, attachment, frames);
  for (const streamId of draft.gone) detach(state, streamId);
  for (const { streamId, reason } of draft.closings) {
    detach(state, streamId);
    frames.push({ kind: 'close', streamId, reason });
  }
  for (const streamId of draft.farewells) {
    detach(state, streamId);
    frames.push({ kind: 'farewell', streamId });
  }
  if (touchedDags !== null) frames.push(...bundleFrames(state, touchedDags));
  noteTriggerChanges(draft, ofTriggers);
  settleRecovery(draft);
  takeBackSpent(draft);
  draft.notes.push(...state.notes.splice(0));
  const placement = new Placement(state, draft.ctx, draft.acks, told);
  if (draft.nextLook !== null) placement.lapseOffers();
  placement.run();
  tellTriggers(draft);
  for (const [streamId, parts] of draft.acks) sendAck(draft, streamId, parts, told, frames);
  return frames;
}

function settleTask(draft: Draft, taskId: Parameters<Draft['task']>[0]): void {
  const { state } = draft;
  const task = draft.tasks.get(taskId);
  invariant(task !== undefined, 'a draft settles its own tasks');
  leaveLane(draft, task);
  state.settleTask(draft.base(taskId), task);
  const offered = state.offered.get(taskId);
  if (offered === undefined || (task.state === 'queued' && task.notBefore === null)) return;
  const holder = state.presences.get(offered.epoch);
  if (holder === undefined) return;
  state.dropOffer(holder, taskId);
  // Whoever got the permit has used the offer; anybody else must not ask for it any more.
  if (task.open?.epoch === offered.epoch && task.state === 'running') return;
  if (holder.streamId !== null) draft.say(holder.streamId).withdrawals.push(taskId);
}

/** A task that was moved to another queue is no longer for the agent that it was offered to. */
function leaveLane(draft: Draft, task: TaskRow): void {
  const { state } = draft;
  const offered = state.offered.get(task.taskId);
  if (offered === undefined) return;
  const holder = state.presences.get(offered.epoch);
  if (holder === undefined || laneOf(offered.task) === laneOf(task)) return;
  state.dropOffer(holder, task.taskId);
  if (holder.streamId !== null) draft.say(holder.streamId).withdrawals.push(task.taskId);
}

/**
 * Its agent asks no more for what it was refused. Kept open, an offer beyond the slots would wait for that for ever, and
 * its task with it.
 */
function takeBackSpent({ state, spent }: Draft): void {
  for (const { epoch, taskId, reason } of spent) {
    const holder = state.presences.get(epoch);
    if (holder === undefined) continue;
    holder.overasked ||= reason === 'no_free_slot';
    state.dirty.add(epoch);
    state.takeBackOffer(holder, taskId);
  }
}

function settleFailures(draft: Draft): void {
  if (draft.failures.length === 0) return;
  const since = later(draft.ctx.now, -draft.leaseMs);
  draft.state.recentFailures = [...draft.state.recentFailures.filter((f) => f.at > since), ...draft.failures];
}

function endPresence(state: State, epoch: Epoch): void {
  const presence = state.presences.get(epoch);
  if (presence === undefined) return;
  for (const taskId of [...presence.offers.keys()]) state.takeBackOffer(presence, taskId);
  if (presence.streamId !== null) state.streams.delete(presence.streamId);
  state.presences.delete(epoch);
  state.dags.triggers.release(epoch);
  state.aliveSince.delete(epoch);
  state.dirty.add(epoch);
}

/** The stream of a session is gone: SUSPECT (P4). Its offers go back at once, and are remembered until it returns. */
export function detach(state: State, streamId: StreamId): void {
  const presence = state.presenceOfStream(streamId);
  state.streams.delete(streamId);
  if (presence === undefined || presence.streamId !== streamId) return;
  presence.streamId = null;
  presence.lapsed = [...presence.offers.keys()];
  for (const taskId of presence.lapsed) state.takeBackOffer(presence, taskId);
  state.dirty.add(presence.epoch);
}

/** A Hello was accepted: the newest stream takes over, the lease counts from its receipt, the Welcome is number 1. */
function settleAttachment(draft: Draft, attachment: Attachment, frames: Frame[]): void {
  const { state, ctx } = draft;
  const { session, streamId, at, hello, verdicts } = attachment;
  const { epoch } = session;
  if (draft.session(epoch)?.state !== 'live') {
    // Attached and ended by the same batch.
    frames.push({ kind: 'close', streamId, reason: 'session_ended' });
    return;
  }
  const leaseEnds = renewedLease(at, session.leaseMs);
  const presence = state.presences.get(epoch) ?? newPresence(epoch, session.agentId, leaseEnds, ctx.now);
  if (presence.streamId !== null) {
    const older = presence.streamId;
    detach(state, older);
    frames.push({ kind: 'close', streamId: older, reason: 'replaced' });
  }
  state.presences.set(epoch, presence);
  if (!state.aliveSince.has(epoch)) state.aliveSince.set(epoch, ctx.now);
  if (presence.leaseEnds < leaseEnds) presence.leaseEnds = leaseEnds;
  state.lookNoLaterThan(later(at, silenceLimitMs(session.heartbeatMs)));
  Object.assign(presence, { lastBeat: at, lastHeard: at, streamId, received: 1, applied: 1, sent: 1 });
  Object.assign(presence, {
    effects: [],
    unresolved: false,
    lapsed: [],
    capacity: session.slots,
    overasked: false,
    ended: null,
  });
  state.streams.set(streamId, presence);
  takeInventory(presence, attachment);
  tellAgain(draft, presence);
  const { heartbeatMs, leaseMs, gateMs } = leaseTerms(session.heartbeatMs);
  const directive = directiveOf(draft, state.agents.get(session.agentId));
  const { acknowledgements } = attachment;
  const welcome = { epoch, heartbeatMs, leaseMs, gateMs, verdicts, acknowledgements, directive };
  frames.push({ kind: 'welcome', streamId, welcome });
  for (const token of state.permits.get(epoch) ?? []) {
    const task = state.open.get(token);
    if (
      task?.open &&
      presence.inventory.phase(token) === null &&
      hello.inventory.some((e) => e.phase === 'asked' && e.nonce === task.open?.nonce)
    ) {
      draft.say(streamId).permits.push(permitFrame(task, task.open));
    }
  }
  state.dirty.add(epoch);
}

/** The inventory of the Hello with the verdicts on it, as the agent has it once it has applied the Welcome. */
function takeInventory(presence: Presence, { hello, verdicts }: Attachment): void {
  presence.inventory.replace(hello.inventory);
  presence.unshown.clear();
  presence.shown.clear();
  for (const verdict of verdicts) {
    if (verdict.kind === 'recorded') presence.inventory.dropToken(verdict.token);
    else if (verdict.kind === 'never_start') presence.inventory.dropNonce(verdict.nonce);
    else if (verdict.kind === 'stop') {
      const entry = hello.inventory.find((e) => e.phase !== 'asked' && e.token === verdict.token);
      if (entry && entry.phase === 'running') presence.inventory.put({ ...entry, phase: 'stopping' });
    }
  }
  for (const entry of presence.inventory.runs()) presence.shown.add(entry.token);
}

/**
 * P18: recovery ends when L has passed. By then an inventory is in or its agent's gate is closed; that all of them are
 * in sooner cannot be known, because sessions were granted in the lost commits, too.
 */
function settleRecovery(draft: Draft): void {
  const { state, ctx } = draft;
  const { recovery } = state;
  if (recovery === null && !draft.losesCommits) return;
  if (recovery !== null && ctx.now < recovery.until) return;
  state.recovery = draft.losesCommits ? { until: later(ctx.now, draft.leaseMs) } : null;
  for (const epoch of state.presences.keys()) state.dirty.add(epoch);
}

/**
 * A permit asked for twice in a batch is told once. One whose token was closed by the same batch is told never: the
 * acknowledgement of its report comes first in the message, and the agent would take the permit for a new one.
 */
function dropClosedPermits(draft: Draft, parts: AckParts): void {
  if (parts.permits.length === 0) return;
  const permits = new Map<Token, Permit>();
  for (const permit of parts.permits) {
    if (draft.state.open.has(permit.token)) permits.set(permit.token, permit);
    else parts.refusals.push({ nonce: permit.nonce, reason: 'closed' });
  }
  parts.permits = [...permits.values()];
}

/** Numbers an acknowledgement, and notes what it will do to the agent's inventory once applied. */
function sendAck(draft: Draft, streamId: StreamId, parts: AckParts, told: MonoMs, frames: Frame[]): void {
  const presence = draft.state.presenceOfStream(streamId);
  if (presence === undefined) return;
  presence.sent++;
  const number = presence.sent;
  dropClosedPermits(draft, parts);
  for (const { token } of parts.acknowledgements)
    presence.effects.push({ number, kind: 'acknowledgement', token });
  for (const permit of parts.permits) {
    const { nonce, token, taskId } = permit;
    presence.effects.push({ number, kind: 'permit', nonce, token, taskId });
    const unshown = presence.unshown.get(token);
    if (unshown === undefined) presence.unshown.set(token, { toldAt: told, number, voidedAt: null });
    else unshown.number = number;
  }
  for (const token of parts.voidTokens) {
    const unshown = presence.unshown.get(token);
    if (unshown !== undefined) unshown.voidedAt = told;
  }
  for (const { nonce } of parts.refusals) presence.effects.push({ number, kind: 'refusal', nonce });
  frames.push({ kind: 'ack', streamId, ack: { ...parts, number, received: presence.received } });
}
