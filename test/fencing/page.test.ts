import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { folder } from './support/examples.js';

const page = readFileSync(new URL('../../docs/how-to/fencing.md', import.meta.url), 'utf8');
const blocks = [
  ...page.matchAll(/\]\(\.\.\/\.\.\/examples\/fencing\/([a-z.-]+)\)[^\n]*\n\n```\w+\n(.*?)```/gs),
];

test('every piece of code of the how-to is the code that its tests run', () => {
  expect(blocks.length).toBe((page.match(/^```(?:js|sh)$/gm) ?? []).length);
  for (const [, name = '', code = ''] of blocks) {
    const source = readFileSync(join(folder, name), 'utf8');
    expect({ name, found: code.split('\n\n…\n\n').every((part) => source.includes(part)), code }).toEqual({
      name,
      found: true,
      code,
    });
  }
});

test('the how-to shows every pattern of the example', () => {
  const shown = new Set(blocks.map(([, name]) => name));
  const patterns = readdirSync(folder).filter((name) => /^(postgres|objects|http-|write-file)/.test(name));
  expect(patterns.filter((name) => !shown.has(name))).toEqual([]);
});
