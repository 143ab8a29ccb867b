import type { Book } from './book.js';
import { OUTCOMES } from './endings.js';
import { CLOCK_BOUND, type Recorded, type Started } from './events.js';
import type { Rule } from './rule.js';

/** Permits, tokens and starts: who may run, how often, and with which number. */
export const TOKEN_RULES: readonly Rule[] = [
  {
    name: 'K1',
    claim:
      'A token is permitted once, and a try again only after its earlier permit was never started or deferred.',
    on: { recorded: permittedOnce },
  },
  {
    name: 'I1',
    claim: 'A new permit closes what was open before, and a lost try is released first (P11).',
    on: { recorded: permittedAlone },
  },
  {
    name: 'K2',
    claim: 'A token is started once.',
    on: {
      started: ({ token }, { permits }) =>
        (permits.get(token)?.starts ?? 0) > 0 ? `token ${token} was started twice` : null,
    },
  },
  {
    name: 'K3',
    claim: 'A start has a permit that was committed before: same task, agent, try and epoch.',
    on: {
      started: startedByPermit,
      permit_told: ({ token }, { permits }) =>
        permits.has(token) ? null : `the permit of token ${token} was sent before it was committed`,
    },
  },
  {
    name: 'K4',
    claim: 'Nothing starts with a token that was lost or closed, or is recorded as never started and runs.',
    on: { started: startedInTime, recorded: deniedWithReason },
  },
  {
    name: 'K6',
    claim: 'What is accepted bears the newest token of its task, and so does its result.',
    on: { recorded: acceptedNewest, listed: resultOfSuccess },
  },
  {
    name: 'K7',
    claim: 'Tokens and epochs only grow, over restarts too.',
    on: {
      recorded: tokensGrow,
      granted: ({ agentId, epoch }, { highestEpoch }) =>
        epoch > highestEpoch ? null : `${agentId} was granted epoch ${epoch} after ${highestEpoch}`,
    },
  },
  {
    name: 'K8',
    claim: 'Nothing starts La or more after the newest acknowledged heartbeat was sent (P2, P3).',
    on: { started: startedBehindGate },
  },
];

function permittedOnce({ event, token, taskId, tryNumber, agentId }: Recorded, book: Book): string | null {
  if (event !== 'permitted') return null;
  if (book.permits.has(token)) return `token ${token} was permitted again, to ${agentId}`;
  const before = book.task(taskId).permits.findLast((permit) => permit.tryNumber === tryNumber);
  // P16: what a deferred try goes on with bears a token of its own.
  const goesOn = before?.closed?.event === 'never_started' || before?.closed?.event === 'deferred';
  if (before === undefined || goesOn) return null;
  const end = before.closed?.event ?? 'is open';
  return `try ${tryNumber} was permitted as token ${token}, though token ${before.token} of it ${end}`;
}

function permittedAlone({ event, token, taskId }: Recorded, book: Book): string | null {
  if (event !== 'permitted' && event !== 'regained') return null;
  const task = book.task(taskId);
  const open = task.permits.find((permit) => permit.closed === null && permit.token !== token);
  if (open !== undefined) return `token ${token} was permitted while token ${open.token} was open`;
  // What is taken back was permitted before the store lost its word of it.
  if (task.held === null || event === 'regained') return null;
  return `token ${token} was permitted while the lost token ${task.held} was not released`;
}

function startedByPermit(event: Started, { permits, settings }: Book): string | null {
  const { token, taskId, agentId, tryNumber, epoch, execAt } = event;
  const permit = permits.get(token);
  if (permit?.taskId !== taskId) return `token ${token} was started on ${agentId} without a permit`;
  if (permit.isRegained && permit.agentId === agentId) return null;
  const given = `it was permitted to ${permit.agentId}, try ${permit.tryNumber}`;
  if (permit.agentId !== agentId || permit.tryNumber !== tryNumber) {
    return `token ${token} was started on ${agentId}, try ${tryNumber}; ${given}`;
  }
  if (epoch !== undefined && permit.epoch !== undefined && epoch !== permit.epoch) {
    return `token ${token} was started in session ${epoch}; it was permitted in session ${permit.epoch}`;
  }
  if (execAt >= permit.at - settings.clockStepMs) return null;
  return `token ${token} was started ${Math.round(permit.at - execAt)} ms before its permit`;
}

function startedInTime({ token, execAt, stoodStill }: Started, { permits, settings }: Book): string | null {
  const barred = permits.get(token)?.barred ?? null;
  const { clockStepMs } = settings;
  // Without a doubt about the order, what came first was first, at the same instant too.
  if (barred === null || (clockStepMs > 0 && execAt <= barred.at + clockStepMs)) return null;
  // Looked at in time; that it stood still after that is beyond the model (P2).
  if (stoodStill && execAt <= barred.at) return null;
  if (settings.clockError > CLOCK_BOUND && barred.event === 'lost') return null;
  return `token ${token} was started ${Math.round(execAt - barred.at)} ms after ${barred.event}`;
}

function deniedWithReason({ event, token }: Recorded, { permits }: Book): string | null {
  const { starts = 0, isForgotten = false } = permits.get(token) ?? {};
  return event === 'never_started' && starts > 0 && !isForgotten
    ? `token ${token} was started and is recorded as never started`
    : null;
}

function acceptedNewest({ event, token, taskId }: Recorded, book: Book): string | null {
  const { newest } = book.task(taskId);
  // What bears no token is the end of the task, not of a try; a lost try may be closed late by its agent's own word.
  if (!OUTCOMES.has(event) || token === 0n || token === newest) return null;
  return `${event} was accepted with token ${token}, the newest was ${newest}`;
}

function resultOfSuccess(
  { taskId, state, resultToken }: { taskId: string; state: string; resultToken?: bigint | null },
  book: Book,
): string | null {
  if (state !== 'success' || resultToken === undefined) return null;
  const end = book.task(taskId).ends.findLast(({ event }) => event === 'success');
  if (end === undefined || end.token === resultToken) return null;
  return `success of token ${end.token} bears the result of token ${resultToken ?? 'nobody'}`;
}

function tokensGrow({ event, token, taskId, at }: Recorded, book: Book): string | null {
  if (event !== 'permitted') return null;
  const { newest } = book.task(taskId);
  if (token <= newest) return `token ${token} was drawn after ${newest}`;
  const { highestToken, highestTokenAt, settings } = book;
  const isDoubtful = settings.clockStepMs > 0 && at <= highestTokenAt + settings.clockStepMs;
  if (token > highestToken || isDoubtful) return null;
  return `token ${token} was drawn after the greater token ${highestToken}`;
}

function startedBehindGate({ token, agentId, gate }: Started): string | null {
  if (gate === undefined || gate.sinceMs < gate.limitMs) return null;
  const since = `${Math.round(gate.sinceMs)} ms after its newest acknowledged heartbeat was sent`;
  return `${agentId} started token ${token} ${since}; its gate closes after ${gate.limitMs} ms`;
}
