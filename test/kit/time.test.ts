import { expect, test } from '@jest/globals';
import { between, earliest, later, type MonoMs } from '../../src/kit/time.js';

const at = (ms: number) => ms as MonoMs;

test('instants of one clock are shifted, compared and measured', () => {
  expect(later(at(1_000), 500)).toBe(1_500);
  expect(later(at(1_000), -500)).toBe(500);
  expect(between(at(1_000), at(400))).toBe(-600);
});

test('the earlier of two instants is found, either of which may be absent', () => {
  expect(earliest(at(2), at(1))).toBe(1);
  expect(earliest(null, at(1))).toBe(1);
  expect(earliest(at(2), null)).toBe(2);
  expect(earliest<MonoMs>(null, null)).toBeNull();
});
