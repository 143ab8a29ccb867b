import { isFinal } from '../../core/rows.js';
import { type Book, isEnd, type TaskEntry, tryOf } from './book.js';
import { OUTCOMES } from './endings.js';
import { DEFERS, type Listed, type Recorded, type Run } from './events.js';
import type { Rule } from './rule.js';

/** P12 is judged by a tick. */
const QUEUE_LATE_MS = 2_000;

/** Tasks and their outcomes: nothing is lost, nothing changes afterwards, nothing ends twice or for no reason. */
export const TASK_RULES: readonly Rule[] = [
  {
    name: 'K5',
    claim: 'A try has one outcome and a task one end, for a reason; what was told of them never changes.',
    on: {
      recorded: (event, book) => endedOnce(event, book) ?? endedForReason(event, book),
      acknowledged: ({ token }, { permits }) =>
        (permits.get(token)?.closed ?? null) === null
          ? `the report of token ${token} was acknowledged and is not recorded`
          : null,
      shown: ({ taskId, state }, book) => {
        const { shown } = book.task(taskId);
        return shown === null || shown === state ? null : `it was shown as ${shown} and later as ${state}`;
      },
      listed: listedAsEnded,
    },
  },
  {
    name: 'P15',
    claim:
      'Nothing is told as over while its run is alive on an agent that is not lost: what ends it is a request.',
    on: { recorded: endedAlive },
  },
  {
    name: 'K11',
    claim: 'Every accepted submission is there at the end, once.',
    on: {
      counted: ({ key, taskId, found }) =>
        found.length === 1 && found[0] === taskId
          ? null
          : `${key} was acknowledged as ${taskId}; there are ${found.length} tasks with that key`,
    },
  },
  {
    name: 'K12',
    claim:
      'A task fails from the queue when it has waited for its queued timeout, not before and not long after.',
    on: { recorded: queuedLongEnough },
  },
  {
    name: 'K17',
    claim: 'When faults have stopped, every accepted task comes to its end within the time given.',
    on: {
      listed: ({ state, reason, settled }) =>
        settled && !isFinal(state) ? `it is still ${state}${reason === '' ? '' : ` (${reason})`}` : null,
    },
  },
];

function endedOnce(event: Recorded, book: Book): string | null {
  const task = book.task(event.taskId);
  const { tryNumber } = event;
  if (event.event === 'permitted' && tryNumber > 1 && !hasBefore(task, tryNumber)) {
    return `try ${tryNumber - 1} has no outcome, and try ${tryNumber} begins`;
  }
  const tried = tryOf(task, event);
  const before = tried === null ? undefined : task.outcomes.get(tried);
  if (OUTCOMES.has(event.event) && before !== undefined) {
    return `try ${tried} has the outcomes ${before.event} and ${event.event}`;
  }
  const first = task.ends[0];
  if (!isEnd(event) || first === undefined || event.event === 'marked') return null;
  return `it ended as ${first.event}, and again as ${event.event}`;
}

/** Whether the try before is over, or this one goes on; what is regained brings its number from lost commits (P18). */
function hasBefore({ permits, outcomes }: TaskEntry, tryNumber: number): boolean {
  if (outcomes.has(tryNumber - 1) || permits.some((permit) => permit.tryNumber === tryNumber)) return true;
  // An instance whose decision was among lost commits is decided anew when its run gives it back.
  const before = permits.findLast((permit) => permit.tryNumber === tryNumber - 1);
  return before?.isRegained === true && before.closed?.event === 'deferred';
}

/** A success is what the run itself says, a failure its own code, poison so many losses. Our outage is no reason. */
function endedForReason(event: Recorded, book: Book): string | null {
  const { token, reason, taskId } = event;
  const code = book.runs.get(token)?.code;
  if (isUnrun(event, book)) return null;
  if ((event.event === 'success' || event.event === 'skipped') && code !== 0) {
    return `${event.event} was accepted for token ${token}; the run's own last word: ${code ?? 'none'}`;
  }
  if (event.event === 'deferred' && code !== DEFERS) {
    return `token ${token} was taken to wait for an event; the run's own last word: ${code ?? 'none'}`;
  }
  // The execution timeout is the coordinator's own reason, and may end a try whose agent is gone.
  const isFailure = event.event === 'failed' || event.event === 'try_failed';
  const isDue = reason === 'execution_timeout' || wasKilled(event, code, book);
  if (isFailure && !isDue && (code === undefined || code === 0 || code === DEFERS)) {
    return `${event.event} (${reason}) was accepted for token ${token}; the run ended with ${code ?? 'no word'}`;
  }
  if (event.event !== 'poison') return null;
  const losses = new Set(book.task(taskId).losses).add(event.tryNumber).size;
  return losses >= book.settings.poisonLimit ? null : `it failed as poison after ${losses} lost tries`;
}

/** What the coordinator may say of a run only once it is over, be it that its agent is lost. */
const NEEDS_AN_END: ReadonlySet<string> = new Set([
  ...['failed', 'try_failed', 'cancelled', 'cleared', 'marked', 'lost_reported'],
]);

/** A lost try may be ended with its run alive somewhere; that it is gone may be said of none that is not. */
function endedAlive({ event, token, agentId }: Recorded, { permits, runs, settings }: Book): string | null {
  const run = runs.get(token);
  if (!settings.endsAreSeen || !NEEDS_AN_END.has(event) || run?.agentId !== agentId || run.over) return null;
  if (permits.get(token)?.isLost === true && event !== 'lost_reported') return null;
  return `${event} was recorded for token ${token}, whose run is alive on ${agentId}`;
}

/** It ends without a run of its own: an instance that is decided so, or one whose event never comes. */
function isUnrun({ event, token, taskId }: Recorded, book: Book): boolean {
  if (token !== 0n) return false;
  const { isFresh, permits } = book.task(taskId);
  return isFresh || (event !== 'success' && permits.at(-1)?.closed?.event === 'deferred');
}

/** A command that the observer himself has killed on that agent has no last word, and may not have had a first. */
function wasKilled({ agentId, reason }: Recorded, code: Run['code'], { faults }: Book): boolean {
  if (reason !== 'signal' || typeof code === 'number') return false;
  return faults.some(({ fault, target }) => fault === 'command kill' && target === agentId);
}

function listedAsEnded({ taskId, state }: Listed, book: Book): string | null {
  const { ends, shown } = book.task(taskId);
  if (shown !== null && shown !== state) return `it was shown as ${shown} and is ${state} at the end`;
  if (isFinal(state) && ends.length === 0) return `it is ${state}, and no event of its history ended it`;
  return null;
}

function queuedLongEnough({ event, taskId, at, decidedAt = at }: Recorded, book: Book): string | null {
  if (event !== 'queued_timeout') return null;
  const { queued } = book.task(taskId);
  const { queuedTimeoutMs, queuedTimeoutWaits, slackMs, clockError } = book.settings;
  const waited = queued.at(decidedAt);
  const told = `it failed from the queue after ${Math.round(waited)} ms; the limit is ${queuedTimeoutMs} ms`;
  if (waited < queuedTimeoutMs * (1 - clockError)) return told;
  // During an outage of ours, or with nobody to run it, its time may stand still.
  if (queuedTimeoutWaits || queued.restartedAt <= book.steadySince) return null;
  return waited > queuedTimeoutMs * (1 + clockError) + QUEUE_LATE_MS + slackMs ? told : null;
}
