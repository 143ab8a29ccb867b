import { describe, expect, test } from '@jest/globals';
import { Gatherer } from '../../src/agent/runner/gather.js';
import { HandClock } from './hand-clock.js';

/** A gatherer, and what it has told. */
function scene() {
  const clock = new HandClock();
  const told: string[] = [];
  const gatherer = new Gatherer(clock, (stream, data) => {
    told.push(`${stream} ${Buffer.from(data).toString()}`);
  });
  return { clock, told, gatherer };
}

describe('output of a run', () => {
  test('goes at once where nothing came before it', () => {
    const { clock, told, gatherer } = scene();
    gatherer.add('stdout', Buffer.from('one'));
    expect(told).toEqual(['stdout one']);
    clock.timer?.();
    gatherer.add('stdout', Buffer.from('two'));
    expect(told).toEqual(['stdout one', 'stdout two']);
  });

  test('that comes close behind other output goes with what follows it, in one message', () => {
    const { clock, told, gatherer } = scene();
    for (const text of ['one', 'two', 'three']) gatherer.add('stdout', Buffer.from(text));
    expect(told).toEqual(['stdout one']);
    clock.timer?.();
    expect(told).toEqual(['stdout one', 'stdout twothree']);
    gatherer.add('stdout', Buffer.from('four'));
    expect(told).toHaveLength(2);
    clock.timer?.();
    expect(told.at(-1)).toBe('stdout four');
  });

  test('keeps the order of its two streams', () => {
    const { told, gatherer } = scene();
    for (const text of ['one', 'two', 'three']) gatherer.add('stdout', Buffer.from(text));
    gatherer.add('stderr', Buffer.from('four'));
    gatherer.add('stdout', Buffer.from('five'));
    gatherer.end();
    expect(told).toEqual(['stdout one', 'stdout twothree', 'stderr four', 'stdout five']);
  });

  test('never waits for more than 64 KiB, and no message of it is larger', () => {
    const { told, gatherer } = scene();
    const piece = Buffer.alloc(20_000, 'x');
    for (let i = 0; i < 10; i++) gatherer.add('stdout', piece);
    const sizes = told.map((text) => text.length - 'stdout '.length);
    expect(sizes).toEqual([20_000, 60_000, 60_000]);
    gatherer.add('stdout', Buffer.alloc(64 * 1024));
    expect(told).toHaveLength(5);
  });

  test('is told before its end, and nothing waits behind it', () => {
    const { clock, told, gatherer } = scene();
    for (const text of ['one', 'two']) gatherer.add('stdout', Buffer.from(text));
    gatherer.end();
    expect(told).toEqual(['stdout one', 'stdout two']);
    expect(clock.timer).toBeNull();
  });
});
