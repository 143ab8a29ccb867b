import { expect, test } from '@jest/globals';
import { Acks, NOTHING_MORE } from '../../src/core/acks.js';
import type { StreamId, TaskId } from '../../src/kit/ids.js';

const stream = (n: number) => n as StreamId;

test('a heartbeat with nothing to answer costs no acknowledgement of its own', () => {
  const acks = new Acks();
  acks.acknowledge(stream(1));
  acks.acknowledge(stream(2));
  expect([...acks]).toEqual([
    [stream(1), NOTHING_MORE],
    [stream(2), NOTHING_MORE],
  ]);
  for (const parts of acks.values()) expect(parts).toBe(NOTHING_MORE);
});

test('what is said on a stream is kept apart from what is said on others, acknowledged before or after', () => {
  const acks = new Acks();
  acks.acknowledge(stream(1));
  acks.say(stream(1)).withdrawals.push('t' as TaskId);
  acks.acknowledge(stream(1));
  acks.say(stream(2)).sendFullInventory = true;
  acks.acknowledge(stream(3));
  expect(acks.say(stream(1))).toMatchObject({ withdrawals: ['t'], sendFullInventory: false });
  expect(acks.say(stream(2))).toMatchObject({ withdrawals: [], sendFullInventory: true });
  expect([...acks]).toHaveLength(3);
});

test('what all heartbeats with nothing to answer share cannot be written to', () => {
  expect(() => NOTHING_MORE.withdrawals.push('t' as TaskId)).toThrow(TypeError);
  expect(() => Object.assign(NOTHING_MORE, { sendFullInventory: true })).toThrow(TypeError);
  expect(Object.values(NOTHING_MORE).every((said) => !said || (said as unknown[]).length === 0)).toBe(true);
});
