import { expect, test } from '@jest/globals';
import { CONNECT } from '../../src/wire/connect.js';
import { ConnectRequest, type ConnectResponse } from '../../src/wire/gen/holdfast/v1/agent_service.js';

const goodbye = (reason: string): ConnectRequest => ({
  message: { $case: 'goodbye', value: { endsSession: true, reason } },
});
const logAck = (nextOffset: bigint): ConnectResponse => ({
  message: { $case: 'logAck', value: { token: 1n, nextOffset, closed: false, resend: false } },
});

test('messages written one after the other by one writer have the bytes that each has alone', () => {
  for (const reason of ['short', 'x'.repeat(100_000), '', 'short again']) {
    const bytes = CONNECT.requestSerialize(goodbye(reason));
    expect(bytes.equals(ConnectRequest.encode(goodbye(reason)).finish())).toBe(true);
    expect(CONNECT.requestDeserialize(bytes)).toEqual(goodbye(reason));
  }
  const first = CONNECT.responseSerialize(logAck(5n));
  CONNECT.responseSerialize(logAck(6n));
  expect(CONNECT.responseDeserialize(first)).toEqual(logAck(5n));
});

test('a message that cannot be written leaves nothing behind for the next one', () => {
  expect(() => CONNECT.responseSerialize(logAck(1n << 64n))).toThrow('value provided for field');
  expect(CONNECT.responseDeserialize(CONNECT.responseSerialize(logAck(7n)))).toEqual(logAck(7n));
});
