import { describe, expect, test } from '@jest/globals';

import { judge, type RecordedHistory } from '../../src/testing/checker/index.js';

/** As recorded, and open to change. */
type Open<T> = T extends readonly (infer E)[]
  ? Open<E>[]
  : T extends object
    ? { -readonly [K in keyof T]: Open<T[K]> }
    : T;
type History = Open<RecordedHistory>;
type Line = History['lines'][number];
type Task = History['tasks'][number];
type Event = Task['history'][number];
type Fault = History['faults'][number];

const event = (at: number, name: Event['event'], token: bigint, agentId = 'a', tryNumber = 1): Event => ({
  at,
  event: name,
  agentId,
  tryNumber,
  token,
  reason: '',
});

const start = (at: number, taskId: string, token: bigint, agentId: string, tryNumber = 1): Line => ({
  what: 'start',
  at,
  execAt: at - 40,
  taskId,
  tryNumber,
  token,
  agentId,
  beside: [],
});

const sign = (from: Line, at: number, what: 'alive' | 'end' = 'alive', code?: number): Line => ({
  what,
  at,
  taskId: from.taskId,
  tryNumber: from.tryNumber,
  token: from.token,
  agentId: from.agentId,
  beside: [],
  ...(code === undefined ? {} : { code }),
});

const kill: Fault = {
  kind: 'kill',
  target: 'a',
  from: 3_000,
  to: 6_000,
  mustFail: true,
  spareMs: 0,
  mayNotFail: false,
};

/**
 * A history that keeps every promise: t1 runs on `a`, is lost when `a` is killed at 3000, and succeeds on `b`; t2 fails by
 * itself, for good; t3 simply succeeds.
 */
function good(policy: Task['policy'] = 'single_run'): History {
  const first = start(2_100, 't1', 1n, 'a');
  const second = start(6_100, 't1', 3n, 'b', 2);
  const failing = start(2_200, 't2', 2n, 'b');
  const last = start(7_100, 't3', 4n, 'a');
  const task = (
    taskId: string,
    state: Task['state'],
    resultToken: bigint | null,
    history: Event[],
  ): Task => ({
    taskId,
    key: `key-${taskId}`,
    policy,
    state,
    reason: '',
    resultToken,
    history,
  });
  return {
    heartbeatMs: 500,
    leaseMs: 1_500,
    slackMs: 300,
    slots: 2,
    lines: [
      first,
      sign(first, 2_950),
      failing,
      sign(failing, 2_400, 'end', 3),
      second,
      sign(second, 6_900, 'end', 0),
      last,
      sign(last, 7_300, 'end', 0),
    ],
    tasks: [
      task('t1', 'success', 3n, [
        event(2_000, 'permitted', 1n),
        event(4_600, 'lost', 1n),
        event(5_900, 'requeued', 1n),
        event(6_000, 'try_lost', 1n),
        event(6_000, 'permitted', 3n, 'b', 2),
        event(6_950, 'success', 3n, 'b', 2),
        event(6_990, 'late_report_refused', 1n),
      ]),
      task('t2', 'failed', null, [event(2_050, 'permitted', 2n, 'b'), event(2_450, 'failed', 2n, 'b')]),
      task('t3', 'success', 4n, [event(7_000, 'permitted', 4n), event(7_350, 'success', 4n)]),
    ],
    accepted: ['t1', 't2', 't3'].map((taskId) => ({ key: `key-${taskId}`, taskId })),
    seen: [
      { at: 2_300, taskId: 't1', state: 'running', token: 1n },
      { at: 7_000, taskId: 't1', state: 'success', token: 3n },
    ],
    failures: [{ at: 4_610, agentId: 'a', silentMs: 1_700, epoch: '1' }],
    grants: [
      { at: 1_000, agentId: 'a', epoch: '1' },
      { at: 1_000, agentId: 'b', epoch: '2' },
      { at: 5_900, agentId: 'a', epoch: '3' },
    ],
    faults: [{ ...kill }],
  };
}

/** The part of it with that index; a test that names a wrong one must say so. */
function at<T>(list: readonly T[], index: number): T {
  const found = list.at(index);
  if (found === undefined) throw new Error(`there is no element ${index}`);
  return found;
}

const task = (history: History, index: number): Task => at(history.tasks, index);
const rulesOf = (history: History): string[] => [
  ...new Set(judge(history).violations.map(({ rule }) => rule)),
];

/** Moves the permit of t1's second run, and the run itself, to where the first one is alive still. */
function overlap(history: History): void {
  // The first run is not below the killed agent, but cut off with it: it lives on.
  at(history.faults, 0).kind = 'cut both';
  history.lines.push(sign(at(history.lines, 0), 6_500));
}

describe('a history that keeps every promise', () => {
  test.each(['reassign', 'single_run', 'hold'] as const)('passes under %s', (policy) => {
    const verdict = judge(good(policy));
    expect(verdict.violations).toEqual([]);
    expect(verdict.counts.get('starts')).toBe(4);
    expect(verdict.times.map(({ ms }) => ms)).toEqual([1_700, 1_610]);
  });

  test('may have two copies at once under reassign, and they are counted', () => {
    const history = good('reassign');
    overlap(history);
    const verdict = judge(history);
    expect(verdict.violations).toEqual([]);
    expect(verdict.counts.get('overlaps under reassign')).toBe(1);
  });

  test('may have two copies under hold when an operator has said so before the permit', () => {
    const history = good('hold');
    overlap(history);
    const ruled = { ...event(5_890, 'resolved', 1n), reason: 'reassign' };
    task(history, 0).history.splice(2, 0, ruled);
    expect(rulesOf(history)).toEqual([]);
  });

  test('may have poison as an end, at the third lost try', () => {
    const history = good();
    const names = [
      ['permitted', 'lost', 'requeued', 'try_lost'],
      ['permitted', 'lost_reported'],
      ['permitted', 'poison'],
    ] as const;
    const events = names.flatMap((ofTry, index) =>
      ofTry.map((name) => event(0, name, BigInt(11 + index), 'b', index + 1)),
    );
    Object.assign(task(history, 2), { state: 'failed', resultToken: null, history: events });
    history.lines.splice(6);
    // In the order of the tokens, times rise: each loss comes before the next permit.
    for (const [index, each] of task(history, 2).history.entries()) each.at = 7_000 + index;
    expect(rulesOf(history)).toEqual([]);
  });

  test('has no time limit for a loss during a fault of the coordinator, and never fails anybody early there', () => {
    const history = good();
    history.faults.push({
      ...kill,
      kind: 'stop',
      target: 'coordinator',
      from: 3_100,
      to: 9_000,
      mustFail: false,
    });
    Object.assign(at(history.failures, 0), { at: 8_000, silentMs: 5_000 });
    expect(rulesOf(history)).toEqual([]);
    at(history.failures, 0).silentMs = 1_499.9;
    expect(rulesOf(history)).toEqual(['K9 early', 'K9 false']);
  });
});

type Change = (history: History) => unknown;
const BROKEN: readonly (readonly [string, string, Change])[] = [
  ['K1', 'one token is permitted twice', (h) => task(h, 2).history.unshift(event(6_990, 'permitted', 4n))],
  ['K2', 'one token is started twice', (h) => h.lines.push(start(7_200, 't3', 4n, 'a'))],
  ['K3', 'a run has no permit', (h) => h.lines.push(start(7_000, 't2', 9n, 'b'))],
  ['K3', 'a run bears the token of another task', (h) => Object.assign(at(h.lines, 2), { taskId: 't3' })],
  [
    'K3',
    'a run starts on another agent than it was permitted to',
    (h) => Object.assign(at(h.lines, 6), { agentId: 'c' }),
  ],
  ['K3', 'a run starts before its permit', (h) => Object.assign(at(h.lines, 6), { execAt: 6_900 })],
  [
    'K4',
    'a run starts after its token was lost',
    (h) => Object.assign(at(h.lines, 0), { at: 4_700, execAt: 4_660 }),
  ],
  [
    'K4',
    'a run starts after it was said never to start',
    (h) => task(h, 2).history.splice(1, 0, event(7_010, 'never_started', 4n)),
  ],
  ['K5', 'a try has two outcomes', (h) => task(h, 1).history.unshift(event(2_440, 'try_failed', 2n, 'b'))],
  ['K5', 'a task ends twice', (h) => task(h, 2).history.push(event(7_400, 'cancelled', 0n))],
  ['K5', 'a success is accepted of a run that never said so', (h) => h.lines.splice(5, 1)],
  ['K5', 'a success is accepted of a run that failed', (h) => Object.assign(at(h.lines, 5), { code: 3 })],
  ['K5', 'a task fails though its run did not', (h) => Object.assign(at(h.lines, 3), { code: 0 })],
  [
    'K5',
    'a task is poison without the losses',
    (h) => task(h, 1).history.splice(1, 1, event(2_450, 'poison', 0n)),
  ],
  [
    'K5',
    'a state that was shown as final changes',
    (h) => h.seen.push({ at: 7_500, taskId: 't1', state: 'queued', token: 3n }),
  ],
  [
    'K5',
    'what was shown as cancelled is a success at the end',
    (h) => h.seen.push({ at: 7_500, taskId: 't3', state: 'cancelled', token: 4n }),
  ],
  [
    'K6',
    'an outcome is accepted with an older token',
    (h) => task(h, 0).history.splice(5, 1, event(6_950, 'failed', 1n)),
  ],
  ['K6', 'the result is that of another run', (h) => Object.assign(task(h, 0), { resultToken: 1n })],
  ['K7', 'a task gets a smaller token', (h) => Object.assign(at(task(h, 0).history, 0), { token: 9n })],
  ['K7', 'tokens run back over tasks', (h) => Object.assign(at(task(h, 2).history, 0), { at: 1_000 })],
  ['K7', 'an epoch is granted twice', (h) => Object.assign(at(h.grants, 2), { epoch: '2' })],
  ['K9 early', 'an agent is failed before L', (h) => Object.assign(at(h.failures, 0), { silentMs: 1_499.9 })],
  [
    'K9 early',
    'an agent is failed too soon after it was killed',
    (h) => Object.assign(at(h.failures, 0), { at: 3_600 }),
  ],
  [
    'K9 late',
    'an agent is failed long after L + 1 s',
    (h) => Object.assign(at(h.failures, 0), { silentMs: 2_900 }),
  ],
  [
    'K9 late',
    'an agent is failed long after it was killed',
    (h) => Object.assign(at(h.failures, 0), { at: 5_900 }),
  ],
  ['K9 late', 'a killed agent is never failed', (h) => h.failures.splice(0)],
  [
    'K9 false',
    'an agent is failed to which nothing was done',
    (h) => h.failures.push({ at: 4_600, agentId: 'b', silentMs: 1_600, epoch: '2' }),
  ],
  [
    'K9 false',
    'an agent is failed by a stop of the coordinator',
    (h) => Object.assign(at(h.faults, 0), { target: 'coordinator' }),
  ],
  [
    'K9 false',
    'an agent is failed for a pause that is too short for it',
    (h) => Object.assign(at(h.faults, 0), { mayNotFail: true }),
  ],
  ['K10', 'a run gives a sign of life after the next start', overlap],
  ['K10', 'a run is seen alive by the next one', (h) => at(h.lines, 4).beside.push(1n)],
  ['K11', 'an accepted task is gone', (h) => h.tasks.splice(2, 1)],
  [
    'K11',
    'an accepted task is there twice',
    (h) => h.tasks.push({ ...task(h, 2), taskId: 't4', history: [], state: 'queued' }),
  ],
  ['K17', 'a task has not ended', (h) => Object.assign(task(h, 2), { state: 'running' })],
  ['I4', 'an agent runs more than its slots', (h) => Object.assign(h, { slots: 0 })],
  ['remains', 'a command outlives its killed agent', (h) => h.lines.push(sign(at(h.lines, 0), 4_700))],
];

describe('a broken promise is seen', () => {
  test.each(BROKEN)('%s: %s', (rule, _, change) => {
    const history = good();
    change(history);
    expect(rulesOf(history)).toContain(rule);
  });

  test.each(['single_run', 'hold'] as const)('two copies at once under %s', (policy) => {
    const history = good(policy);
    overlap(history);
    expect(rulesOf(history)).toEqual(['K10']);
  });
});
