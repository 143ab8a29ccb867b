import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect } from '@jest/globals';

export const SCENARIOS = resolve('test/scenarios');

/** Set to 1, transcripts are written instead of compared; what has changed is then read in the diff. */
const UPDATE = 'UPDATE_GOLDEN';

/** Compares what a story told with what it told when somebody last read it. */
export function expectGolden(name: string, text: string): void {
  const path = resolve(SCENARIOS, 'golden', `${name}.txt`);
  if (process.env[UPDATE] === '1') {
    mkdirSync(resolve(path, '..'), { recursive: true });
    writeFileSync(path, text);
  }
  if (!existsSync(path))
    throw new Error(`no ${path}: write it with ${UPDATE}=1 npm run test:fast -- test/scenarios`);
  expect(text).toBe(readFileSync(path, 'utf8'));
}
