// The end: what is counted, and what must be true. From the tasks' final histories, the commands' own footprints, and
// the answers computed directly; nothing here asks the story.
import { isDeepStrictEqual } from 'node:util';
import { overlapsOf } from './footprints.mjs';
import { resultOf } from './work.mjs';

/** Events that end a task: one of them, once. */
const ENDS = new Set(['success', 'failed', 'cancelled', 'queued_timeout', 'poison', 'resolved']);

const countOf = (events, name) => events.filter(({ event }) => event === name).length;

/** Everything that the table and the checks speak of. `entries` are the tasks of the book, `runs` the footprints. */
export function summarize(entries, runs, answers) {
  const events = entries.flatMap(({ task }) => task.history);
  const policies = new Map(entries.map(({ task }) => [task.taskId, task.spec.partitionPolicy]));
  const overlaps = overlapsOf(runs);
  const late = events.filter(({ event }) => event === 'late_report_refused');
  return {
    tasks: entries.length,
    succeeded: entries.filter(({ task }) => task.state === 'success').length,
    ends: entries.map(({ task }) => task.history.filter(({ event }) => ENDS.has(event)).length),
    tries: entries.reduce((total, { task }) => total + task.tryNumber, 0),
    permits: countOf(events, 'permitted'),
    losses: countOf(events, 'lost'),
    reassigned: entries.reduce((total, { task }) => total + reassignmentsOf(task.history), 0),
    adopted: countOf(events, 'adopted'),
    lateAdopted: events.filter(({ event, message }) => event === 'success' && message !== '').length,
    lateResults: late.filter(({ message }) => message === 'reported success').length,
    lateStops: late.filter(({ message }) => message !== 'reported success').length,
    runs: runs.length,
    twice: overlaps.length,
    forbidden: overlaps.filter(([{ taskId }]) => policies.get(taskId) !== 'reassign'),
    unknownRuns: runs.filter(({ token }) => !wasPermitted(events, token)).length,
    wrong: entries.filter((entry) => !isRight(entry, answers)).map(({ name }) => name),
    missing: [...answers.keys()].filter((wanted) => !entries.some(({ name }) => name === wanted)),
    resumed: countOf(events, 'resumed'),
    deferred: countOf(events, 'deferred'),
  };
}

/** Permits that were given because an earlier one was lost. */
function reassignmentsOf(history) {
  return history.filter(
    ({ event }, index) =>
      event === 'permitted' && history.slice(0, index).some((earlier) => earlier.event === 'lost'),
  ).length;
}

const wasPermitted = (events, token) =>
  events.some(({ event, fencingToken }) => event === 'permitted' && String(fencingToken) === token);

/** What nothing is expected of (the waits, say) only has to succeed. */
function isRight(entry, answers) {
  if (entry.task.state !== 'success') return false;
  return !answers.has(entry.name) || isDeepStrictEqual(resultOf(entry), answers.get(entry.name));
}

/** The table: label, value, what it means. */
export function tableOf(sum, { runs, tides }) {
  return [
    ['runs', `${runs.length}`, 'of the weather pipeline, of the records, and by asset events'],
    ['tasks', `${sum.tasks}`, `${sum.succeeded} succeeded`],
    ['permits', `${sum.permits}`, 'starts confirmed durably, each with a new fencing token'],
    ['tries', `${sum.tries}`, 'executions, each ended by an outcome or by a loss'],
    ['losses', `${sum.losses}`, 'tries whose worker failed while it held them'],
    ['reassigned', `${sum.reassigned}`, 'permits given again after a loss'],
    ['held, run adopted', `${sum.adopted}`, 'still running when its worker came back: it simply went on'],
    ['late results adopted', `${sum.lateAdopted}`, 'finished while cut off, token still open'],
    ['late results refused', `${sum.lateResults}`, 'finished while cut off, token closed by a newer permit'],
    ['late stops refused', `${sum.lateStops}`, 'single_run work that its cut-off worker had stopped itself'],
    ['executions', `${sum.runs}`, 'calls of handlers seen from outside, by lines left in a shared file'],
    [
      'of these, twice at once',
      `${sum.twice}`,
      'a cut-off worker went on while another ran the task: reassign allows it',
    ],
    ['runs by the clock', `${tides}`, 'created while nobody read DAG files'],
    ['wrong answers', `${sum.wrong.length}`, 'compared with a direct computation'],
  ];
}

/** What must be true, as [claim, whether it is]. */
export function verdictsOf(sum, seen) {
  const { killed, failures, stoppedWell, runs, charts, announced, tides, processor, cut } = seen;
  const stayed = isDeepStrictEqual(processor.until, processor.inForce);
  const off = [...sum.wrong, ...sum.missing];
  return [
    [`every answer is right${listed(off)}`, off.length === 0],
    [`every chart shows what was computed directly${listed(charts)}`, charts.length === 0],
    [
      'every run and every task succeeded, each task with exactly one accepted outcome',
      runs.every(({ state }) => state === 'success') &&
        sum.succeeded === sum.tasks &&
        sum.ends.every((ends) => ends === 1),
    ],
    ['no single_run or hold task ever ran twice at once', sum.forbidden.length === 0],
    ['nothing ran without a durable permit', sum.unknownRuns === 0],
    ['the worker killed at work left no process behind', killed.wasBusy && killed.leftBehind === 0],
    ['all losses were noticed, not before three heartbeats were missed', failures.every(isTimely)],
    [
      'what a cut-off worker held was adopted at its return, what came too late was refused',
      sum.adopted > 0 && sum.lateAdopted > 0 && sum.lateResults > 0,
    ],
    [
      'the cut-off triggerer stopped its waits; they went on elsewhere, and each event counted once',
      cut.stopped && cut.moved > 0 && cut.moved === cut.waits && sum.resumed === sum.deferred,
    ],
    [
      'without its DAG processor every DAG stayed in force and got runs; a new file came into force at its return',
      stayed && tides > 0 && processor.seen,
    ],
    ['every new report was announced, by a run that took its event once', announced.isOnce],
    ['the other processes drained and ended with exit code 0', stoppedWell],
  ];
}

/** Failed within [L, L + 1 s] of its last heartbeat. */
const isTimely = ({ silentMs, leaseMs }) => silentMs >= leaseMs && silentMs <= leaseMs + 1_000;

const listed = (names) => (names.length === 0 ? '' : ` (not: ${names.join(', ')})`);
