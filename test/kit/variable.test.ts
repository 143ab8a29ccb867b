import { expect, test } from '@jest/globals';
import { variableOf } from '../../src/kit/variable.js';

test('a flag has one environment variable', () => {
  expect(variableOf('queued-timeout')).toBe('HOLDFAST_QUEUED_TIMEOUT');
});
