import { expect, test } from '@jest/globals';
import { InvariantError, invariant } from '../../src/kit/invariant.js';

test('a broken promise of our own throws, and says which', () => {
  expect(() => invariant(false, 'two tokens open')).toThrow(new InvariantError('two tokens open'));
  expect(() => invariant(true, 'fine')).not.toThrow();
});
