import { describe, expect, test } from '@jest/globals';
import {
  CHECKER_RULES,
  Checker,
  CLOCK_BOUND,
  DEFERS,
  type HistoryEvent,
  type Settings,
  type Violation,
} from '../../src/testing/checker/index.js';

/** A world whose order of events is known exactly, as the simulator's is. */
const SETTINGS: Settings = {
  heartbeatMs: 5_000,
  leaseMs: 15_000,
  slackMs: 0,
  clockStepMs: 0,
  endsAreSeen: true,
  faultsAreTold: true,
  slotsOf: () => 2,
  queuedTimeoutMs: 60_000,
  queuedTimeoutWaits: false,
  clockError: CLOCK_BOUND,
  poisonLimit: 3,
};

type Recorded = Extract<HistoryEvent, { kind: 'recorded' }>;
type Started = Extract<HistoryEvent, { kind: 'started' }>;

const recorded = (
  at: number,
  event: Recorded['event'],
  token: bigint,
  more: Partial<Recorded> = {},
): HistoryEvent => ({
  ...{ kind: 'recorded', at, event, token, taskId: 't', agentId: 'a', tryNumber: 1, epoch: 1n, reason: '' },
  ...more,
});

const started = (at: number, token: bigint, more: Partial<Started> = {}): HistoryEvent => ({
  ...{ kind: 'started', at, execAt: at, token, taskId: 't', agentId: 'a', tryNumber: 1, epoch: 1n },
  ...{ policy: 'single_run', beside: [], gate: { sinceMs: 100, limitMs: 12_500 } },
  ...more,
});

const ended = (at: number, token: bigint, code: number | null = 0): HistoryEvent => ({
  ...{ kind: 'ended', at, token, code },
});

const heard = (at: number, epoch = 1n, by: 'beat' | 'hello' | 'restart' = 'beat'): HistoryEvent => ({
  ...{ kind: 'heard', at, epoch, by, clockMs: at },
});

const failed = (at: number, epoch = 1n): HistoryEvent => ({
  ...{ kind: 'failed', at, agentId: 'a', epoch, leaseMs: 15_000, clockMs: at },
});

const kill = (at: number, until: number): HistoryEvent => ({
  ...{ kind: 'fault', at, until, fault: 'kill', target: 'a', mustFail: true, spareMs: 0, mayNotFail: false },
});

const commandKilled = (at: number, target = 'a'): HistoryEvent => ({
  ...{
    kind: 'fault',
    at,
    until: at,
    fault: 'command kill',
    target,
    mustFail: false,
    spareMs: 0,
    mayNotFail: true,
  },
});

const listed = (taskId: string, state: 'success' | 'running', settled = true): HistoryEvent => ({
  ...{ kind: 'listed', at: 90_000, taskId, key: `key-${taskId}`, state, reason: '', settled },
});

/** A task that is submitted, permitted, started, ended and recorded, each once. */
const run = (token: bigint, from = 0): HistoryEvent[] => [
  recorded(from, 'submitted', 0n),
  recorded(from + 10, 'permitted', token),
  started(from + 20, token),
  ended(from + 30, token),
  recorded(from + 40, 'success', token),
];

const elsewhere = { taskId: 'u', agentId: 'b', epoch: 2n } as const;
const second = { tryNumber: 2, agentId: 'b', epoch: 2n } as const;

function judge(history: readonly HistoryEvent[], settings: Partial<Settings> = {}): Violation[] {
  const checker = new Checker({ ...SETTINGS, ...settings });
  for (const event of history) checker.take(event);
  return checker.violations;
}

const KEPT: readonly (readonly [string, readonly HistoryEvent[]])[] = [
  [
    'a run that succeeds, with its task there at the end',
    [
      { kind: 'granted', at: 0, agentId: 'a', epoch: 1n },
      { kind: 'accepted', at: 0, key: 'key-t', taskId: 't' },
      ...run(1n),
      { kind: 'permit_told', at: 50, token: 1n },
      { kind: 'acknowledged', at: 60, token: 1n },
      listed('t', 'success'),
      { kind: 'over', at: 90_000 },
    ],
  ],
  [
    'a try that is lost, released, closed as lost, and run again elsewhere',
    [
      ...run(1n).slice(0, 3),
      ended(100, 1n, null),
      recorded(200, 'lost', 1n),
      recorded(300, 'requeued', 1n),
      recorded(400, 'try_lost', 1n),
      recorded(400, 'permitted', 2n, second),
      started(410, 2n, second),
    ],
  ],
  [
    'a try that fails by the signal that somebody gave its command before it said a word',
    [
      recorded(0, 'permitted', 1n),
      commandKilled(10),
      recorded(20, 'try_failed', 1n, { reason: 'signal' }),
      recorded(20, 'permitted', 2n, second),
    ],
  ],
  [
    'a single_run start after its loss and beside another, when its runner stood still after its last look',
    [
      recorded(0, 'permitted', 1n),
      recorded(16_000, 'lost', 1n),
      recorded(17_000, 'requeued', 1n),
      recorded(17_000, 'try_lost', 1n),
      recorded(17_000, 'permitted', 2n, second),
      started(17_100, 2n, second),
      started(20_000, 1n, { execAt: 100, stoodStill: true }),
    ],
  ],
  [
    'a queued timeout that leaves out how long a returned agent had the task, which it never started',
    [
      recorded(0, 'submitted', 0n),
      recorded(7_000, 'permitted', 1n),
      recorded(11_000, 'lost', 1n),
      recorded(11_000, 'requeued', 1n),
      recorded(30_000, 'adopted', 1n),
      recorded(34_000, 'never_started', 1n),
      recorded(75_000, 'queued_timeout', 0n),
    ],
  ],
  [
    'a run of lost commits that is taken back, whatever number its try has now',
    [
      recorded(0, 'permitted', 1n),
      recorded(10, 'try_lost', 1n),
      recorded(10, 'regained', 5n, second),
      started(20, 5n, { ...second, tryNumber: 3 }),
      ended(30, 5n),
      recorded(40, 'success', 5n, second),
    ],
  ],
  [
    'a run whose recorded end was in lost commits, and of which its agent knows nothing any more',
    [
      ...run(1n).slice(0, 4),
      { kind: 'forgotten', at: 35, token: 1n },
      recorded(40, 'never_started', 1n),
      recorded(50, 'permitted', 2n, { agentId: 'b' }),
    ],
  ],
  [
    'a permit that was never started, and the same try again',
    [
      recorded(0, 'permitted', 1n),
      recorded(10, 'never_started', 1n),
      recorded(20, 'permitted', 2n),
      started(30, 2n),
    ],
  ],
  [
    'an agent that is failed one lease after its last heartbeat, for a kill',
    [heard(1_000), kill(2_000, 30_000), failed(16_100)],
  ],
  [
    'an agent that is failed late after an outage of the coordinator',
    [
      kill(900, 40_000),
      heard(1_000),
      { kind: 'disturbed', at: 2_000, until: 30_000, by: 'outage' },
      failed(31_000),
    ],
  ],
  [
    'poison at the third loss, one of which was a timeout that its run did not live to report',
    [
      ...run(1n).slice(0, 3),
      ended(25, 1n, null),
      recorded(30, 'try_failed', 1n, { reason: 'execution_timeout' }),
      recorded(40, 'permitted', 2n, second),
      recorded(50, 'lost_reported', 2n, second),
      recorded(60, 'permitted', 3n, { tryNumber: 3 }),
      recorded(70, 'poison', 3n, { tryNumber: 3 }),
    ],
  ],
  [
    'a task that waits in the queue for its timeout, and fails',
    [recorded(0, 'submitted', 0n), recorded(60_100, 'queued_timeout', 0n)],
  ],
  [
    'a cancel that is final when the lost try of it is released, with its run alive somewhere',
    [
      ...run(1n).slice(0, 3),
      recorded(200, 'lost', 1n),
      recorded(300, 'cancel_requested', 1n),
      recorded(400, 'try_lost', 1n),
      recorded(400, 'cancelled', 1n),
    ],
  ],
  [
    'two runs at once under single_run, on a machine that slept',
    [
      ...run(1n).slice(0, 3),
      recorded(200, 'lost', 1n),
      recorded(300, 'requeued', 1n),
      recorded(400, 'try_lost', 1n),
      recorded(400, 'permitted', 2n, second),
      { kind: 'slept', at: 405, token: 1n },
      started(410, 2n, second),
    ],
  ],
];

/** By the rule that is broken: what is said of it, and the shortest history that breaks it. */
const BROKEN: readonly (readonly [string, string, readonly HistoryEvent[]])[] = [
  ['K1', 'token 1 was permitted again', [...run(1n), recorded(50, 'permitted', 1n)]],
  ['K1', 'try 1 was permitted as token 2', [...run(1n), recorded(50, 'permitted', 2n)]],
  ['I1', 'while token 1 was open', [recorded(0, 'permitted', 1n), recorded(10, 'permitted', 2n, second)]],
  [
    'I1',
    'the lost token 1 was not released',
    [
      recorded(0, 'permitted', 1n),
      recorded(10, 'lost', 1n),
      recorded(20, 'try_lost', 1n),
      recorded(20, 'permitted', 2n, second),
    ],
  ],
  ['K2', 'token 1 was started twice', [...run(1n).slice(0, 3), started(25, 1n)]],
  ['K3', 'without a permit', [started(10, 1n)]],
  ['K3', 'it was permitted to a, try 1', [recorded(0, 'permitted', 1n), started(10, 1n, { agentId: 'b' })]],
  ['K3', 'it was permitted in session 1', [recorded(0, 'permitted', 1n), started(10, 1n, { epoch: 2n })]],
  ['K3', 'sent before it was committed', [{ kind: 'permit_told', at: 0, token: 1n }]],
  [
    'K4',
    'started 10 ms after lost',
    [recorded(0, 'permitted', 1n), recorded(10, 'lost', 1n), started(20, 1n)],
  ],
  [
    'I1',
    'token 5 was permitted while token 1 was open',
    [recorded(0, 'permitted', 1n), recorded(10, 'regained', 5n, second)],
  ],
  ['K4', 'recorded as never started', [...run(1n).slice(0, 3), recorded(25, 'never_started', 1n)]],
  ['K5', 'has the outcomes success and failed', [...run(1n), recorded(50, 'failed', 1n)]],
  ['K5', 'it ended as success, and again as cancelled', [...run(1n), recorded(50, 'cancelled', 0n)]],
  [
    'K5',
    'try 1 has no outcome, and try 2 begins',
    [recorded(0, 'permitted', 1n), recorded(10, 'permitted', 2n, second)],
  ],
  ['K5', "the run's own last word: none", [...run(1n).slice(0, 3), recorded(40, 'success', 1n)]],
  ['K5', 'the run ended with 0', [...run(1n).slice(0, 4), recorded(40, 'try_failed', 1n)]],
  ['K5', 'skipped was accepted', [...run(1n).slice(0, 3), ended(30, 1n, 1), recorded(40, 'skipped', 1n)]],
  ['K5', 'taken to wait for an event', [...run(1n).slice(0, 4), recorded(40, 'deferred', 1n)]],
  [
    'K5',
    'the run ended with 75',
    [...run(1n).slice(0, 3), ended(30, 1n, DEFERS), recorded(40, 'failed', 1n)],
  ],
  [
    'P15',
    'whose run is alive on a',
    [...run(1n).slice(0, 3), recorded(40, 'cancelled', 1n, { reason: 'cancelled' })],
  ],
  [
    'P15',
    'lost_reported was recorded for token 1',
    [...run(1n).slice(0, 3), recorded(40, 'lost', 1n), recorded(50, 'lost_reported', 1n)],
  ],
  ['K5', 'poison after 1 lost tries', [recorded(0, 'permitted', 1n), recorded(10, 'poison', 1n)]],
  ['K5', 'is not recorded', [recorded(0, 'permitted', 1n), { kind: 'acknowledged', at: 10, token: 1n }]],
  [
    'K5',
    'shown as success and later as queued',
    [
      ...run(1n),
      { kind: 'shown', at: 50, taskId: 't', state: 'success', token: 1n },
      { kind: 'shown', at: 60, taskId: 't', state: 'queued', token: 1n },
    ],
  ],
  ['K5', 'no event of its history ended it', [listed('t', 'success')]],
  [
    'K6',
    'the newest was 2',
    [
      ...run(1n).slice(0, 4),
      recorded(35, 'lost', 1n),
      recorded(36, 'requeued', 1n),
      recorded(37, 'permitted', 2n, second),
      recorded(40, 'success', 1n),
    ],
  ],
  ['K7', 'drawn after 5', [recorded(0, 'permitted', 5n), recorded(10, 'permitted', 4n)]],
  [
    'K7',
    'drawn after the greater token 5',
    [recorded(0, 'permitted', 5n), recorded(10, 'permitted', 4n, { taskId: 'other' })],
  ],
  [
    'K7',
    'granted epoch 3 after 3',
    [
      { kind: 'granted', at: 0, agentId: 'a', epoch: 3n },
      { kind: 'granted', at: 10, agentId: 'b', epoch: 3n },
    ],
  ],
  [
    'K8',
    'its gate closes after 12500 ms',
    [recorded(0, 'permitted', 1n), started(10, 1n, { gate: { sinceMs: 12_500, limitMs: 12_500 } })],
  ],
  ['K9 early', 'failed 14900 ms after its last heartbeat', [heard(100), kill(50, 15_000), failed(15_000)]],
  ['K9 early', 'failed 9000 ms after kill', [kill(6_000, 15_000), failed(15_000)]],
  ['K9 late', 'failed only 16100 ms after its last heartbeat', [heard(0), kill(10, 16_100), failed(16_100)]],
  ['K9 late', 'never failed after kill', [kill(0, 1_000), { kind: 'over', at: 60_000 }]],
  ['K9 false', 'nothing was done to it', [heard(0), failed(15_100)]],
  [
    'K10',
    'while token 1 was alive on a (single_run)',
    [
      ...run(1n).slice(0, 3),
      recorded(200, 'lost', 1n),
      recorded(300, 'requeued', 1n),
      recorded(400, 'try_lost', 1n),
      recorded(400, 'permitted', 2n, second),
      started(410, 2n, second),
    ],
  ],
  [
    'I4',
    'a runs 3 tasks with 2 slots',
    [1n, 2n, 3n].flatMap((token) => [
      recorded(Number(token), 'permitted', token, { taskId: `t${token}` }),
      started(Number(token), token, { taskId: `t${token}` }),
    ]),
  ],
  [
    'key',
    '2 runs of concurrency key k are alive; its limit is 1',
    [1n, 2n].flatMap((token) => [
      recorded(Number(token), 'permitted', token, { taskId: `t${token}` }),
      started(Number(token), token, { taskId: `t${token}`, key: { name: 'k', limit: 3 - Number(token) } }),
    ]),
  ],
  [
    'K11',
    'there are 0 tasks with that key',
    [
      { kind: 'accepted', at: 0, key: 'key-t', taskId: 't' },
      { kind: 'over', at: 10 },
    ],
  ],
  [
    'K12',
    'failed from the queue after 50000 ms',
    [recorded(0, 'submitted', 0n), recorded(50_000, 'queued_timeout', 0n)],
  ],
  [
    'K5',
    'try_failed (signal) was accepted for token 1; the run ended with no word',
    [
      recorded(0, 'permitted', 1n),
      commandKilled(10, 'b'),
      recorded(20, 'try_failed', 1n, { reason: 'signal' }),
    ],
  ],
  [
    'K12',
    'failed from the queue after 70000 ms',
    [recorded(0, 'submitted', 0n), recorded(70_000, 'queued_timeout', 0n)],
  ],
  [
    'K12',
    'failed from the queue after 55000 ms',
    [
      recorded(0, 'submitted', 0n),
      recorded(5_000, 'permitted', 1n),
      recorded(15_000, 'never_started', 1n),
      recorded(65_000, 'queued_timeout', 0n),
    ],
  ],
  [
    'K12',
    'failed from the queue after 70000 ms',
    [
      recorded(0, 'submitted', 0n),
      recorded(5_000, 'permitted', 1n),
      recorded(15_000, 'never_started', 1n),
      recorded(80_000, 'queued_timeout', 0n),
    ],
  ],
  [
    'K4',
    'token 1 was started 1000 ms after lost',
    [
      recorded(0, 'permitted', 1n),
      recorded(16_000, 'lost', 1n),
      started(20_000, 1n, { execAt: 17_000, stoodStill: true }),
    ],
  ],
  ['K17', 'it is still running', [listed('t', 'running')]],
];

describe('the checker', () => {
  test.each(KEPT)('finds nothing in %s', (_, history) => {
    expect(judge(history)).toEqual([]);
  });

  test.each(BROKEN)('%s: sees that %s', (rule, what, history) => {
    const found = judge(history).filter((violation) => violation.rule === rule);
    expect(found.map((violation) => violation.what).join('\n')).toContain(what);
  });

  test('sees a command that outlives its killed agent, where ends are not always seen', () => {
    const history = [
      ...run(1n).slice(0, 3),
      kill(100, 30_000),
      { kind: 'alive', at: 1_700, token: 1n } as const,
    ];
    const found = judge(history, { endsAreSeen: false });
    expect(found).toMatchObject([{ rule: 'remains', at: 1_700, taskId: 't', agentId: 'a', token: 1n }]);
  });

  test('beyond the bound on clock rates leaves out starts after a loss, and nothing else', () => {
    const late = [recorded(0, 'permitted', 1n), recorded(16_000, 'lost', 1n), started(17_000, 1n)];
    expect(judge(late).map(({ rule }) => rule)).toContain('K4');
    expect(judge(late, { clockError: 0.4 })).toEqual([]);
    const closed = [recorded(0, 'permitted', 1n), recorded(10, 'never_started', 1n), started(20, 1n)];
    expect(judge(closed, { clockError: 0.4 }).map(({ rule }) => rule)).toContain('K4');
  });

  test('keeps two runs apart that bear the same token, drawn twice before lost commits were noticed (P18)', () => {
    const regained = [recorded(30, 'regained', 1n), started(30, 1n)];
    const others = [recorded(0, 'permitted', 1n, elsewhere), started(20, 1n, elsewhere)];
    const end: HistoryEvent = { kind: 'ended', at: 40, token: 1n, agentId: 'b', code: 0 };
    const next = { ...elsewhere, taskId: 'v' };
    const history = [...others, ...regained, end, recorded(50, 'permitted', 2n, next), started(60, 2n, next)];
    const crowded = judge(history, { slotsOf: () => 1 }).filter(({ rule }) => rule === 'I4');
    expect(crowded).toEqual([]);
  });

  const deferred = (at: number, token: bigint, tryNumber: number) =>
    recorded(at, 'deferred', token, { tryNumber });
  test.each([
    ['goes on after its event', 2],
    ['was decided anew', 3],
  ])('counts no missing try of a regained run that has deferred and %s (P18)', (_, tryNumber) => {
    const regained = [recorded(0, 'regained', 1n, { tryNumber: 2 }), started(0, 1n, { tryNumber: 2 })];
    const history = [...regained, ended(5, 1n, DEFERS), deferred(10, 1n, 2)];
    expect(judge([...history, recorded(20, 'permitted', 2n, { tryNumber })])).toEqual([]);
    const unknown = recorded(20, 'permitted', 2n, { tryNumber: tryNumber + 2 });
    expect(judge([...history, unknown]).map(({ rule }) => rule)).toContain('K5');
  });

  test('lets an instance that was cleared fail in a wait before its next try', () => {
    const before = [recorded(0, 'permitted', 1n), started(0, 1n), ended(5, 1n, DEFERS), deferred(10, 1n, 1)];
    const failed = (at: number) =>
      recorded(at, 'failed', 0n, { tryNumber: 1, agentId: '', reason: 'deferral_timeout' });
    const cleared = recorded(30, 'cleared', 0n, { tryNumber: 1, agentId: '' });
    expect(judge([...before, failed(20), cleared, failed(40)])).toEqual([]);
    expect(judge([...before, failed(20), failed(40)]).map(({ rule }) => rule)).toContain('K5');
  });

  test('has a history that breaks each of its rules', () => {
    const shown = new Set([...BROKEN.map(([rule]) => rule), 'remains']);
    expect(CHECKER_RULES.map(({ name }) => name).filter((name) => !shown.has(name))).toEqual([]);
  });

  test('says whom a violation concerns, also where the event names a token only', () => {
    const history: HistoryEvent[] = [
      recorded(0, 'permitted', 1n),
      { kind: 'acknowledged', at: 10, token: 1n },
    ];
    expect(judge(history)).toMatchObject([{ rule: 'K5', taskId: 't', agentId: 'a', token: 1n, at: 10 }]);
  });
});
