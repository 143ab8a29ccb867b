import { describe, expect, test } from '@jest/globals';
import type { Beat, Hello, Report, Up } from '../../src/agent/core/messages.js';
import { ackOf, refusedOf, requestsOf, welcomeOf } from '../../src/agent/translate.js';
import type { Epoch, TaskId, Token } from '../../src/kit/ids.js';
import type { Entry } from '../../src/kit/inventory.js';
import {
  ConnectRequest,
  ConnectResponse,
  type HeartbeatAck,
  type Refused,
  type Welcome,
} from '../../src/wire/gen/holdfast/v1/agent_service.js';
import { LIMITS } from '../../src/wire/limits.js';
import { messageType } from '../wire/support/proto.js';
import { IDENTITY, reportOf, token } from './core/scene.js';

function sent(up: Up): ConnectRequest[] {
  const requests = requestsOf(up, { loopLagMs: 0, logBytesWaiting: 0, unknownArms: 0 });
  for (const request of requests) {
    expect(ConnectRequest.encode(request).finish().length).toBeLessThanOrEqual(LIMITS.messageBytes);
  }
  return requests;
}

function helloOf(inventory: readonly Entry[], reports: readonly Report[]): Up {
  const hello: Hello = {
    identity: IDENTITY,
    streamNo: 1n,
    highestToken: 0n as Token,
    highestEpoch: 0n as Epoch,
    inventory,
    reports,
  };
  return { kind: 'hello', hello };
}

const runs = (count: number): Entry[] =>
  Array.from({ length: count }, (_, i) => ({
    phase: 'running',
    token: token(i + 1),
    taskId: `task-${i}-${'x'.repeat(100)}` as TaskId,
  }));

/** What a coordinator puts together from a message and its chunks. */
function assembled(requests: readonly ConnectRequest[]): {
  entries: number;
  reports: number;
  isWhole: boolean;
} {
  let entries = 0;
  let reports = 0;
  let more = false;
  for (const { message } of requests) {
    if (message?.$case === 'hello') {
      entries += message.value.inventory.length;
      reports += message.value.reports.length;
      more = message.value.moreChunks;
    } else if (message?.$case === 'heartbeat') {
      entries += message.value.fullInventory?.entries.length ?? 0;
      more = message.value.fullInventory?.moreChunks ?? false;
    } else if (message?.$case === 'inventoryChunk') {
      if (!more) throw new Error('a chunk that nothing announced');
      entries += message.value.entries.length;
      reports += message.value.reports.length;
      more = !message.value.last;
    }
  }
  return { entries, reports, isWhole: !more };
}

describe('what the agent says fits into messages', () => {
  test.each([
    [0, 0],
    [1, 0],
    [4_096, 0],
    [4_097, 3],
    [20_000, 0],
  ])('a Hello with %i entries and %i reports', (entryCount, reportCount) => {
    const reports = Array.from({ length: reportCount }, (_, i) => reportOf(token(i + 1)));
    const requests = sent(helloOf(runs(entryCount), reports));
    expect(assembled(requests)).toEqual({ entries: entryCount, reports: reportCount, isWhole: true });
  });

  test('a Hello with the results of many runs', () => {
    const result = new Uint8Array(LIMITS.resultBytes);
    const reports = Array.from({ length: 9 }, (_, i) =>
      reportOf(token(i + 1), { result, message: 'é'.repeat(4_096) }),
    );
    const requests = sent(helloOf([], reports));
    expect(assembled(requests)).toEqual({ entries: 0, reports: 9, isWhole: true });
  });

  test('a full inventory in a heartbeat', () => {
    const beat: Beat = {
      ...{ seq: 2, applied: 1, reports: [], inventoryChanges: [], inventoryCount: 9_000, inventoryHash: 0 },
      ...{ startRequests: [], freeSlots: 0, rttMs: 1.5, fullInventory: runs(9_000) },
      triggerEvents: [],
    };
    const requests = sent({ kind: 'heartbeat', beat });
    expect(requests).toHaveLength(3);
    expect(assembled(requests)).toEqual({ entries: 9_000, reports: 0, isWhole: true });
  });

  test('words for people are cut, results are not', () => {
    const up = helloOf([], [reportOf(token(1), { message: 'm'.repeat(9_000), result: Buffer.from('r') })]);
    const [first] = sent(up);
    const report = first?.message?.$case === 'hello' ? first.message.value.reports[0] : undefined;
    expect(report?.message).toHaveLength(LIMITS.messageLength);
    expect(report?.result.toString()).toBe('r');
  });
});

/** A message down as another codec writes it: it may say what ours has no words for. */
function received<T>(arm: 'welcome' | 'ack' | 'refused', value: object): T {
  const bytes = messageType('ConnectResponse').serialize({ [arm]: value });
  return ConnectResponse.decode(bytes).message?.value as T;
}

describe('what the agent hears, a later version of the coordinator included', () => {
  test('an unknown verdict keeps a run and forbids a start, an unknown stop is SUPERSEDED', () => {
    const verdicts = [
      { token: 5, kind: 99 },
      { nonce: 6, kind: 99 },
      { token: 7, kind: 2, reason: 99 },
    ];
    const welcome = welcomeOf(received<Welcome>('welcome', { epoch: 3, verdicts }));
    expect(welcome.verdicts).toEqual([
      { kind: 'keep' },
      { kind: 'never_start', token: 0n, nonce: 6n },
      { kind: 'stop', token: 7n, reason: 'superseded' },
    ]);
    expect(welcome.directive).toEqual({ cordoned: false, draining: false, drainTimeoutMs: null });
  });

  test('an unknown policy is treated as the strictest, unknown work as none', () => {
    const permits = [{ nonce: 1, token: 2, epoch: 3, taskId: 't', partitionPolicy: 99 }];
    const value = { number: 2, permits };
    const [permit] = ackOf([received<HeartbeatAck>('ack', value)]).permits;
    expect(permit).toMatchObject({ partitionPolicy: 'single_run', work: null, killGraceMs: 10_000 });
    expect(permit?.executionTimeoutMs).toBeNull();
  });

  test('the parts of a large acknowledgement are one', () => {
    const part = (value: object) => received<HeartbeatAck>('ack', value);
    const permit = (of: number) => ({ nonce: 1, token: of, epoch: 3, taskId: 't' });
    const first = part({
      number: 4,
      received: 3,
      offers: [{ taskId: 'o' }],
      permits: [permit(100)],
      more: true,
    });
    const second = part({ number: 4, received: 3, permits: [permit(101)] });
    const ack = ackOf([first, second]);
    expect(ack).toMatchObject({ number: 4, received: 3, offers: [{ taskId: 'o' }], directive: null });
    expect(ack.permits.map((one) => one.token)).toEqual([100n, 101n]);
  });

  test('a coordinator may cut an acknowledgement wherever it likes', () => {
    const whole = {
      ...{ stops: [{ token: 1 }, { token: 2 }], cancellations: [{ token: 3, reason: 2 }, { token: 4 }] },
      ...{ acknowledgements: [{ token: 5, disposition: 1 }, { token: 6 }], voidTokens: [7, 8] },
      ...{ permits: [{ nonce: 1, token: 9 }, { nonce: 2 }], refusals: [{ nonce: 3 }, { nonce: 4 }] },
      ...{ offers: [{ taskId: 'a' }, { taskId: 'b' }], withdrawals: ['c', 'd'], triggerStops: ['e', 'f'] },
      ...{ triggerStarts: [{ triggerId: 'g' }, { triggerId: 'h' }] },
      triggerAcks: [
        { triggerId: 'i', eventId: '1', taken: true },
        { triggerId: 'j', eventId: '2' },
      ],
      ...{ directive: { cordoned: true }, sendFullInventory: true },
    };
    const numbers = { number: 4, received: 3 };
    const halves = [0, 1].map((half) => {
      const cut = Object.entries(whole).map(([name, value]): readonly [string, unknown] => [
        name,
        Array.isArray(value) ? (value as unknown[]).slice(half, half + 1) : half === 1 ? value : undefined,
      ]);
      return received<HeartbeatAck>('ack', { ...numbers, ...Object.fromEntries(cut), more: half === 0 });
    });
    expect(ackOf(halves)).toEqual(ackOf([received<HeartbeatAck>('ack', { ...numbers, ...whole })]));
  });

  test('an unknown disposition settles a report, an unknown refusal of a Hello means: not now', () => {
    const acknowledgements = [{ token: 5, disposition: 99 }];
    const value = {
      reason: 99,
      message: 'm',
      delay: { seconds: 1, nanos: 500_000_000 },
      acknowledgements,
    };
    expect(refusedOf(received<Refused>('refused', value))).toEqual({
      reason: 'unavailable',
      message: 'm',
      delayMs: 1_500,
      acknowledgements: [{ token: 5n, disposition: 'recorded' }],
    });
  });
});

test('a heartbeat tells how much output waits to be acknowledged', () => {
  const beat: Beat = {
    ...{ seq: 2, applied: 1, reports: [], inventoryChanges: [], inventoryCount: 0, inventoryHash: 0 },
    ...{ startRequests: [], freeSlots: 1, rttMs: 3, fullInventory: null, triggerEvents: [] },
  };
  const condition = { loopLagMs: 0, logBytesWaiting: 4_096, unknownArms: 0 };
  const [{ message } = {}] = requestsOf({ kind: 'heartbeat', beat }, condition);
  expect(message?.$case === 'heartbeat' && message.value.health?.logBytesWaiting).toBe(4_096n);
});
