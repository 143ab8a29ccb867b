// The judge. Pure: a recorded history goes in, violations and figures come out. It shares nothing with what it judges.
//
// A history has, all times in milliseconds of CLOCK_MONOTONIC:
//   heartbeatMs, leaseMs, slots   what was configured
//   slackMs                       what a busy machine may add to an upper bound; never to a lower one
//   lines      what the tasks themselves wrote: { what: start|alive|term|end, at, execAt, taskId, tryNumber, token, agentId,
//              instanceId, code, beside: tokens of the same task that were alive at the start }
//   tasks      what the API says at the end: { taskId, key, policy, state, reason, token, retries, resultToken, history:
//              [{ at, event, agentId, tryNumber, token, epoch, reason }] }
//   accepted   submissions that were acknowledged: { key, taskId }
//   seen       what a client was shown meanwhile: { at, taskId, state, token }
//   failures   what the coordinator said: { at, agentId, silentMs, epoch }
//   grants     sessions that it granted: { at, agentId, epoch }
//   faults     what was done: { kind, target, from, to, mustFail, spareMs, mayNotFail }
import { judgeDetection } from './detection.mjs';
import { judgeRuns } from './runs.mjs';

/** Events that close a try with its outcome; at most one of them each (K5). */
const OUTCOMES = new Set(['success', 'failed', 'try_failed', 'try_lost', 'lost_reported']);
/** Events that end a task for good. */
const FINALS = new Set(['success', 'failed', 'cancelled', 'poison', 'queued_timeout']);
const FINAL_STATES = new Set(['success', 'failed', 'cancelled']);
/** How a try is lost: its agent is, or its agent is back without it; the last one may be told as poison only. */
const LOSSES = new Set(['lost', 'lost_reported', 'poison']);
const POISON_LIMIT = 3;

/** Violations, oldest first, and what was counted on the way. */
export function judge(history) {
  const verdict = new Verdict();
  judgePermits(history, verdict);
  judgeOutcomes(history, verdict);
  judgeTasks(history, verdict);
  judgeSeen(history, verdict);
  judgeSessions(history, verdict);
  judgeRuns(history, verdict);
  judgeDetection(history, verdict);
  const violations = verdict.violations.toSorted((a, b) => a.at - b.at);
  return { violations, counts: verdict.counts, times: verdict.times };
}

/** Where the rules put what they find. */
class Verdict {
  violations = [];
  counts = new Map();
  /** What was measured: { kind, ms }. */
  times = [];

  count(what, by = 1) {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  time(kind, ms) {
    this.times.push({ kind, ms });
  }

  violated(rule, at, what, about = {}) {
    this.violations.push({ rule, at, what, ...about });
  }

  check(holds, rule, at, what, about) {
    if (!holds) this.violated(rule, at, what(), about);
  }
}

/** K1, K7: one permit for each token, and tokens grow, within a task in its own order and over all tasks in time. */
function judgePermits({ tasks }, verdict) {
  const permits = tasks.flatMap(({ taskId, history }) =>
    history.filter(({ event }) => event === 'permitted').map((event) => ({ ...event, taskId })),
  );
  verdict.count('permits', permits.length);
  const byToken = Map.groupBy(permits, ({ token }) => token);
  for (const [token, same] of byToken) {
    const [{ taskId }] = same;
    const last = same.at(-1);
    const what = () => `token ${token} was permitted ${same.length} times, to ${last.agentId} the last time`;
    verdict.check(same.length === 1, 'K1', last.at, what, { taskId, token });
  }
  // In the order of their tokens, times must not run back: a smaller token that was drawn later is a token gone back.
  const inOrder = permits.toSorted((a, b) => Number(a.token - b.token));
  inOrder.forEach((permit, index) => {
    const next = inOrder[index + 1];
    if (next === undefined || next.at >= permit.at - CLOCK_STEP_MS) return;
    const what = `token ${next.token} was drawn before the smaller token ${permit.token}`;
    verdict.violated('K7', permit.at, what, { taskId: permit.taskId, token: permit.token });
  });
  for (const { taskId, history } of tasks) {
    let highest = 0n;
    for (const { event, token, at } of history) {
      if (event !== 'permitted') continue;
      const before = highest;
      const what = () => `token ${token} was drawn after ${before}`;
      verdict.check(token > before, 'K7', at, what, { taskId, token });
      if (token > highest) highest = token;
    }
  }
}

/** Wall times of the API are whole milliseconds, and the machine's clock is being steered. */
const CLOCK_STEP_MS = 20;

/** K5, K6: at most one outcome for each try, and what is accepted bears the newest token there was. */
function judgeOutcomes({ tasks }, verdict) {
  for (const { taskId, history } of tasks) {
    const outcomes = new Map();
    let newest = 0n;
    for (const { event, token, tryNumber, at } of history) {
      if (event === 'permitted' && token > newest) newest = token;
      if (event === 'late_report_refused') verdict.count('late reports refused');
      if (event === 'adopted') verdict.count('runs adopted');
      if (event === 'lost') verdict.count('tries lost');
      // What bears no token is the end of the task, not of a try.
      if (!OUTCOMES.has(event) || token === 0n) continue;
      const before = outcomes.get(tryNumber);
      outcomes.set(tryNumber, event);
      const twice = () => `try ${tryNumber} has the outcomes ${before} and ${event}`;
      verdict.check(before === undefined, 'K5', at, twice, { taskId, token });
      const highest = newest;
      const stale = () => `${event} was accepted with token ${token}, the newest was ${highest}`;
      verdict.check(token === highest, 'K6', at, stale, { taskId, token });
    }
    verdict.count('tries', outcomes.size);
  }
}

/** K5, K11: whatever was accepted is there once, has ended once, and for a reason that the history shows. */
function judgeTasks({ tasks, accepted, lines }, verdict) {
  const byKey = Map.groupBy(tasks, ({ key }) => key);
  for (const { key, taskId } of accepted) {
    const found = byKey.get(key) ?? [];
    const what = () => `${key} was acknowledged as ${taskId}; there are ${found.length} tasks with that key`;
    const isThere = found.length === 1 && found[0].taskId === taskId;
    verdict.check(isThere, 'K11', Number.POSITIVE_INFINITY, what, { taskId });
  }
  const ends = new Map(lines.filter(({ what }) => what === 'end').map((line) => [line.token, line]));
  for (const task of tasks) judgeEnd(task, ends, verdict);
  verdict.count('tasks', tasks.length);
}

function judgeEnd(task, ends, verdict) {
  const { taskId, state, reason, history } = task;
  const finals = history.filter(({ event }) => FINALS.has(event));
  const last = history.at(-1);
  const at = finals[0]?.at ?? last?.at ?? 0;
  verdict.count(`tasks ${state}${state === 'failed' ? ` (${reason})` : ''}`);
  verdict.check(FINAL_STATES.has(state), 'K11', last?.at ?? 0, () => `it is still ${state} (${reason})`, {
    taskId,
  });
  if (!FINAL_STATES.has(state)) return;
  const names = finals.map(({ event }) => event).join(', ');
  verdict.check(finals.length === 1, 'K5', at, () => `its ends are: ${names || 'none'}`, { taskId });
  if (state === 'success') judgeSuccess(task, ends, at, verdict);
  if (state === 'failed') judgeFailure(task, ends, at, verdict);
}

/** What was accepted as a success was one, as the command itself said, with the result of that very run. */
function judgeSuccess({ taskId, history, resultToken }, ends, at, verdict) {
  const token = history.findLast(({ event }) => event === 'success')?.token;
  const end = ends.get(token);
  const what = () =>
    `success was accepted for token ${token}; the run's own last line: ${end?.code ?? 'none'}`;
  verdict.check(end?.code === 0, 'K5', at, what, { taskId, token });
  const other = () => `success of token ${token} bears the result of token ${resultToken}`;
  verdict.check(resultToken === token, 'K6', at, other, { taskId, token });
}

/** Nothing fails for good but by its own exit code, or as poison. An outage of ours is no reason. */
function judgeFailure({ taskId, history, reason }, ends, at, verdict) {
  const lost = history.filter(({ event }) => LOSSES.has(event));
  const losses = new Set(lost.map(({ tryNumber }) => tryNumber)).size;
  if (history.some(({ event }) => event === 'poison')) {
    const what = () => `it failed as poison after ${losses} lost tries`;
    return verdict.check(losses >= POISON_LIMIT, 'K5', at, what, { taskId });
  }
  const token = history.findLast(({ event }) => event === 'failed')?.token;
  const code = ends.get(token)?.code;
  const what = () => `it failed (${reason}); the run of token ${token} ended with ${code ?? 'no word'}`;
  verdict.check(code !== undefined && code !== 0, 'K5', at, what, { taskId, token });
}

/** K5: what a client was shown as ended stays so. */
function judgeSeen({ seen, tasks }, verdict) {
  const final = new Map(tasks.map((task) => [task.taskId, task]));
  const ended = new Map();
  for (const { at, taskId, state, token } of seen.toSorted((a, b) => a.at - b.at)) {
    const before = ended.get(taskId);
    const what = () => `it was shown as ${before} and later as ${state}`;
    verdict.check(before === undefined || before === state, 'K5', at, what, { taskId, token });
    if (FINAL_STATES.has(state)) ended.set(taskId, state);
  }
  for (const [taskId, state] of ended) {
    const now = final.get(taskId)?.state ?? 'gone';
    const what = () => `it was shown as ${state} and is ${now} at the end`;
    verdict.check(now === state, 'K5', Number.POSITIVE_INFINITY, what, { taskId });
  }
}

/** K7: epochs grow, over restarts of the coordinator as well. */
function judgeSessions({ grants }, verdict) {
  let highest = 0n;
  for (const { at, agentId, epoch } of grants) {
    const [before, now] = [highest, BigInt(epoch)];
    verdict.check(now > before, 'K7', at, () => `${agentId} was granted epoch ${now} after ${before}`, {
      agentId,
    });
    if (now > highest) highest = now;
  }
  verdict.count('sessions', grants.length);
}
