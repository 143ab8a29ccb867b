import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';

interface Cell {
  readonly id: string;
  readonly side: string;
  readonly fault: string;
  readonly point: { readonly name: string; readonly file: string };
  readonly why: string | null;
}

const root = resolve(import.meta.dirname, '../..');
const script = (name: string) => import(resolve(root, 'scripts/failpoints', name));
const { CELLS, FAULTS, sliceOf }: { CELLS: Cell[]; FAULTS: string[]; sliceOf: (cells: Cell[]) => Cell[] } =
  await script('cells.mjs');
const {
  instrument,
  pointsOf,
}: {
  instrument: () => { folder: string; remove: () => void };
  pointsOf: (text: string) => string[];
} = await script('instrument.mjs');

const possible = CELLS.filter(({ why }) => why === null);
const PACK_LIMIT_MS = 120_000;
const pack = mkdtempSync(join(tmpdir(), 'hf-pack-'));
afterAll(() => rmSync(pack, { recursive: true, force: true }));

/** All scripts below a folder, by their path in it. */
function scriptsOf(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const texts = names
    .filter((name) => name.endsWith('.js'))
    .map((name): [string, string] => [name, readFileSync(join(folder, name), 'utf8')]);
  return new Map(texts);
}

/** Where a program speaks of failpoints outside of its comments. */
const withFailpoints = (texts: ReadonlyMap<string, string>) =>
  [...texts]
    .filter(([, text]) => /failpoint/i.test(text.replaceAll(/^\s*\/\/.*$/gm, '')))
    .map(([name]) => name);

describe('failpoints', () => {
  test('every step of the handshake is marked once before and once after, and an instrumented copy has all of them', () => {
    const built = scriptsOf(join(root, 'dist'));
    const marks = [...built.values()].flatMap(pointsOf);
    const wanted = CELLS.filter(({ fault }) => fault === FAULTS[0]);
    expect(marks.toSorted()).toEqual(wanted.map(({ point, side }) => `${point.name} ${side}`).toSorted());
    const copy = instrument();
    try {
      const copied = scriptsOf(join(copy.folder, 'dist'));
      const calls = [...copied.values()].flatMap((text) => text.match(/failpoint\('FP\d+', '\w+'/g) ?? []);
      expect(new Set(calls).size).toBe(24);
      const files = new Set(wanted.map(({ point }) => point.file));
      expect(new Set(withFailpoints(copied))).toEqual(new Set([...files, 'failpoint.js']));
    } finally {
      copy.remove();
    }
  });

  test(
    'the built program and the package hold no code of them: nothing that is shipped can be told to fail',
    () => {
      const built = scriptsOf(join(root, 'dist'));
      expect(withFailpoints(built)).toEqual([]);
      const args = ['pack', '--ignore-scripts', '--pack-destination', pack];
      execFileSync('npm', args, { cwd: root, timeout: PACK_LIMIT_MS, stdio: 'ignore' });
      const [tarball = ''] = readdirSync(pack).filter((name) => name.endsWith('.tgz'));
      execFileSync('tar', ['-xzf', tarball], { cwd: pack });
      const packed = scriptsOf(join(pack, 'package'));
      expect(packed.size).toBe(built.size);
      expect(withFailpoints(packed)).toEqual([]);
      expect(existsSync(join(pack, 'package/scripts'))).toBe(false);
    },
    PACK_LIMIT_MS,
  );

  test('of the 144 cells of the matrix those that cannot exist say why, and all of the others are played', () => {
    expect(CELLS).toHaveLength(12 * 2 * 6);
    expect(new Set(CELLS.map(({ id }) => id)).size).toBe(144);
    expect(possible).toHaveLength(107);
    for (const side of ['kill agent', 'kill coordinator', 'delay'])
      expect(possible.filter(({ fault }) => fault === side)).toHaveLength(24);
  });

  test('the short slice has every step on both sides, and every fault that can exist', () => {
    const slice = sliceOf(possible);
    expect(new Set(slice.map(({ point, side }) => `${point.name} ${side}`)).size).toBe(24);
    expect(slice).toHaveLength(24);
    const faults = new Set(slice.map(({ fault }) => fault));
    expect(faults).toEqual(new Set(FAULTS.filter((fault) => fault !== 'kill store')));
  });
});
