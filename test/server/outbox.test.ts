import { EventEmitter } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { type AgentCall, Outbox } from '../../src/server/outbox.js';
import type { ConnectResponse } from '../../src/wire/gen/holdfast/v1/agent_service.js';
import { LIMITS } from '../../src/wire/limits.js';

/** A call that takes a number of messages, then is full until it is drained. */
class FullCall extends EventEmitter {
  readonly written: string[] = [];
  room = 1;

  write(message: ConnectResponse): boolean {
    this.written.push(wordOf(message));
    this.room--;
    return this.room > 0;
  }

  drain(room: number): void {
    this.room = room;
    this.emit('drain');
  }
}

function say(reason: string): ConnectResponse {
  return { message: { $case: 'reconnect', value: { reason, delay: undefined, addresses: [] } } };
}

function wordOf({ message }: ConnectResponse): string {
  return message?.$case === 'reconnect' ? message.value.reason : '';
}

function open(): { call: FullCall; outbox: Outbox; overflows: () => number } {
  const call = new FullCall();
  let count = 0;
  const outbox = new Outbox(call as unknown as AgentCall, () => void count++);
  return { call, outbox, overflows: () => count };
}

describe('what waits for a slow agent', () => {
  test('goes out in order once there is room, acknowledgements before task output', () => {
    const { call, outbox } = open();
    outbox.push(say('first'), 'bulk');
    outbox.push(say('log 1'), 'bulk');
    outbox.push(say('ack 1'), 'urgent');
    outbox.push(say('log 2'), 'bulk');
    outbox.push(say('ack 2'), 'urgent');
    expect(call.written).toEqual(['first']);
    call.drain(3);
    expect(call.written).toEqual(['first', 'ack 1', 'ack 2', 'log 1']);
    call.drain(3);
    expect(call.written).toEqual(['first', 'ack 1', 'ack 2', 'log 1', 'log 2']);
  });

  test('is bounded in messages: one more, and the agent is too slow, told once', () => {
    const { call, outbox, overflows } = open();
    for (let i = 0; i <= LIMITS.outboxMessages; i++) outbox.push(say(`${i}`), 'urgent');
    expect(overflows()).toBe(0);
    outbox.push(say('one more'), 'urgent');
    outbox.push(say('and another'), 'bulk');
    expect(overflows()).toBe(1);
    call.drain(10);
    expect(call.written).toEqual(['0']);
  });

  test('is bounded in bytes', () => {
    const { outbox, overflows } = open();
    const large = 'x'.repeat(1_024 * 1_024 - 16);
    for (let i = 0; i <= 16; i++) outbox.push(say(large), 'urgent');
    expect(overflows()).toBe(0);
    outbox.push(say(large), 'urgent');
    expect(overflows()).toBe(1);
  });

  test('counts only what still waits', () => {
    const { call, outbox, overflows } = open();
    for (let i = 0; i < 3 * LIMITS.outboxMessages; i++) {
      outbox.push(say(`${i}`), i % 2 === 0 ? 'urgent' : 'bulk');
      call.drain(2);
    }
    expect(overflows()).toBe(0);
    expect(call.written).toHaveLength(3 * LIMITS.outboxMessages);
  });
});
