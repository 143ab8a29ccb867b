import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { holdfast } from './support/program.js';

const FIXTURES = resolve(import.meta.dirname, '../dag/fixtures');
const SDK = resolve(import.meta.dirname, '../../dist/agent/index.js');
const folder = mkdtempSync(join(tmpdir(), 'holdfast-dag-cli-'));

const DAG = `dag_id: sums
schedule: "@daily"
params: {numbers: [1, 2, 3], city: Oslo}
tasks:
  first:
    command: 'echo "$CITY {{ ds }}"; echo "[10]" > $HOLDFAST_RESULT_FILE'
    env: {CITY: "{{ params.city }}"}
  each:
    needs: first
    expand: "{{ params.numbers }}"
    command: [/bin/sh, -c, 'echo $0 > $HOLDFAST_RESULT_FILE', "{{ item }}"]
  total:
    needs: each
    handler: sum
    input: {values: "{{ results.each }}"}
  flaky:
    retries: 1
    command: [/bin/sh, -c, 'exit $((2 - HOLDFAST_TRY_NUMBER))']
  slow:
    execution_timeout: 100ms
    command: [sleep, "60"]
  cleanup: {needs: [slow, total, flaky], trigger_rule: all_done}
`;
const HANDLERS = `import { defineHandlers } from ${JSON.stringify(SDK)};
export default defineHandlers({ sum: ({ values }) => values.reduce((a, b) => a + b, 0) });`;

beforeAll(() => {
  writeFileSync(join(folder, 'sums.dag.yaml'), DAG);
  writeFileSync(join(folder, 'bad.dag.yaml'), 'dag_id: bad\ntasks: {t: {retires: 1}}\n');
  writeFileSync(join(folder, 'handlers.mjs'), HANDLERS);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('holdfast dag validate', () => {
  test('lists the DAGs of files and folders', async () => {
    const { code, stdout } = await holdfast(['dag', 'validate', join(FIXTURES, 'good')]);
    expect(code).toBe(0);
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/)[0])).toEqual([
      'DAG',
      'hello',
      'weather',
      'publish',
      '',
    ]);
  });

  test('tells every fault with its line, and ends with 2', async () => {
    const { code, stdout } = await holdfast(['dag', 'validate', '.'], { cwd: folder });
    expect(stdout).toContain('bad.dag.yaml:2:13: unknown field "retires" (did you mean retries?)');
    expect(stdout).toContain('sums');
    expect(code).toBe(2);
  });

  test('gives JSON for programs', async () => {
    const { stdout } = await holdfast(['dag', 'validate', '.', '-o', 'json'], { cwd: folder });
    expect(JSON.parse(stdout)).toEqual([
      expect.objectContaining({ file: 'bad.dag.yaml', valid: false, dagIds: [] }),
      { file: 'sums.dag.yaml', valid: true, dagIds: ['sums'], errors: [], warnings: [] },
    ]);
  });

  test('warns of what is allowed and hardly ever meant, and ends with 0', async () => {
    const odd = mkdtempSync(join(tmpdir(), 'holdfast-odd-'));
    const loop = 'dag_id: loop\nschedule: {assets: data}\ntasks: {t: {outlets: [data]}}\n';
    writeFileSync(join(odd, 'loop.dag.yaml'), loop);
    const { code, stdout } = await holdfast(['dag', 'validate', '.'], { cwd: odd });
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining('\nloop.dag.yaml: warning: DAG loop: its runs make runs of itself without end'),
    ]);
    rmSync(odd, { recursive: true });
  });

  test('ends with 4 when there is no such file, or no DAG file', async () => {
    expect((await holdfast(['dag', 'validate', '/nowhere'])).code).toBe(4);
    const { code, stderr } = await holdfast(['dag', 'validate', join(folder, 'handlers.mjs')]);
    expect([code, stderr]).toEqual([4, expect.stringContaining('DAG files are called *.dag.yaml')]);
  });

  test('with --watch checks again when a file changes, until interrupted', async () => {
    const file = join(folder, 'watched.dag.yaml');
    writeFileSync(file, 'dag_id: [\n');
    let seen = '';
    const { code } = await holdfast(['dag', 'validate', file, '--watch'], {
      meanwhile: (child) =>
        child.stdout?.on('data', (chunk: Buffer) => {
          seen += chunk.toString();
          if (seen.includes('mended')) child.kill('SIGINT');
          else if (seen.includes('no YAML')) writeFileSync(file, 'dag_id: mended\ntasks: {t: {}}\n');
        }),
    });
    expect(code).toBe(0);
    expect(seen).toContain('watched.dag.yaml:2:1: this is no YAML');
    rmSync(file);
  });

  test('with --watch looks at everything anew, and says once what it comes to', async () => {
    const watched = mkdtempSync(join(tmpdir(), 'holdfast-watch-'));
    const reads = join(folder, 'reads');
    const append = `import { appendFileSync } from 'node:fs'; appendFileSync(${JSON.stringify(reads)}, 'x');`;
    const looks = () => (existsSync(reads) ? readFileSync(reads, 'utf8').length : 0);
    writeFileSync(
      join(watched, 'a.dag.mjs'),
      `${append} export default { dag_id: 'first', tasks: { t: {} } };`,
    );
    let seen = '';
    const { code } = await holdfast(['dag', 'validate', watched, '--watch', '-o', 'name'], {
      meanwhile: async (child) => {
        child.stdout?.on('data', (chunk: Buffer) => {
          seen += chunk.toString();
          if (seen.includes('second')) child.kill('SIGINT');
        });
        await eventually('the first look', () => seen !== '');
        writeFileSync(join(watched, 'notes.txt'), 'of no importance');
        await eventually('the second look', () => looks() === 2);
        writeFileSync(join(watched, 'b.dag.yaml'), 'dag_id: second\ntasks: {t: {}}\n');
      },
    });
    expect([code, seen]).toEqual([0, 'first\nfirst\nsecond\n']);
    rmSync(watched, { recursive: true });
  });
});

describe('holdfast dag graph', () => {
  test('draws the tasks', async () => {
    const { stdout } = await holdfast(['dag', 'graph', join(folder, 'sums.dag.yaml')]);
    expect(stdout).toBe(`sums  @daily in UTC
├─ first
│  └─ each  (one for each of {{ params.numbers }})
│     └─ total  (handler sum)
│        └─ cleanup  (after slow, flaky too; no work; all_done)
├─ flaky
└─ slow
`);
  });

  test('asks which DAG is meant', async () => {
    const file = join(FIXTURES, 'good/weather.dag.yaml');
    const { code, stderr } = await holdfast(['dag', 'graph', file]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('has weather, publish')]);
    expect((await holdfast(['dag', 'graph', file, 'publsh'])).stderr).toContain('did you mean publish?');
    expect((await holdfast(['dag', 'graph', file, 'publish'])).stdout).toContain('upload');
  });

  test('of a folder finds the DAG in any of its files, and asks when there are several', async () => {
    const good = join(FIXTURES, 'good');
    expect((await holdfast(['dag', 'graph', good, 'hello'])).stdout).toMatch(/^hello /);
    const { code, stderr } = await holdfast(['dag', 'graph', good]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('has hello, weather, publish')]);
  });
});

describe('holdfast dag test', () => {
  test('runs a DAG without a coordinator: commands, handlers, mapped tasks, retries, time limits', async () => {
    const flags = ['--handlers', 'handlers.mjs', '--param', 'numbers=[4,5]', '--param', 'city=Bergen'];
    const args = ['dag', 'test', 'sums.dag.yaml', ...flags, '--logical-date', '2026-03-29', '-o', 'json'];
    const { code, stdout, stderr } = await holdfast(args, { cwd: folder });
    const { state, tasks } = JSON.parse(stdout) as { state: string; tasks: Record<string, unknown>[] };
    expect(
      tasks.map(({ taskId, mapIndex, state: of, tries, result }) => [taskId, mapIndex, of, tries, result]),
    ).toEqual([
      ['first', -1, 'success', 1, [10]],
      ['flaky', -1, 'success', 2, null],
      ['slow', -1, 'failed', 1, null],
      ['each', 0, 'success', 1, 4],
      ['each', 1, 'success', 1, 5],
      ['total', -1, 'success', 1, 9],
      ['cleanup', -1, 'success', 0, null],
    ]);
    expect(state).toBe('success');
    expect(code).toBe(0);
    expect(stderr).toContain('first | Bergen 2026-03-29\n');
    expect(stderr).toContain('slow failed: execution_timeout\n');
  });

  test('ends with 3 when the run fails, and says what a param must be', async () => {
    const file = join(folder, 'fails.dag.yaml');
    writeFileSync(file, 'dag_id: fails\nparams: {n: 1}\ntasks: {t: {command: "exit 7"}}\n');
    const { code, stdout } = await holdfast(['dag', 'test', file]);
    expect([code, stdout]).toEqual([3, expect.stringMatching(/t +failed +1 +exit code 7\nfails failed\n$/)]);
    const wrong = await holdfast(['dag', 'test', file, '--param', 'n=x']);
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringContaining('param n: it must be a whole number, and is "x"'),
    ]);
    rmSync(file);
  });

  test('ends with 130 when interrupted, and leaves no process behind', async () => {
    const file = join(folder, 'long.dag.yaml');
    writeFileSync(file, 'dag_id: long\ntasks: {t: {command: "echo $$; exec sleep 600"}}\n');
    let pid = 0;
    const { code } = await holdfast(['dag', 'test', file], {
      meanwhile: (child) =>
        child.stderr?.on('data', (chunk: Buffer) => {
          const [, said] = /t \| (\d+)/.exec(chunk.toString()) ?? [];
          if (said === undefined) return;
          pid = Number(said);
          child.kill('SIGINT');
        }),
    });
    expect(code).toBe(130);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    rmSync(file);
  });
});
