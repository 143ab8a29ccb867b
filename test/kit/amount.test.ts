import { expect, test } from '@jest/globals';
import { formatBytes, parseBytes, parseCpu } from '../../src/kit/amount.js';

test('bytes are read with their unit, and written with the largest that fits', () => {
  for (const [text, bytes, written] of [
    ['512MiB', 536_870_912, '512 MiB'],
    ['1.5 GiB', 1_610_612_736, '1536 MiB'],
    ['2TiB', 2_199_023_255_552, '2 TiB'],
    ['1KiB', 1_024, '1 KiB'],
  ] as const) {
    expect(parseBytes(text)).toBe(bytes);
    expect(formatBytes(bytes)).toBe(written);
  }
  expect(formatBytes(1_000)).toBe('1000 bytes');
  for (const wrong of ['512', '512MB', '512Mi', '-1MiB', '', 'MiB', '9999999TiB'])
    expect(parseBytes(wrong)).toBeUndefined();
});

test('CPUs are read in thousandths or whole', () => {
  expect(['500m', '2', '0.25', '1.5'].map(parseCpu)).toEqual([500, 2_000, 250, 1_500]);
  for (const wrong of ['', 'm', '0.0005', '1.5m', '-1', '2 CPUs']) expect(parseCpu(wrong)).toBeUndefined();
});
