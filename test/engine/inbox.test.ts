import { describe, expect, test } from '@jest/globals';
import type { Input } from '../../src/core/inputs.js';
import { batchWeight, Inbox } from '../../src/engine/inbox.js';
import type { AgentId, StreamId } from '../../src/kit/ids.js';

const goodbye = (n: number): Input => ({
  kind: 'goodbye',
  streamId: n as StreamId,
  endsSession: false,
  reason: '',
});
const call = (callId: number): Input => ({ kind: 'cordon', callId, agentId: 'a' as AgentId });
const names = (inputs: readonly Input[]) =>
  inputs.map((input) => ('callId' in input ? `call ${input.callId}` : input.kind));

function holding(...inputs: Input[]): Inbox {
  const inbox = new Inbox(100);
  for (const input of inputs) inbox.put(input);
  return inbox;
}

describe('an inbox', () => {
  test('hands out what agents say before any number of calls that came earlier', () => {
    const inbox = holding(...Array.from({ length: 50 }, (_, i) => call(i)), goodbye(1));
    expect(names(inbox.take(4))).toEqual(['goodbye', 'call 0', 'call 1', 'call 2']);
  });

  test('leaves half of a batch to calls, however much agents say', () => {
    const inbox = holding(...Array.from({ length: 50 }, (_, i) => goodbye(i)), call(1), call(2), call(3));
    expect(names(inbox.take(4))).toEqual(['goodbye', 'goodbye', 'call 1', 'call 2']);
    expect(names(inbox.take(4))).toEqual(['goodbye', 'goodbye', 'call 3']);
    expect(inbox.take(4)).toHaveLength(4);
  });

  test('keeps the order of calls, and the order of what streams say', () => {
    const inbox = holding(call(1), goodbye(1), call(2), goodbye(2));
    expect(inbox.take(100)).toEqual([goodbye(1), goodbye(2), call(1), call(2)]);
    expect(inbox.length).toBe(0);
  });

  test('holds one tick at a time, and takes another once that is out', () => {
    const inbox = holding({ kind: 'tick' }, { kind: 'tick' });
    expect(names(inbox.take(1))).toEqual(['tick']);
    inbox.put({ kind: 'tick' });
    expect(inbox.length).toBe(1);
  });

  test('takes no more calls than its limit, and inputs of streams beyond it', () => {
    const inbox = holding(...Array.from({ length: 100 }, (_, i) => call(i)));
    expect(inbox.acceptsCalls).toBe(false);
    inbox.take(1);
    inbox.put(goodbye(1));
    expect(inbox.acceptsCalls).toBe(true);
  });
});

describe('a batch', () => {
  test('grows with what the last commit took, between two bounds', () => {
    expect([0, 5, 20, 50, 100, 200, 5_000].map(batchWeight)).toEqual([
      256, 256, 256, 600, 1_200, 2_048, 2_048,
    ]);
  });
});
