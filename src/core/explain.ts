import { formatDuration } from '../kit/duration.js';
import type { AgentId } from '../kit/ids.js';
import { between, later, type ServiceMs, type WallMs } from '../kit/time.js';
import { DAG_FINDINGS } from './dag/explain.js';
import { FLOW_FINDINGS, isHeldBack } from './explain-flow.js';
import { afterRelease, REQUEST_FINDINGS } from './explain-requests.js';
import { endOfWait, WAIT_FINDINGS } from './explain-wait.js';
import type { Context } from './inputs.js';
import { leaseTerms } from './lease.js';
import { offerBlock } from './placement.js';
import type { OpenOffer, Presence } from './presence.js';
import {
  isFinal,
  laneOf,
  type OpenPermit,
  type PartitionPolicy,
  type SessionRow,
  type TaskRow,
} from './rows.js';
import type { State } from './state.js';
import { executionDeadline, isUnstarted, queuedDeadline } from './task.js';

/** What a task waits for, what happens next by itself, and what its partition policy promises; for people and scripts. */
export interface Explanation {
  readonly summary: string;
  /** What blocks it, most important first; hints come last. */
  readonly findings: readonly Finding[];
  /** What happens without anybody's doing, soonest first. */
  readonly next: readonly NextStep[];
  readonly guarantee: string;
}

export interface Finding {
  /** Stable, for scripts. */
  readonly code: string;
  readonly message: string;
  /** What to do about it; empty when there is nothing to suggest. */
  readonly try: string;
}

export interface NextStep {
  readonly code: string;
  /** From now, in milliseconds; 0 when it is due. */
  readonly inMs: number;
  readonly message: string;
}

type ExplainContext = Pick<Context, 'now' | 'wall' | 'service' | 'policy'>;

/** A live worker that serves the task's queue. */
interface Candidate {
  readonly session: SessionRow;
  readonly presence: Presence;
  /** Required labels that it lacks, or has with another value. */
  readonly lacks: readonly string[];
  readonly hasHandler: boolean;
  /** Why it gets no offers (I4); null when it may. */
  readonly block: string | null;
}

/** Everything that the rules below ask about, looked up once. */
interface Situation {
  readonly state: State;
  readonly task: TaskRow;
  readonly ctx: ExplainContext;
  readonly open: OpenPermit | null;
  /** Waits for an agent now: queued, no back-off, not offered. */
  readonly waits: boolean;
  readonly offer: { readonly agentId: AgentId; readonly offer: OpenOffer } | null;
  readonly candidates: readonly Candidate[];
  /** Those of them that have every required label, and the handler. */
  readonly able: readonly Candidate[];
  /** Presence of the session that holds the open permit, unless the agent is lost. */
  readonly holder: Presence | null;
}

/** P11's words, never more than the policy keeps. */
export const GUARANTEES: Readonly<Record<PartitionPolicy, string>> = {
  reassign: 'reassign: one open token, one outcome; a cut-off worker may still be running the old try',
  single_run:
    'single_run: never two copies, given bounded clock rates and pauses; a lost try is released once it is provably dead',
  hold: 'hold: never two copies before the hold timeout; a lost try waits for its agent, a proof, or the operator',
};

/** What can be found. Every row that matches is told, in this order. */
const FINDINGS: readonly {
  readonly name: string;
  readonly when: (s: Situation) => boolean;
  readonly then: (s: Situation) => { readonly message: string; readonly try: string };
}[] = [
  {
    name: 'ended',
    when: ({ task }) => isFinal(task.state) && task.reason !== '',
    then: ({ task }) => ({ message: `${task.state}: ${task.message || task.reason}`, try: '' }),
  },
  {
    name: 'agent_lost',
    when: ({ task, open }) => task.state === 'running' && open !== null && open.lost !== null,
    then: (s) => agentLost(s),
  },
  ...REQUEST_FINDINGS,
  {
    name: 'agent_suspect',
    when: ({ holder }) => holder !== null && holder.streamId === null,
    then: ({ holder }) => ({
      message: `the stream of agent ${holder?.agentId} is lost; its run goes on until the lease ends or it comes back`,
      try: `look at the network and the machine of agent ${holder?.agentId}`,
    }),
  },
  {
    name: 'start_unconfirmed',
    when: ({ holder, open }) => holder?.streamId != null && open !== null && holder.unshown.has(open.token),
    then: ({ holder }) => ({ message: `agent ${holder?.agentId} has not shown the run yet`, try: '' }),
  },
  {
    name: 'recovering',
    when: ({ state, task }) => state.recovery !== null && task.state === 'queued',
    then: () => ({
      message:
        'the store has lost commits; permits wait for one lease, so that agents can show what they run',
      try: '',
    }),
  },
  ...WAIT_FINDINGS,
  {
    name: 'offered',
    when: ({ offer }) => offer !== null,
    then: ({ offer, ctx }) => ({
      message: `offered to agent ${offer?.agentId} ${spoken(between(offer?.offer.at ?? ctx.now, ctx.now))} ago, which has not asked for it yet${
        offer?.offer.extra ? ' (all its slots are busy)' : ''
      }`,
      try: '',
    }),
  },
  {
    name: 'no_agent_serves_queue',
    when: ({ waits, candidates }) => waits && candidates.length === 0,
    then: ({ task }) => ({
      message: `no live worker serves queue ${task.queue}`,
      try: `start one: holdfast agent start --kind worker --queue ${task.queue}`,
    }),
  },
  {
    name: 'no_agent_has_handler',
    when: ({ waits, candidates }) => waits && candidates.length > 0 && !candidates.some((c) => c.hasHandler),
    then: ({ task, candidates }) => ({
      message: `no agent has handler ${task.handler}: ${listed(candidates.map((c) => handlersOf(c.session)))}`,
      try: `start a worker that serves queue ${task.queue} with it: holdfast agent start --handlers FILE`,
    }),
  },
  {
    name: 'labels_missing',
    when: ({ waits, candidates, able }) =>
      waits && able.length === 0 && candidates.some((c) => c.hasHandler && c.lacks.length > 0),
    then: (s) => ({
      message: `workers serve queue ${s.task.queue}, but none has the required labels: ${listed(
        s.candidates
          .filter((c) => c.hasHandler)
          .map((c) => `${c.session.agentId} lacks ${c.lacks.join(', ')}`),
      )}`,
      try: s.candidates.some((c) => c.lacks.some((lack) => lack.startsWith('holdfast.')))
        ? 'start a worker that can enforce the limits (docs/how-to/limits.md), or submit the task without them'
        : 'start a worker with these labels, or submit the task without them',
    }),
  },
  blockedBy('agents_cordoned', 'cordoned', 'cordoned or draining', 'holdfast agent uncordon'),
  blockedBy('agents_suspect', 'suspect', 'suspect: their streams are lost, their leases still run', ''),
  blockedBy('agents_unresolved', 'inventory_unresolved', 'asked for a full inventory', ''),
  ...DAG_FINDINGS,
  ...FLOW_FINDINGS,
  {
    name: 'all_slots_busy',
    when: (s) => s.waits && !isHeldBack(s) && eligible(s).length > 0,
    then: (s) => ({
      message: `all slots are busy or offered: ${listed(eligible(s).map((c) => slotsOf(s.state, c)))}`,
      try: 'wait, or start another worker',
    }),
  },
  {
    name: 'tasks_ahead',
    when: (s) => s.waits && ahead(s) > 0,
    then: (s) => ({
      message: `${ahead(s)} ${ahead(s) === 1 ? 'task goes' : 'tasks go'} first among those that the same workers can run`,
      try: '',
    }),
  },
  {
    name: 'lost_try_may_return',
    when: ({ task, open }) => task.state === 'queued' && open !== null && open.lost !== null,
    then: ({ open }) => ({
      message: `try ${open?.tryNumber} may still be running on lost agent ${open?.agentId}; it is taken up again if the agent returns before another start is confirmed`,
      try: '',
    }),
  },
];

function blockedBy(name: string, block: string, words: string, command: string): (typeof FINDINGS)[number] {
  const agents = (s: Situation) => s.able.filter((c) => c.block === block).map((c) => c.session.agentId);
  return {
    name,
    when: (s) => s.waits && agents(s).length > 0,
    then: (s) => {
      const [first] = agents(s);
      return {
        message: `workers that could run it are ${words}: ${listed(agents(s))}`,
        try: command === '' ? '' : `${command} ${first}`,
      };
    },
  };
}

/** Explains a task as it is now. Pure: nothing is looked up but memory. */
export function explain(state: State, task: TaskRow, ctx: ExplainContext): Explanation {
  const s = situation(state, task, ctx);
  const findings = FINDINGS.filter((rule) => rule.when(s)).map(({ name, then }) => ({
    code: name,
    ...then(s),
  }));
  return { summary: summary(s), findings, next: nextSteps(s), guarantee: GUARANTEES[task.partitionPolicy] };
}

function situation(state: State, task: TaskRow, ctx: ExplainContext): Situation {
  const offered = state.offered.get(task.taskId);
  const presence = offered && state.presences.get(offered.epoch);
  const offer = presence?.offers.get(task.taskId);
  const candidates = task.state === 'queued' ? candidatesOf(state, task) : [];
  const { open } = task;
  return {
    state,
    task,
    ctx,
    open,
    waits: task.state === 'queued' && task.notBefore === null && offered === undefined,
    offer: presence && offer ? { agentId: presence.agentId, offer } : null,
    candidates,
    able: candidates.filter((c) => c.lacks.length === 0 && c.hasHandler),
    holder: open !== null && open.lost === null ? (state.presences.get(open.epoch) ?? null) : null,
  };
}

function candidatesOf(state: State, task: TaskRow): Candidate[] {
  const found: Candidate[] = [];
  for (const presence of state.presences.values()) {
    const session = state.sessions.get(presence.epoch);
    if (session?.state !== 'live' || session.kind !== 'worker' || !session.queues.includes(task.queue))
      continue;
    const required = Object.entries(task.requiredLabels);
    const lacks = required
      .filter(([name, value]) => session.labels[name] !== value)
      .map((pair) => pair.join('='));
    const hasHandler = task.handler === '' || session.handlers.includes(task.handler);
    found.push({ session, presence, lacks, hasHandler, block: offerBlock(state, presence) });
  }
  return found;
}

/** Agents that could be offered the task, were a slot free. */
function eligible(s: Situation): Candidate[] {
  return s.able.filter((c) => c.block === null);
}

/** How many tasks of the same lane go first, as far as memory knows; the rest of a long lane is in the store. */
function ahead({ state, task }: Situation): number {
  const lane = state.lanes.get(laneOf(task));
  if (lane === undefined) return 0;
  const at = lane.tasks.findIndex((other) => other.taskId === task.taskId);
  return at === -1 ? lane.tasks.length : at;
}

function handlersOf({ agentId, handlers }: SessionRow): string {
  return `${agentId} has ${handlers.length === 0 ? 'none' : handlers.slice(0, NAMES).join(', ')}`;
}

function slotsOf(state: State, { session, presence }: Candidate): string {
  const busy = state.occupied(presence);
  return `${session.agentId} runs ${busy} of ${session.slots}`;
}

function agentLost({ task, open, ctx }: Situation): { message: string; try: string } {
  const lost = open?.lost;
  const ago = lost ? spoken(between(lost.at, ctx.wall)) : '';
  const held = lost?.heldUntil
    ? `; held by ${lost.rule} for ${spoken(between(ctx.service, lost.heldUntil))} more`
    : '';
  const returns = 'its run goes on if the agent comes back with it';
  return {
    message: `agent ${open?.agentId} was lost ${ago} ago while it held try ${open?.tryNumber}${held}; ${returns}`,
    // Under single_run no verdict makes the next start come earlier, so none is proposed.
    try:
      task.partitionPolicy === 'hold'
        ? `once you know how it ended: holdfast task resolve ${task.taskId} --reassign|--fail|--succeed`
        : '',
  };
}

function summary(s: Situation): string {
  const { task, open, offer } = s;
  switch (task.state) {
    case 'queued':
      if (task.notBefore !== null) return 'queued, in a back-off after a start that did not happen';
      return offer === null
        ? `queued in ${task.queue}, waits for an agent`
        : `queued, offered to agent ${offer.agentId}`;
    case 'running':
      if (open?.lost) return `running (lost): agent ${open.agentId} is lost, and the next start is held back`;
      return `running on agent ${open?.agentId ?? ''}, try ${task.tryNumber}`;
    case 'up_for_retry':
      return `try ${task.tryNumber} failed (${task.reason}); another one follows`;
    case 'scheduled':
      return task.instance === null
        ? 'scheduled: waits for its start_after'
        : `scheduled: an instance of run ${task.instance.run}, not queued yet`;
    case 'deferred':
      return `deferred: waits for an event (${task.reason}), without a slot`;
    case 'success':
    case 'failed':
    case 'upstream_failed':
    case 'skipped':
    case 'cancelled':
      return task.reason === '' ? `ended: ${task.state}` : `ended: ${task.state} (${task.reason})`;
  }
}

/** What comes at an instant of the service clock, of each deadline that dueAt knows, and what ends with the lease. */
function nextSteps(s: Situation): NextStep[] {
  const { task, ctx, open, holder, offer } = s;
  const steps: NextStep[] = [];
  const at = (code: string, when: ServiceMs | null | undefined, message: string) => {
    if (when != null) steps.push({ code, inMs: Math.max(0, between(ctx.service, when)), message });
  };
  const [code, message] = endOfWait(task);
  at(code, task.notBefore, message);
  const waits = ctx.policy.queuedTimeoutWaitsForAgent ? ', unless no agent serves it then' : '';
  const wallAt = (code: string, when: WallMs | null, message: string) => {
    if (when !== null) steps.push({ code, inMs: Math.max(0, between(ctx.wall, when)), message });
  };
  if (task.state === 'scheduled') wallAt('start_after', task.startAfter, 'queued: its start_after has come');
  if (isUnstarted(task)) wallAt('expired', task.startBefore, 'fails as expired, unless it was started');
  at('queued_timeout', queuedDeadline(task), `fails, having been queued for too long (P12)${waits}`);
  if (task.state === 'running') at('released', open?.lost?.heldUntil, afterRelease(task, ctx));
  const { heartbeatMs, leaseMs } = leaseTerms(ctx.policy.heartbeatIntervalMs);
  at('stop_requested', executionDeadline(task, leaseMs), 'its agent is asked to stop it: execution timeout');
  if (holder !== null && holder.streamId === null) {
    const inMs = Math.max(0, between(ctx.now, holder.leaseEnds));
    steps.push({
      code: 'agent_failed',
      inMs,
      message: `agent ${holder.agentId} is failed unless it comes back`,
    });
  }
  if (offer !== null && !offer.offer.extra) {
    const inMs = Math.max(0, between(ctx.now, later(offer.offer.at, 2 * heartbeatMs)));
    steps.push({
      code: 'offer_lapses',
      inMs,
      message: `the offer to agent ${offer.agentId} ends unless it asks`,
    });
  }
  return steps.sort((a, b) => a.inMs - b.inMs);
}

/** Whole seconds, rounded up: `15s`, `1m30s`. */
function spoken(ms: number): string {
  return formatDuration(Math.ceil(Math.max(0, ms) / 1_000) * 1_000);
}

const NAMES = 5;

function listed(names: readonly string[]): string {
  const rest = names.length - NAMES;
  return rest > 0 ? `${names.slice(0, NAMES).join('; ')}; and ${rest} more` : names.join('; ');
}
