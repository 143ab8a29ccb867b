// What is printed: each round as it ends, then a table of what was done and seen, and the story around each violation.

const STORY_MS = 2_500;
const STORY_LINES = 40;

export function tell(startedAt, at, text) {
  console.log(`${((at - startedAt) / 1_000).toFixed(1).padStart(7)} s  ${text}`);
}

/** One line for each kind of round. */
export function printRounds(rounds) {
  console.log(
    '\n  rounds                done  failed  skipped   agents back after the fault, ms (median, longest)',
  );
  for (const [name, same] of Map.groupBy(rounds, nameOf)) {
    const skipped = same.filter((round) => round.skipped).length;
    const broken = same.filter((round) => round.problems.length > 0).length;
    const took = same.filter((round) => round.tookMs > 0).map((round) => round.tookMs);
    const back = took.length === 0 ? '' : `${shareOf(took, 0.5)}, ${shareOf(took, 1)}`;
    const numbers = [same.length - skipped, broken, skipped]
      .map((number) => String(number).padStart(8))
      .join('');
    console.log(`  ${name.padEnd(20)}${numbers}   ${back}`);
  }
}

const nameOf = (/** @type {any} */ { kind, how, cut }) =>
  kind === 'several' ? kind : `${kind} ${how ?? cut ?? ''}`.trim();

/** What was done and seen in figures. */
export function printFigures({ counts, times }, { faults, workload }) {
  console.log('\n  done to processes and network');
  const names = faults.map(({ kind, target }) => `${kind} ${target.startsWith('agent') ? 'agent' : target}`);
  for (const [name, same] of Map.groupBy(names, (each) => each)) line(name, same.length);
  console.log('\n  seen');
  for (const [name, number] of [...counts].toSorted(([a], [b]) => a.localeCompare(b))) line(name, number);
  for (const [code, number] of workload.refused) line(`submissions repeated: ${code}`, number);
  console.log(
    '\n  times, ms                                                         n    min    p50    p99    max',
  );
  for (const [kind, same] of Map.groupBy(times, (each) => each.kind)) {
    const took = same.map(({ ms }) => ms);
    const figures = [took.length, ...[0, 0.5, 0.99, 1].map((share) => shareOf(took, share))];
    console.log(`  ${kind.padEnd(60)}${figures.map((figure) => String(figure).padStart(7)).join('')}`);
  }
}

const line = (name, number) => console.log(`  ${name.padEnd(48)}${String(number).padStart(7)}`);

/** How late after L agents were failed, by the coordinator's own clock; where it was too late, what shows the reason. */
export function printDetections({ timed, excused, disturbed }, waitedMs) {
  if (timed.length === 0) return;
  const spread = [0, 0.5, 0.9, 0.99, 1].map((share) => `L + ${shareOf(timed, share)}`).join(' / ');
  console.log(`\n  failed since the last heartbeat, ms (min / p50 / p90 / p99 / max): ${spread}`);
  line('detections timed', timed.length);
  line('not timed: the coordinator was down or stopped', disturbed);
  line('longest wait for a CPU within L + 1 s, ms', waitedMs);
  line('later than L + 1 s, shown to have had no CPU', excused.length);
  for (const words of excused) console.log(`    ${words}`);
}

/** Every one that was excused, in all its words: never silently. */
export function printStarved(excused) {
  line('failed early or for nothing, shown to have had no CPU', excused.length);
  for (const words of excused) console.log(`    ${words}`);
}

/** The value that a share of all is not above, in whole numbers. */
export function shareOf(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)]);
}

/** The violation, and everything about its task and its agent shortly before and after. */
export function printStory(violation, history, startedAt) {
  const { rule, what, at: when, taskId, agentId } = violation;
  console.log(`\nVIOLATION ${rule}${taskId === undefined ? '' : ` of task ${taskId}`}: ${what}`);
  const from = Number.isFinite(when) ? when - STORY_MS : Number.NEGATIVE_INFINITY;
  const to = when + STORY_MS;
  const inTime = (event) => event.at >= from && event.at <= to;
  const events = eventsOf(history, taskId, agentId);
  // Of a task everything is told; of the rest only what is near.
  const told = events.filter((event) => event.ofTask || inTime(event)).toSorted((a, b) => a.at - b.at);
  for (const event of told.slice(-STORY_LINES)) tell(startedAt, event.at, event.text);
}

function eventsOf({ lines, tasks, failures, grants, faults }, taskId, agentId) {
  const ofLines = lines
    .filter((mark) => mark.taskId === taskId && mark.what !== 'alive')
    .map((mark) => ({ at: mark.at, ofTask: true, text: `run     ${wordsOfLine(mark)}` }));
  const task = tasks.find((each) => each.taskId === taskId);
  const ofTask = (task?.history ?? []).map((event) => ({
    at: event.at,
    ofTask: true,
    text: `history ${event.event} try ${event.tryNumber} token ${event.token} ${event.agentId} ${event.reason} (${task.policy})`,
  }));
  const isNear = (target) => agentId === undefined || target === agentId || target === 'coordinator';
  const ofAgents = [
    ...failures.map((each) => ({ ...each, words: `failed after ${Math.round(each.silentMs)} ms` })),
    ...grants.map((each) => ({ ...each, words: `has session ${each.epoch}` })),
  ]
    .filter((each) => isNear(each.agentId))
    .map((each) => ({ at: each.at, text: `agent   ${each.agentId} ${each.words}` }));
  const ofFaults = faults
    .filter(({ target }) => isNear(target))
    .flatMap(({ kind, target, from, to }) => [
      { at: from, text: `fault   ${kind} ${target}` },
      { at: to, text: `fault   ${kind} ${target} is over` },
    ]);
  return [...ofLines, ...ofTask, ...ofAgents, ...ofFaults];
}

function wordsOfLine({ what, token, agentId, tryNumber, pid, code, beside }) {
  const others = beside.length > 0 ? `, alive beside it: ${beside.join(', ')}` : '';
  return `${what} token ${token} try ${tryNumber} on ${agentId} pid ${pid}${code === undefined ? '' : ` code ${code}`}${others}`;
}
