import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const SCRIPTS = resolve(import.meta.dirname, '../../scripts');
const COMMANDS: readonly (readonly [string, string])[] = [
  ['sim', 'sim/main.mjs'],
  ['mutants', 'mutants/main.mjs'],
  ['model', 'mutants/model.mjs'],
  ['failpoints', 'failpoints/main.mjs'],
  ['chaos', 'chaos/main.mjs'],
  ['fuzz', 'fuzz/main.mjs'],
  ['bench', 'bench/main.mjs'],
];

interface Ended {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

const run = (file: string, ...args: readonly string[]): Promise<Ended> =>
  new Promise((resolveRun) => {
    execFile(process.execPath, [resolve(SCRIPTS, file), ...args], (error, stdout, stderr) =>
      resolveRun({ code: error?.code ?? 0, stdout, stderr }),
    );
  });

describe.each(COMMANDS)('npm run %s', (name, file) => {
  test('tells its flags when it is asked to, and begins nothing', async () => {
    const { code, stdout, stderr } = await run(file, '--help');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`^usage: npm run ${name} -- \\[FLAG…\\]`));
    expect(stdout).toMatch(/\n {2}--help +prints this\n$/);
  });

  test('refuses a flag that nobody knows with one line', async () => {
    expect(await run(file, '--sedes', '3')).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: Unknown option '--sedes'; see npm run ${name} -- --help\n`,
    });
  });
});

test.each([
  [['sim', '--seeds', 'many'], "--seeds must be a whole number of at least 1, not 'many'"],
  [['sim', '--seeds'], "Option '--seeds <value>' argument missing"],
  [['sim', '--profile', 'weekly'], "--profile is one of pr, nightly, not 'weekly'"],
  [['sim', '7'], "Unexpected argument '7'"],
  [['failpoints', '--cell', 'FP9'], 'no such cell, or one that cannot exist: FP9'],
])('npm run %j says what is wrong', async ([name = '', ...args], because) => {
  const { code, stderr } = await run(`${name}/main.mjs`, ...args);
  expect([code, stderr]).toEqual([2, `error: ${because}; see npm run ${name} -- --help\n`]);
});
