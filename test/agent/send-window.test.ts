import { describe, expect, test } from '@jest/globals';
import { SendWindow } from '../../src/agent/send-window.js';

const KIB = 1024;

/** Fills the window with pieces of 16 KiB, and takes acknowledgements after `tookMs` for them; returns what fitted. */
function turn(window: SendWindow, tookMs: number): number {
  let sent = 0;
  for (; window.open; sent += 16 * KIB) window.sent(16 * KIB);
  for (let at = 0; at < sent; at += 16 * KIB) window.acknowledged(16 * KIB, tookMs);
  return sent;
}

describe('how much output is under way', () => {
  test('grows on a fast link, and shrinks as soon as it queues there', () => {
    const window = new SendWindow(1024 * KIB);
    for (let i = 0; i < 5; i++) turn(window, 2);
    expect(turn(window, 20)).toBe(1024 * KIB);
    for (let i = 0; i < 5; i++) turn(window, 40);
    expect(turn(window, 40)).toBe(16 * KIB);
  });

  test('grows on a link that is long and not slow', () => {
    const window = new SendWindow(1024 * KIB);
    for (let i = 0; i < 5; i++) turn(window, 150);
    expect(turn(window, 150)).toBe(1024 * KIB);
  });

  test('is little where every acknowledgement takes long, and begins anew on a new stream', () => {
    const window = new SendWindow(1024 * KIB);
    for (let i = 0; i < 5; i++) turn(window, 500);
    expect(turn(window, 500)).toBe(16 * KIB);
    window.reset();
    expect(turn(window, 2)).toBe(64 * KIB);
  });
});
