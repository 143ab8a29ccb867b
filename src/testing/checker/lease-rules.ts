import { type Book, FAILED_WITHIN_MS } from './book.js';
import { CLOCK_BOUND, type Failed } from './events.js';
import type { Of, Rule } from './rule.js';

/** How long the processes of a killed agent may take to be gone, in milliseconds. */
const REMAINS_MS = 1_500;
/** What binary fractions make of equal instants, in milliseconds. */
const ROUNDING_MS = 0.001;

/** Agents: failed in time and for a cause; runs: never two where one was promised, never more than slots. */
export const LEASE_RULES: readonly Rule[] = [
  {
    name: 'K9 early',
    claim: 'No agent is failed before L has passed since its last heartbeat (P1), on the lease clock.',
    on: { failed: failedEarly, detected: detectedEarly },
  },
  {
    name: 'K9 late',
    claim: 'An agent is failed at most L + 1 s after its last heartbeat, our own outages aside (I5, P7).',
    on: { failed: failedLate, detected: detectedLate },
  },
  {
    name: 'K9 false',
    claim: 'No agent is failed to which nothing was done, or too little.',
    on: { failed: failedForNothing },
  },
  {
    name: 'K10',
    claim:
      'Under single_run and hold no two runs of a task are alive at once, unless an operator said so (hold).',
    on: { together: twoAtOnce },
  },
  {
    name: 'I4',
    claim: 'No agent runs more than it has slots.',
    on: {
      crowd: ({ agentId, alive }, { settings }) => {
        const slots = settings.slotsOf(agentId);
        return alive <= slots ? null : `${agentId} runs ${alive} tasks with ${slots} slots`;
      },
    },
  },
  {
    name: 'key',
    claim: 'Under single_run no more runs of a concurrency key are alive at once than its limit.',
    on: {
      sharing: ({ key, alive, limit }) =>
        alive <= limit ? null : `${alive} runs of concurrency key ${key} are alive; its limit is ${limit}`,
    },
  },
  {
    name: 'remains',
    claim: 'What ran under an agent that is killed dies with it.',
    on: {
      outlived: ({ token, agentId, livedMs }) =>
        livedMs <= REMAINS_MS
          ? null
          : `token ${token} was alive ${Math.round(livedMs)} ms after ${agentId} was killed`,
    },
  },
];

function failedEarly({ agentId, epoch, leaseMs, clockMs }: Failed, book: Book): string | null {
  const { early } = book.session(epoch);
  if (early === null || clockMs - early.clockMs >= leaseMs - ROUNDING_MS) return null;
  return `${agentId} was failed ${Math.round(clockMs - early.clockMs)} ms after its last heartbeat`;
}

function failedLate({ agentId, epoch, leaseMs, clockMs }: Failed, book: Book): string | null {
  const { late } = book.session(epoch);
  if (late === null || late.at <= book.calmSince) return null;
  const silentMs = clockMs - late.clockMs;
  if (silentMs <= leaseMs + FAILED_WITHIN_MS + book.settings.slackMs) return null;
  return `${agentId} was failed only ${Math.round(silentMs)} ms after its last heartbeat`;
}

function failedForNothing({ at, agentId, epoch, clockMs }: Failed, book: Book): string | null {
  const { settings, faults } = book;
  if (!settings.faultsAreTold) return null;
  const silentMs = clockMs - (book.session(epoch).early?.clockMs ?? clockMs);
  const from = at - silentMs - settings.heartbeatMs;
  const causes = faults.filter(({ target, until }) => target === agentId && until >= from);
  const [first] = causes;
  if (first === undefined) return `${agentId} was failed although nothing was done to it`;
  if (!causes.every(({ mayNotFail }) => mayNotFail)) return null;
  return `${agentId} was failed for a ${first.fault} of ${Math.round(first.until - first.at)} ms`;
}

/** Seen from outside, the last heartbeat came at most one interval before the fault. */
function detectedEarly({ at, agentId, fault, found, disturbed }: Of<'detected'>, book: Book): string | null {
  const { leaseMs, heartbeatMs, slackMs } = book.settings;
  const tookMs = at - fault.at;
  if (disturbed || !found || tookMs >= leaseMs - heartbeatMs - slackMs) return null;
  return `${agentId} was failed ${Math.round(tookMs)} ms after ${fault.fault}`;
}

function detectedLate({ at, agentId, fault, found, latest, disturbed }: Of<'detected'>): string | null {
  if (disturbed || (found && at <= latest)) return null;
  if (!found) return `${agentId} was never failed after ${fault.fault}`;
  return `${agentId} was failed only ${Math.round(at - fault.at)} ms after ${fault.fault}`;
}

function twoAtOnce({ taskId, older, newer }: Of<'together'>, book: Book): string | null {
  if (newer.policy === 'reassign' || older.slept || newer.slept) return null;
  if (newer.policy === 'single_run' && book.settings.clockError > CLOCK_BOUND) return null;
  if (newer.policy === 'hold' && book.permits.get(newer.token)?.afterRuling) return null;
  const beside = `while token ${older.token} was alive on ${older.agentId}`;
  return `token ${newer.token} of ${taskId} was started on ${newer.agentId} ${beside} (${newer.policy})`;
}
