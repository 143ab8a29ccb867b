// Rules about runs as the world sees them: the lines of the commands themselves beside the permits of the coordinator.

/** Wall times of the API are whole milliseconds of a clock that is being steered; a start is told by its own process. */
const CLOCK_STEP_MS = 20;
/** How long the processes of a killed agent may take to be gone. */
const REMAINS_MS = 1_500;

/** After these no process may be started with the token. */
const CLOSINGS = new Set([
  'lost',
  'try_lost',
  'lost_reported',
  'never_started',
  'success',
  'failed',
  'try_failed',
  'cancelled',
  'poison',
]);

export function judgeRuns(history, verdict) {
  const runs = runsOf(history.lines);
  const permits = permitsOf(history.tasks);
  verdict.count('starts', runs.length);
  for (const run of runs) judgeStart(run, permits, verdict);
  const policies = new Map(history.tasks.map((task) => [task.taskId, task]));
  for (const [taskId, ofTask] of Map.groupBy(runs, (run) => run.taskId)) {
    judgeOverlaps(policies.get(taskId), ofTask, verdict);
  }
  judgeRemains(history, runs, verdict);
  judgeSlots(history, runs, verdict);
}

/** Each start with the last sign of life that bears its token: less than that it did not live. */
function runsOf(lines) {
  const runs = [];
  for (const [token, ofToken] of Map.groupBy(lines, (line) => line.token)) {
    const until = Math.max(...ofToken.map(({ at }) => at));
    const ended = ofToken.some(({ what }) => what === 'end');
    for (const line of ofToken) if (line.what === 'start') runs.push({ ...line, token, until, ended });
  }
  return runs.toSorted((a, b) => a.at - b.at);
}

/** By token: the permit, and the first event after which nothing may start with it. */
function permitsOf(tasks) {
  const permits = new Map();
  for (const { taskId, history } of tasks) {
    for (const event of history) {
      if (event.event === 'permitted')
        permits.set(event.token, { ...event, taskId, starts: 0, closed: null });
      const permit = permits.get(event.token);
      if (permit !== undefined && permit.closed === null && CLOSINGS.has(event.event)) permit.closed = event;
    }
  }
  return permits;
}

/** K2, K3, K4: once, by a permit of the same token that came before, and not after that token was lost or closed. */
function judgeStart(run, permits, verdict) {
  const { taskId, token, agentId, execAt, tryNumber } = run;
  const about = { taskId, token, agentId };
  const permit = permits.get(token);
  if (permit === undefined || permit.taskId !== taskId) {
    return verdict.violated('K3', run.at, `token ${token} was started on ${agentId} without a permit`, about);
  }
  const given = `${permit.agentId}, try ${permit.tryNumber}`;
  const foreign = () =>
    `token ${token} was started on ${agentId}, try ${tryNumber}; it was permitted to ${given}`;
  const isSame = permit.agentId === agentId && permit.tryNumber === tryNumber;
  verdict.check(isSame, 'K3', run.at, foreign, about);
  const early = () => `token ${token} was started ${Math.round(permit.at - execAt)} ms before its permit`;
  verdict.check(execAt >= permit.at - CLOCK_STEP_MS, 'K3', run.at, early, about);
  permit.starts += 1;
  verdict.check(permit.starts === 1, 'K2', run.at, () => `token ${token} was started twice`, about);
  const { closed } = permit;
  if (closed === null) return;
  const late = () => `token ${token} was started ${Math.round(execAt - closed.at)} ms after ${closed.event}`;
  verdict.check(execAt <= closed.at + CLOCK_STEP_MS, 'K4', run.at, late, about);
}

/** K10: who was alive at the start of another run of the same task, and who gave a sign of life after it. */
function judgeOverlaps(task, runs, verdict) {
  const beside = new Map(runs.map((run) => [run.token, new Set(run.beside)]));
  runs.forEach((run, index) => {
    for (const later of runs.slice(index + 1)) {
      // Seen by the later one when it started; or by the earlier one, when both started at the same moment.
      const seen = beside.get(later.token).has(run.token) || beside.get(run.token).has(later.token);
      if (!seen && run.until <= later.at) continue;
      const policy = task?.policy ?? 'unknown';
      verdict.count(`overlaps under ${policy}`);
      if (policy === 'reassign') continue;
      if (policy === 'hold' && isOperators(task, later)) continue;
      const what = `token ${later.token} was started on ${later.agentId} while token ${run.token} was alive on ${run.agentId} (${policy})`;
      verdict.violated('K10', later.at, what, { taskId: run.taskId, token: later.token });
    }
  });
}

/** Whether an operator has ruled on the task before this run was permitted: two copies are then his choice. */
function isOperators({ history }, later) {
  const permitted = history.findIndex(({ event, token }) => event === 'permitted' && token === later.token);
  return history.slice(0, permitted).some(({ event }) => event === 'resolved');
}

/** What ran under a killed agent dies with it. */
function judgeRemains({ faults }, runs, verdict) {
  for (const { kind, target, from } of faults) {
    if (kind !== 'kill') continue;
    for (const { taskId, token, until } of runs.filter((run) => run.agentId === target && run.at < from)) {
      if (until <= from) continue;
      const livedMs = until - from;
      verdict.time('last sign of life of a command, since its agent was killed', livedMs);
      const what = () => `token ${token} was alive ${Math.round(livedMs)} ms after ${target} was killed`;
      verdict.check(livedMs <= REMAINS_MS, 'remains', until, what, { taskId, token });
    }
  }
}

/** I4: no agent runs more than it has slots. */
function judgeSlots({ slots }, runs, verdict) {
  for (const ofAgent of Map.groupBy(runs, ({ agentId }) => agentId).values()) {
    const ends = [];
    for (const run of ofAgent) {
      const alive = ends.filter((until) => until > run.at).length + 1;
      ends.push(run.until);
      const what = () => `${run.agentId} runs ${alive} tasks with ${slots} slots`;
      verdict.check(alive <= slots, 'I4', run.at, what, {
        taskId: run.taskId,
        token: run.token,
        agentId: run.agentId,
      });
    }
  }
}
