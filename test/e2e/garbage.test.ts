import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const garbage = new URL('../../dist/main/garbage.js', import.meta.url);

/** Fills the heap with what lives for a while, as tasks do, and tells how large the young generation was at most, in MiB. */
const FILL = `
import { getHeapSpaceStatistics } from 'node:v8';
const bytes = () => getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size;
const kept = [];
let most = 0;
for (let turn = 0; turn < 150; turn++) {
  for (let i = 0; i < 20_000; i++) kept[(i * 7_919 + turn) % 60_000] = { i, pair: [i, turn], text: 'x' + i };
  await new Promise((resolve) => setImmediate(resolve));
  most = Math.max(most, bytes());
}
console.log(most / 1024 ** 2);
`;

const mostMib = async (first: string): Promise<number> => {
  const begin = `import * as garbage from ${JSON.stringify(garbage.href)};\n${first};\n`;
  const args = ['--input-type=module', '--eval', begin + FILL];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  return Number(stdout);
};

test('the young generation of a coordinator stops growing at 16 MiB, of which V8 has two', async () => {
  const most = await mostMib('garbage.boundYoungGeneration()');
  expect(most).toBeGreaterThan(16);
  expect(most).toBeLessThan(40);
});

test('the young generation of an agent stays smaller than half of that', async () => {
  expect(await mostMib('garbage.keepYoungGenerationSmall()')).toBeLessThan(16);
});
