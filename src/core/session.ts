import type { Epoch, StreamId } from '../kit/ids.js';
import { between, later } from '../kit/time.js';
import type { Draft } from './draft.js';
import { loseTry, tasksOfSession, voidPermit } from './failure.js';
import type { HelloRefusal } from './frames.js';
import type { Hello, StreamInput } from './inputs.js';
import { leaseTerms } from './lease.js';
import { mayHoldNothing, type Presence } from './presence.js';
import { beginWait, LEAP, lineAt } from './recovery.js';
import { mayBeRegained } from './regain.js';
import type { ProcessIdentity, SessionRow } from './rows.js';
import { firstMatch } from './rules.js';
import type { State } from './state.js';
import { judgeReport } from './token.js';
import { judgeInventory } from './verdict.js';

type HelloInput = Extract<StreamInput, { kind: 'hello' }>;

interface HelloCase {
  readonly draft: Draft;
  readonly hello: Hello;
  /** The newest session of this agent_id, whatever its state. */
  readonly newest: SessionRow | undefined;
  /** That session, if it is live. */
  readonly live: SessionRow | undefined;
}

type HelloRuling =
  | {
      readonly kind: 'refuse';
      readonly reason: HelloRefusal;
      readonly message: string;
      readonly delayMs: number;
    }
  | { readonly kind: 'attach' }
  | { readonly kind: 'replace'; readonly why: string }
  | { readonly kind: 'grant' };

/** P5 and its neighbours: what a Hello leads to. The first row that matches. */
export const HELLO_RULES: readonly {
  readonly name: string;
  readonly when: (c: HelloCase) => boolean;
  readonly then: (c: HelloCase) => HelloRuling;
}[] = [
  {
    name: 'implausible',
    when: ({ draft, hello }) => implausible(draft, hello),
    then: () =>
      refuse(
        'unsupported',
        'its highest token or epoch is far beyond any drawn here; wrong coordinator?',
        60_000,
      ),
  },
  {
    name: 'old_stream',
    when: ({ hello, newest }) => newest?.instanceId === hello.instanceId && hello.streamNo <= newest.streamNo,
    then: ({ newest }) =>
      refuse(
        'old_stream',
        `stream ${newest?.streamNo ?? 0} of this instance is newer; draw a higher stream_no`,
        0,
      ),
  },
  {
    // P18: it was granted a newer session in commits that are lost; this one was over then, and stays so.
    name: 'outlived',
    when: ({ hello, live }) => live?.instanceId === hello.instanceId && hello.highestEpoch > live.epoch,
    then: () => ({ kind: 'replace', why: 'its successor was among lost commits' }),
  },
  {
    name: 'attach',
    when: ({ hello, live }) => live?.instanceId === hello.instanceId,
    then: () => ({ kind: 'attach' }),
  },
  {
    name: 'proven',
    when: (c) => c.live !== undefined && provesDeath(c),
    then: () => ({ kind: 'replace', why: 'replaced by a proven successor' }),
  },
  { name: 'in_use', when: ({ live }) => live !== undefined, then: (c) => inUse(c) },
  {
    name: 'kind_differs',
    when: ({ draft, hello }) =>
      (draft.agent(hello.agentId)?.kind ?? hello.kind) !== hello.kind && holdsWork(draft, hello),
    then: () =>
      refuse('unsupported', 'this agent_id still holds runs of another kind; use another agent_id', 60_000),
  },
  {
    name: 'full',
    when: ({ draft }) =>
      draft.state.presences.size + draft.attachments.length >= draft.ctx.policy.limits.sessions,
    then: () => refuse('full', 'the coordinator has as many agents as it takes (limits.sessions)', 30_000),
  },
  { name: 'grant', when: () => true, then: () => ({ kind: 'grant' }) },
];

/**
 * P18 counts on beyond what an agent has seen; one wild number must not use the counters up. Many leaps are plausible: each
 * restore leaves agents that far ahead of its copy.
 */
const PLAUSIBLE_GAP = 1_000n * LEAP;

function implausible({ counters, ctx }: Draft, hello: Hello): boolean {
  const line = lineAt(ctx.wall);
  const isWild = (seen: bigint, drawn: bigint) => seen > (drawn > line ? drawn : line) + PLAUSIBLE_GAP;
  return isWild(hello.highestToken, counters.token) || isWild(hello.highestEpoch, counters.epoch);
}

function refuse(reason: HelloRefusal, message: string, delayMs: number): HelloRuling {
  return { kind: 'refuse', reason, message, delayMs };
}

function holdsWork(draft: Draft, hello: Hello): boolean {
  return draft.openTasksOf(hello.agentId).length > 0;
}

/** P5's proof: the new instance holds the very lock that the newest session's process held, in the same boot. */
function provesDeath({ hello, newest }: HelloCase): boolean {
  const { proof } = hello;
  if (newest === undefined || proof === null || newest.process.bootId === '') return false;
  const same = (a: ProcessIdentity) =>
    a.bootId === proof.bootId && a.lockDevice === proof.lockDevice && a.lockInode === proof.lockInode;
  return proof.instanceId === newest.instanceId && same(newest.process) && same(hello.process);
}

function inUse({ draft, hello, live }: HelloCase): HelloRuling {
  const ends = live && draft.state.presences.get(live.epoch)?.leaseEnds;
  // No presence yet: granted by this very batch, so the whole lease is left.
  const left = ends === undefined ? draft.leaseMs : Math.max(0, between(draft.ctx.now, ends));
  const message =
    `agent_id ${hello.agentId} is in use by another live instance, because its lease runs for ${Math.ceil(left)} ms more; ` +
    'wait for it to end, or give this agent another agent_id';
  return refuse('in_use', message, left);
}

export function decideHello(draft: Draft, input: HelloInput): void {
  const { hello, streamId } = input;
  const newest = draft.newestSession(hello.agentId);
  const live = newest?.state === 'live' ? newest : undefined;
  const c: HelloCase = { draft, hello, newest, live };
  const ruling = firstMatch('hello', HELLO_RULES, draft.ctx.tally, c)?.then(c) ?? { kind: 'grant' };
  if (ruling.kind === 'refuse') {
    const judged = hello.reports.filter((report) => !mayBeRegained(draft, report));
    const acknowledgements = judged.map((report) => judgeReport(draft, hello.agentId, report));
    draft.refusals.push({ streamId, refused: { ...ruling, acknowledgements } });
    return;
  }
  noticeLostCommits(draft, hello);
  if (ruling.kind === 'replace' && live !== undefined) {
    endSession(draft, live, 'ended', ruling.why);
  }
  const session =
    ruling.kind === 'attach' && live !== undefined ? attach(draft, live, hello) : grant(draft, hello);
  const { verdicts, acknowledgements } = judgeInventory(draft, session, hello, provesDeath(c));
  draft.attachments.push({ streamId, at: input.at, session, hello, verdicts, acknowledgements });
}

/** P18: agents that are away may have seen more of the lost commits than the first one to come back has. */
const LOST_GAP = 1_000_000n;

/**
 * P18: an agent has seen a token or epoch that the store has never drawn, so commits were lost: count on beyond it, and
 * beyond what others may have seen. I1 needs numbers that are above all earlier ones, not numbers without gaps.
 */
function noticeLostCommits(draft: Draft, hello: Hello): void {
  const { highestToken, highestEpoch } = hello;
  const { token, epoch } = draft.counters;
  if (highestToken <= token && highestEpoch <= epoch) return;
  const beyond = <T extends bigint>(seen: T, drawn: T) => ((seen > drawn ? seen : drawn) + LOST_GAP) as T;
  draft.counters = {
    ...beginWait(draft.counters),
    token: beyond(highestToken, token),
    epoch: beyond(highestEpoch, epoch),
  };
  draft.notes.push({ kind: 'commits_lost', agentId: hello.agentId, highestToken: hello.highestToken });
}

function attach(draft: Draft, live: SessionRow, hello: Hello): SessionRow {
  draft.notes.push({
    kind: 'stream_attached',
    agentId: live.agentId,
    epoch: live.epoch,
    streamNo: hello.streamNo,
  });
  return draft.putSession({
    ...live,
    ...described(hello),
    // P17: holders follow each other by their epochs, so whoever wants further bundles needs another session.
    bundles: live.bundles,
    streamNo: hello.streamNo,
    holder: draft.ctx.coordinatorId,
  });
}

function grant(draft: Draft, hello: Hello): SessionRow {
  const epoch = draft.drawEpoch();
  const { heartbeatMs, leaseMs } = leaseTerms(draft.ctx.policy.heartbeatIntervalMs);
  const agent = draft.agent(hello.agentId);
  // A drain is for one process: a new one under the same name comes back cordoned, not draining.
  const same = draft.newestSession(hello.agentId)?.instanceId === hello.instanceId;
  draft.putAgent({
    agentId: hello.agentId,
    version: 0,
    kind: hello.kind,
    epoch,
    cordoned: agent?.cordoned ?? false,
    draining: same && (agent?.draining ?? false),
    drainUntil: same ? (agent?.drainUntil ?? null) : null,
  });
  draft.notes.push({ kind: 'session_granted', agentId: hello.agentId, epoch, agentKind: hello.kind });
  return draft.putSession({
    epoch,
    version: 0,
    agentId: hello.agentId,
    instanceId: hello.instanceId,
    state: 'live',
    heartbeatMs,
    leaseMs,
    holder: draft.ctx.coordinatorId,
    streamNo: hello.streamNo,
    ...described(hello),
    grantedAt: draft.ctx.wall,
    endedAt: null,
    endReason: '',
  });
}

function described(hello: Hello) {
  const { kind, queues, slots, labels, handlers, bundles, triggerKinds, hostname, software } = hello;
  const serves = { queues, slots, labels, handlers, bundles, triggerKinds };
  return { kind, ...serves, process: hello.process, hostname, software };
}

/** Ends a session. What it held is dealt with by the caller. */
function endSession(draft: Draft, session: SessionRow, state: 'failed' | 'ended', reason: string): void {
  draft.putSession({ ...session, state, endedAt: draft.ctx.wall, endReason: reason });
  const streamId = draft.state.presences.get(session.epoch)?.streamId;
  if (streamId !== null && streamId !== undefined) draft.closings.push({ streamId, reason: 'session_ended' });
}

/**
 * P1: the lease is over. The session ends; what it was offered goes back at once, what it was permitted is lost, and
 * who may run it next is P11's business.
 */
export function failAgent(draft: Draft, session: SessionRow, brake: boolean): void {
  const presence = draft.state.presences.get(session.epoch);
  const silentMs = presence?.lastBeat == null ? null : between(presence.lastBeat, draft.ctx.now);
  endSession(draft, session, 'failed', 'agent_lost');
  const { service, serviceStart } = draft.ctx;
  let lostRuns = 0;
  for (const task of draft.openTasksOf(session.agentId)) {
    if (task.open === null || task.open.epoch !== session.epoch || task.open.lost !== null) continue;
    lostRuns++;
    // Unknown after a restart of ours: a permit that nobody denied counts as seen running.
    const shown = presence?.lastBeat == null || presence.shown.has(task.open.token);
    loseTry(draft, { task, session, brake, service, silentMs, serviceStart }, shown);
  }
  for (const taskId of [...(presence?.lapsed ?? []), ...(presence?.offers.keys() ?? [])]) {
    const task = draft.task(taskId);
    if (task?.state !== 'queued' || task.lastAgentId === session.agentId) continue;
    draft.put(task, {
      event: 'assignment_failed',
      agentId: session.agentId,
      epoch: session.epoch,
      reason: 'agent_lost',
    });
  }
  const toldSilentMs = Math.round(silentMs ?? silenceSinceStart(draft, presence));
  const note = { agentId: session.agentId, epoch: session.epoch, lostRuns, silentMs: toldSilentMs };
  draft.notes.push({ kind: 'agent_failed', ...note });
}

/** Of an agent that this coordinator has never heard: its start is all that it knows, and where the new term began (P7). */
function silenceSinceStart(draft: Draft, presence: Presence | undefined): number {
  return presence === undefined ? 0 : between(presence.lastHeard, draft.ctx.now);
}

/** A goodbye with an empty inventory ends the session on purpose: no permit of it was started, and none ever will be. */
export function decideGoodbye(draft: Draft, epoch: Epoch, streamId: StreamId, reason: string): void {
  const session = draft.session(epoch);
  if (session?.state !== 'live') return;
  const presence = draft.state.presences.get(epoch);
  if (presence !== undefined && !mayHoldNothing(presence)) return;
  draft.putSession({ ...session, state: 'ended', endedAt: draft.ctx.wall, endReason: reason });
  for (const task of tasksOfSession(draft, session.agentId, epoch)) voidPermit(draft, task, 'goodbye');
  draft.farewells.push(streamId);
  draft.notes.push({ kind: 'session_ended', agentId: session.agentId, epoch, reason });
}

/** P7: a stall of ours extends every lease by its length, once what had arrived meanwhile has been read. */
export function extendLeases(state: State, ms: number): void {
  for (const presence of state.presences.values()) presence.leaseEnds = later(presence.leaseEnds, ms);
}
