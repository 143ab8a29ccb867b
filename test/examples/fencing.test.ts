import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { outputOf } from './program.js';

const folder = resolve(import.meta.dirname, '../../examples/fencing');

test('the example of a late writer prints what its README shows: it is refused', async () => {
  const [, shown] =
    /compares\):\n\n```\n(.*?)```/s.exec(readFileSync(resolve(folder, 'README.md'), 'utf8')) ?? [];
  expect(await outputOf(resolve(folder, 'fencing.mjs'))).toEqual({ said: shown, code: 0, errors: '' });
}, 120_000);
