import { describe, expect, test } from '@jest/globals';
import { live } from './chaos.js';

describe('whatever anybody does to runs', () => {
  for (let seed = 1; seed <= 20; seed++) {
    test(`what holds of them holds, and they end (seed ${seed})`, async () => {
      expect(await live(seed, 80)).toEqual([]);
    });
  }
});
