import type { Draft } from '../../src/core/draft.js';
import { isFinal, readyLane, type TaskRow } from '../../src/core/rows.js';
import type { World } from './support.js';

/** Throws with all that was found, so that a random test shows the whole picture. */
function demand(faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/** What every store demands of a commit, and what I1, I2 and I10 say of one. */
export function checkCommit(world: World, draft: Draft): void {
  const faults: string[] = [];
  const fault = (holds: boolean, what: string) => void (holds || faults.push(what));
  const histories = Map.groupBy(draft.history, (h) => h.taskId);
  for (const row of draft.tasks.values()) {
    const old = world.tasks.get(row.taskId);
    fault(
      row.version === (old?.version ?? 0) + 1,
      `${row.taskId}: version ${row.version} on ${old?.version}`,
    );
    const added = histories.get(row.taskId) ?? [];
    fault(row.historyCount === (old?.historyCount ?? 0) + added.length, `${row.taskId}: historyCount`);
    for (const [i, h] of added.entries())
      fault(h.n === (old?.historyCount ?? 0) + i, `${row.taskId}: history ${h.n}`);
    fault(row.lastToken >= (old?.lastToken ?? 0n), `${row.taskId}: I1, tokens increase`);
    if (added.length > 0 && added.every((h) => h.event === 'late_report_refused') && old !== undefined) {
      fault(isSame({ ...row, version: 0, historyCount: 0 }, { ...old, version: 0, historyCount: 0 }), 'I10');
    }
    faults.push(...taskFaults(row));
  }
  for (const [taskId, version] of draft.removals) {
    const old = world.tasks.get(taskId);
    fault(old !== undefined && isFinal(old.state) && old.open === null, `${taskId}: removed before it ended`);
    fault(old?.version === version && !draft.tasks.has(taskId), `${taskId}: removed with version ${version}`);
  }
  for (const h of draft.history)
    fault(draft.tasks.has(h.taskId), `${h.taskId}: history without a row of its task`);
  for (const row of draft.sessions.values())
    fault(row.version === (world.sessions.get(row.epoch)?.version ?? 0) + 1, `session ${row.epoch}: version`);
  for (const row of draft.agents.values())
    fault(row.version === (world.agents.get(row.agentId)?.version ?? 0) + 1, `agent ${row.agentId}: version`);
  fault(draft.counters.token >= world.counters.token, 'the token counter goes back');
  fault(draft.counters.epoch >= world.counters.epoch, 'the epoch counter goes back');
  const drawn = draft.history.filter((h) => h.event === 'permitted').map((h) => h.token);
  for (const token of drawn) fault(token > world.counters.token, `I1: token ${token} was drawn before`);
  fault(new Set(drawn).size === drawn.length, 'I1: a token drawn twice');
  faults.push(...keyFaults(world, draft));
  demand(faults);
}

/** Never more open tokens of a concurrency key than its limit, as far as this commit has permitted one. */
function keyFaults(world: World, draft: Draft): string[] {
  const permitted = new Set(
    draft.history.filter((row) => row.event === 'permitted').map((row) => row.taskId),
  );
  const faults: string[] = [];
  for (const { taskId, concurrencyKey: key, concurrencyLimit, open } of draft.tasks.values()) {
    if (key === '' || open === null || !permitted.has(taskId)) continue;
    const newest = new Map([...world.tasks, ...draft.tasks]);
    const holders = [...newest.values()].filter((row) => row.concurrencyKey === key && row.open !== null);
    if (holders.length > concurrencyLimit)
      faults.push(
        `${taskId}: ${holders.length} tokens of key ${key} are open, its limit is ${concurrencyLimit}`,
      );
  }
  return faults;
}

const isSame = (a: TaskRow, b: TaskRow): boolean => show(a) === show(b);
const show = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v));

/** What must hold of any task, whatever happened to it. */
function taskFaults(row: TaskRow): string[] {
  const faults: string[] = [];
  const fault = (holds: boolean, what: string) => void (holds || faults.push(`${row.taskId}: ${what}`));
  const { open } = row;
  fault(row.state !== 'running' || open !== null, 'running without an open token');
  fault(open === null || row.state === 'running' || open.lost !== null, 'a token of a live run, not running');
  fault(open === null || open.token === row.lastToken, 'I1: an older token is open');
  fault(open === null || open.tryNumber === row.tryNumber, 'the open token belongs to another try');
  fault(row.state !== 'queued' || (open?.lost?.heldUntil ?? null) === null, 'queued while held (P11)');
  fault((row.state === 'queued') === (row.queuedSince !== null), 'queuedSince goes with queued (P12)');
  fault(!isFinal(row.state) || open === null, 'final with an open token (P10)');
  fault(!isFinal(row.state) || row.endedAt !== null, 'final without an end');
  fault(row.stopRequest === null || open !== null, 'a stop request without an open token (P15)');
  fault(row.state !== 'up_for_retry' || row.notBefore !== null, 'waits for a retry for ever');
  fault(row.tryNumber >= 0 && row.queuedMs >= 0, 'negative');
  return faults;
}

const OUTCOMES = new Set([
  'success',
  'failed',
  'try_failed',
  'never_started',
  'lost_reported',
  'try_lost',
  'adopted',
]);

/** I2: once a token has its outcome it has no other, and is never adopted. */
function historyFaults(world: World): string[] {
  const faults: string[] = [];
  for (const [taskId, rows] of world.histories) {
    const closed = new Map<bigint, string>();
    for (const { event, token } of rows) {
      if (!OUTCOMES.has(event) || token === 0n) continue;
      const before = closed.get(token);
      if (before !== undefined) faults.push(`${taskId}: I2, token ${token} ${before}, then ${event}`);
      if (event !== 'adopted') closed.set(token, event);
    }
  }
  return faults;
}

/** Memory against rows: every index is computed anew and compared. */
export function checkWorld(world: World): void {
  demand([...historyFaults(world), ...openFaults(world), ...offerFaults(world), ...laneFaults(world)]);
}

function openFaults({ state, tasks }: World): string[] {
  const faults: string[] = [];
  const fault = (holds: boolean, what: string) => void (holds || faults.push(what));
  let open = 0;
  let live = 0;
  let asked = 0;
  for (const row of tasks.values()) {
    if (row.open === null) continue;
    const { token, agentId, epoch, lost } = row.open;
    open++;
    if (lost === null) live++;
    if (row.stopRequest !== null) asked++;
    fault(state.open.get(token) === row, `open: ${row.taskId} is stale`);
    fault(state.openByAgent.get(agentId)?.has(token) ?? false, `openByAgent: ${row.taskId}`);
    fault((state.permits.get(epoch)?.has(token) ?? false) === (lost === null), `permits: ${row.taskId}`);
    fault(state.stopRequests.has(token) === (row.stopRequest !== null), `stopRequests: ${row.taskId}`);
    fault(
      lost !== null || state.presences.has(epoch),
      `P13: ${row.taskId} runs in session ${epoch}, which is over`,
    );
  }
  const size = (map: ReadonlyMap<unknown, ReadonlySet<unknown>>) =>
    [...map.values()].reduce((n, s) => n + s.size, 0);
  fault(state.open.size === open, 'open: too many');
  fault(size(state.openByAgent) === open, 'openByAgent: too many');
  fault(size(state.permits) === live, 'permits: too many');
  fault(state.stopRequests.size === asked, 'stopRequests: too many');
  return faults;
}

function offerFaults({ state, tasks }: World): string[] {
  const faults: string[] = [];
  const fault = (holds: boolean, what: string) => void (holds || faults.push(what));
  let offers = 0;
  let extras = 0;
  for (const presence of state.presences.values()) {
    fault(presence.streamId !== null || presence.offers.size === 0, `I4: offers to a suspect agent`);
    const agent = state.agents.get(presence.agentId);
    fault(
      !agent?.cordoned || presence.offers.size === 0,
      `I4: ${presence.agentId} is cordoned, and has offers`,
    );
    for (const [taskId, offer] of presence.offers) {
      offers++;
      if (offer.extra) extras++;
      const offered = state.offered.get(taskId);
      fault(offered?.epoch === presence.epoch, `offered: ${taskId}`);
      fault(offered?.task === tasks.get(taskId), `offered: ${taskId} is stale`);
      fault(offered !== undefined && readyLane(offered.task) !== null, `offered: ${taskId} is not ready`);
      const queue = offered?.task.queue ?? '';
      fault((state.extras.get(queue)?.has(taskId) ?? false) === offer.extra, `extras: ${taskId}`);
    }
    const session = state.sessions.get(presence.epoch);
    fault(session?.state === 'live', `a presence of session ${presence.epoch}, which is over`);
  }
  fault(state.offered.size === offers, 'offered: too many');
  fault([...state.extras.values()].reduce((n, s) => n + s.size, 0) === extras, 'extras: too many');
  for (const [name, sets] of [['roomy', state.roomy] as const, ['hungry', state.hungry] as const]) {
    for (const [queue, epochs] of sets) {
      for (const epoch of epochs) {
        const session = state.sessions.get(epoch);
        const lives = session?.state === 'live' && session.queues.includes(queue);
        fault(lives, `${name}: session ${epoch} is over, or does not serve ${queue}`);
      }
    }
  }
  return faults;
}

function laneFaults(world: World): string[] {
  const { state, tasks } = world;
  const faults: string[] = [];
  const counted = new Map<string, number>();
  for (const row of tasks.values()) {
    const key = readyLane(row);
    if (key !== null) counted.set(row.queue, (counted.get(row.queue) ?? 0) + 1);
    if (key === null || state.offered.has(row.taskId)) continue;
    if (state.lanes.get(key) === undefined) faults.push(`lanes: ${row.taskId} waits in a lane nobody knows`);
  }
  for (const queue of new Set([...counted.keys(), ...state.waiting.keys()]))
    if (counted.get(queue) !== state.waiting.get(queue)) faults.push(`waiting: not as many as in ${queue}`);
  for (const lane of state.lanes.all()) {
    const waiting = world.ready(lane.key).filter((row) => !state.offered.has(row.taskId));
    const same = lane.tasks.every((row, i) => row === waiting[i]);
    if (!same) faults.push(`lane ${lane.key}: the window is not the head of what waits`);
    if (lane.complete && lane.tasks.length !== waiting.length)
      faults.push(`lane ${lane.key}: said to be complete`);
  }
  return faults;
}
