import { later } from '../kit/time.js';
import { decideCall } from './calls.js';
import { advanceRuns } from './dag/advance.js';
import { decideSnapshot } from './dag/bundles.js';
import { seatHolders } from './dag/holders.js';
import { fireDueTriggers } from './dag/trigger-events.js';
import { assignTriggers } from './dag/trigger-placement.js';
import { Draft, type LoadedRows } from './draft.js';
import { type BeatInput, decideHeartbeat } from './heartbeat.js';
import type { Context, Hello, Input } from './inputs.js';
import { renewedLease } from './lease.js';
import { observeBeat, type Presence } from './presence.js';
import { done } from './recovery.js';
import { decidePrune } from './retention.js';
import { decideGoodbye, decideHello, extendLeases } from './session.js';
import { detach } from './settle.js';
import type { State } from './state.js';
import { decideTick } from './tick.js';
import { ruleAgain } from './verdict.js';

/**
 * Takes in what the receipt of an input alone says: a heartbeat renews its lease (P1) and breaks the silence (P4), and
 * while a Hello waits its session's lease is not judged. That is true from the arrival on, however long a slow commit
 * lets them wait in the inbox and in whichever batch they are decided: no tick before it fails an agent that was heard.
 */
export function hear(state: State, input: Input): void {
  if (input.kind === 'hello') presenceOf(state, input.hello)?.greetings.add(input.streamId);
  if (input.kind === 'heartbeat') renewed(state, input);
}

/** Renews the lease of whoever a heartbeat is from; undefined when it is nobody's, or old. */
function renewed(state: State, input: BeatInput): Presence | undefined {
  const presence = state.presenceOfStream(input.streamId);
  const session = presence && state.sessions.get(presence.epoch);
  if (!presence || session?.state !== 'live' || input.beat.seq <= presence.received) return undefined;
  const ends = renewedLease(input.at, session.leaseMs);
  if (presence.lastBeat === null || input.at > presence.lastBeat) presence.lastBeat = input.at;
  if (input.at > presence.lastHeard) presence.lastHeard = input.at;
  if (ends > presence.leaseEnds) presence.leaseEnds = ends;
  return presence;
}

/** The presence of the very process that says Hello; an accepted Hello renews its lease from the receipt (P5). */
function presenceOf(state: State, { agentId, instanceId }: Hello): Presence | undefined {
  const session = state.liveSession(agentId);
  return session?.instanceId === instanceId ? state.presences.get(session.epoch) : undefined;
}

/**
 * Takes in the facts of one input: a heartbeat renews its lease, a lost stream makes its agent SUSPECT, a stall of ours
 * extends every lease. Facts are no decisions: they stand whatever becomes of the commit, so each input is observed
 * once, before the batch that it belongs to is decided.
 */
export function observe(state: State, input: Input): void {
  switch (input.kind) {
    case 'heartbeat': {
      const presence = renewed(state, input);
      if (presence !== undefined && observeBeat(presence, input.beat, input.at))
        state.dirty.add(presence.epoch);
      return;
    }
    case 'stream_closed': {
      const presence = state.presenceOfStream(input.streamId);
      if (presence)
        state.notes.push({ kind: 'agent_suspect', agentId: presence.agentId, epoch: presence.epoch });
      detach(state, input.streamId);
      return;
    }
    case 'stall':
      for (const presence of state.presences.values())
        presence.lastHeard = later(presence.lastHeard, input.ms);
      extendLeases(state, input.ms);
      return;
    case 'hello':
      presenceOf(state, input.hello)?.greetings.delete(input.streamId);
      return;
    case 'goodbye':
    case 'snapshot':
    case 'tick':
    case 'advance':
    case 'prune':
    case 'submit':
    case 'cancel':
    case 'resolve':
    case 'retry':
    case 'steer':
    case 'limit_queue':
    case 'dag':
    case 'cordon':
    case 'uncordon':
    case 'drain':
      return;
  }
}

/**
 * Decides a batch of observed inputs. Pure: the same state, context and rows give the same draft. Time is judged last:
 * a Hello that came before this moment counts, wherever it stands in the batch. After it, what the runs of DAGs do next.
 */
export function decide(state: State, ctx: Context, inputs: readonly Input[], loaded: LoadedRows): Draft {
  const draft = new Draft(state, ctx, loaded);
  for (const input of inputs) if (!isLate(input)) decideInput(draft, input);
  for (const input of inputs) if (input.kind === 'tick') decideInput(draft, input);
  seatHolders(draft);
  for (const input of inputs) if (input.kind === 'advance') decideInput(draft, input);
  ruleAgain(draft);
  assignTriggers(draft);
  if (state.recovery === null && !draft.losesCommits) draft.counters = done(draft.counters, 'wait');
  return draft;
}

function isLate({ kind }: Input): boolean {
  return kind === 'tick' || kind === 'advance';
}

function decideInput(draft: Draft, input: Input): void {
  switch (input.kind) {
    case 'hello':
      return decideHello(draft, input);
    case 'heartbeat': {
      const presence = draft.state.presenceOfStream(input.streamId);
      // P5: once a newer stream is attached, what the older one says is ignored.
      if (presence === undefined || draft.attaches(presence.epoch)) return;
      return decideHeartbeat(draft, presence, input);
    }
    case 'goodbye': {
      const presence = draft.state.presenceOfStream(input.streamId);
      if (presence === undefined || draft.attaches(presence.epoch) || !input.endsSession) return;
      return decideGoodbye(draft, presence.epoch, input.streamId, input.reason);
    }
    case 'snapshot':
      return decideSnapshot(draft, input);
    case 'tick':
      return decideTick(draft);
    case 'advance':
      fireDueTriggers(draft);
      return advanceRuns(draft, input.runs);
    case 'prune':
      draft.prunedTo = decidePrune(draft);
      return;
    case 'stream_closed':
      if (draft.attachments.some(({ streamId }) => streamId === input.streamId))
        draft.gone.push(input.streamId);
      return;
    case 'stall':
      return;
    case 'submit':
    case 'cancel':
    case 'resolve':
    case 'retry':
    case 'steer':
    case 'limit_queue':
    case 'dag':
    case 'cordon':
    case 'uncordon':
    case 'drain':
      return decideCall(draft, input);
  }
}
