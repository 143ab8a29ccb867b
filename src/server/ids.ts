import { randomBytes, randomUUID } from 'node:crypto';
import type { TaskId } from '../kit/ids.js';
import type { WallMs } from '../kit/time.js';

const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * Draws task ids: 10 characters of time, 3 that count within a millisecond, 8 at random (40 bits). They sort in the
 * order of submission, also when the wall clock is set back, and cannot be guessed from one another.
 */
export function taskIds(wall: () => WallMs): () => TaskId {
  let lastMs = 0;
  let time = digits(lastMs, 10);
  let count = 0;
  return () => {
    const now = wall() as number;
    if (now > lastMs || ++count >= 32 ** 3) {
      lastMs = Math.max(now, lastMs + 1);
      time = digits(lastMs, 10);
      count = 0;
    }
    return (time + digits(count, 3) + chance(8)) as TaskId;
  };
}

/** The id of this coordinator process. */
export function drawCoordinatorId(): string {
  return `coordinator-${randomUUID().slice(0, 8)}`;
}

function digits(value: number, width: number): string {
  let text = '';
  let rest = value;
  for (let i = 0; i < width; i++) {
    text = (DIGITS[rest % 32] ?? '0') + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** Random bytes are drawn in stock: one call for many ids. */
let stock = Buffer.alloc(0);

function chance(width: number): string {
  if (stock.length < width) stock = randomBytes(4_096);
  let text = '';
  for (const byte of stock.subarray(0, width)) text += DIGITS[byte & 31] ?? '0';
  stock = stock.subarray(width);
  return text;
}
