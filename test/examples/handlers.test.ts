import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { Site } from '../e2e/support/site.js';
import { outputOf } from './program.js';

const folder = resolve(import.meta.dirname, '../../examples');

test('the example with two typed handlers prints what its README shows', async () => {
  const readme = readFileSync(resolve(folder, 'handlers/README.md'), 'utf8');
  const [, shown] = /It prints:\n\n```\n(.*?)```/s.exec(readme) ?? [];
  expect(await outputOf(resolve(folder, 'handlers/main.mjs'))).toEqual({ said: shown, code: 0, errors: '' });
}, 120_000);

test('the first example prints the states and the output of its command', async () => {
  const site = await Site.start();
  try {
    await site.connected('w');
    const { said, code } = await outputOf(resolve(folder, 'hello/hello.mjs'), {
      HOLDFAST_COORDINATOR: site.address,
    });
    expect(code).toBe(0);
    expect(said).toMatch(/^(queued\n)?(running\n)?success\nhello from w\n$/);
  } finally {
    await site.close();
  }
}, 120_000);
