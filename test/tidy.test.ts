import { describe, expect, test } from '@jest/globals';
import { type Import, refuseImport, roomOf, rooms } from './tidy/boundaries.js';
import * as rules from './tidy/rules.js';
import { type Finding, importsOf, listFiles, parse, read, type Source } from './tidy/source.js';

const files = listFiles();
const textual = /\.(ts|mts|js|mjs|json|md|proto|ya?ml|sh|sql|txt|html|css)$|\/run$|^\.[a-z]+$/;
const inFolder = (...folders: string[]): string[] =>
  files.filter((path) => folders.some((folder) => path.startsWith(`${folder}/`)));
const written = (path: string): boolean => path.endsWith('.ts') && !path.startsWith('src/wire/gen/');
const parsed = (...folders: string[]): Source[] =>
  inFolder(...folders)
    .filter(written)
    .map((path) => parse(path, read(path)));

const sources = parsed('src');
const tests = parsed('test');

const say = (path: string, findings: readonly Finding[]): string[] =>
  findings.map(({ line, what }) => `${path}:${line} ${what}`);
const inSources = (judge: (source: Source) => readonly Finding[], of = sources): string[] =>
  of.flatMap((source) => say(source.path, judge(source)));
const inTexts = (judge: (text: string) => readonly Finding[], paths: readonly string[]): string[] =>
  paths.filter((path) => textual.test(path)).flatMap((path) => say(path, judge(read(path))));

describe('the source tree', () => {
  test('every file of src lies in a room of the table', () => {
    const homeless = inFolder('src').filter((path) => roomOf(path.slice('src/'.length)) === undefined);
    expect(homeless).toEqual([]);
  });

  test('every import goes through a door of the table', () => {
    const refused = inSources((source) =>
      importsOf(source).flatMap((imported) => {
        const what = refuseImport(source.path.slice('src/'.length), imported);
        return what === undefined ? [] : [{ line: imported.line, what }];
      }),
    );
    expect(refused).toEqual([]);
  });

  test('pure rooms touch nothing', () => {
    const touched = inSources((source) => {
      const pure = rooms[roomOf(source.path.slice('src/'.length)) ?? '']?.pure;
      return pure === undefined ? [] : rules.findImpure(source, pure);
    });
    expect(touched).toEqual([]);
  });

  test('time, waiting and chance come in through the listed files only', () => {
    expect(inSources(rules.findOutside)).toEqual([]);
  });

  test('no type is any, and nothing tells the compiler to look away', () => {
    expect([...inSources(rules.findAny), ...inTexts(rules.findSilencers, inFolder('src'))]).toEqual([]);
  });

  test('nothing is left to do', () => {
    expect(inTexts(rules.findLeftovers, inFolder('src', 'test', 'scripts', 'proto'))).toEqual([]);
  });

  test('no test runs alone, and none is set aside', () => {
    expect(inSources(rules.findSetAside, tests)).toEqual([]);
  });

  test('no file of src is longer than 400 lines', () => {
    const long = sources
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > 400);
    expect(long).toEqual([]);
  });

  test('no file names a place of the machine it was written on', () => {
    expect(inTexts(rules.findPlaces, files)).toEqual([]);
  });

  // Files that only declare: their rules are the compiler's.
  const declarations = /\/(rows|inputs|frames|policy|definition|index)\.ts$/;

  test('every file of src/core is mirrored by a test', () => {
    const missing = inFolder('src/core')
      .filter((path) => path.endsWith('.ts') && !declarations.test(path))
      .map((path) => path.replace(/^src\/(.*)\.ts$/, 'test/$1.test.ts'))
      .filter((path) => !files.includes(path));
    expect(missing).toEqual([]);
  });
});

describe('the rules see what they are made for', () => {
  const at = (path: string, text: string): Source => parse(path, text);
  const imported = (source: string): Import => ({
    source: source.replace('types of ', ''),
    typesOnly: source.startsWith('types of '),
    line: 1,
  });

  test.each([
    ['core/lease.ts', 'node:fs', 'core may not import node:fs'],
    ['core/lease.ts', '../engine/inbox.js', 'core may not import src/engine/inbox.ts'],
    ['core/lease.ts', 'zod', 'core may not import the package zod'],
    ['agent/core/gate.ts', '../worker.js', 'agent/core may not import src/agent/worker.ts'],
    ['agent/core/gate.ts', 'types of ../../wire/limits.js', 'agent/core may not import src/wire/limits.ts'],
    ['server/stream.ts', '../store/sqlite/store.js', 'server may not import src/store/sqlite/store.ts'],
    ['store/memory/store.ts', 'node:sqlite', 'store/memory may not import node:sqlite'],
    ['config/read.ts', '../core/rows.js', 'config may not import src/core/rows.ts'],
    ['dag/schema.ts', '../core/rows.js', 'dag may not import src/core/rows.ts'],
    ['attic/box.ts', '../kit/ids.js', 'attic/box.ts lies in no room of the table'],
    ['kit/ids.ts', '../../test/a.js', 'kit may not import ../../test/a.js, outside src/'],
    ['kit/ids.ts', '(computed)', 'kit may not import the package (computed)'],
  ])('%s is refused %s', (path, source, reason) => {
    expect(refuseImport(path, imported(source))).toBe(reason);
  });

  test.each([
    ['core/task/start.ts', '../../kit/ids.js'],
    ['agent/worker.ts', './core/gate.js'],
    ['store/sqlite/driver.ts', 'node:sqlite'],
    ['wire/link.ts', '@grpc/grpc-js'],
    ['config/read.ts', '../core/policy.js'],
    ['dag/schema.ts', 'types of ../core/rows.js'],
    ['main/server.ts', '../store/sqlite/store.js'],
  ])('%s is allowed %s', (path, source) => {
    expect(refuseImport(path, imported(source))).toBeUndefined();
  });

  test('imports of every form are seen', () => {
    const text = `import type { A } from './a.js'; import { type B } from './b.js'; export * from './c.js';
      const d = await import('./d.js'); type E = import('./e.js').E; import './f.js'; await import(d);`;
    expect(
      importsOf(at('src/kit/x.ts', text)).map((i) => `${i.source}${i.typesOnly ? ' types' : ''}`),
    ).toEqual(['./a.js types', './b.js types', './c.js', './d.js', './e.js types', './f.js', '(computed)']);
  });

  test.each([
    'Date.now()',
    'new Date()',
    'const now = Date.now',
    'globalThis.Date.now()',
    'performance.now()',
    'process.hrtime.bigint()',
    'setTimeout(f, 1)',
    'globalThis.setTimeout(f, 1)',
    'AbortSignal.timeout(5)',
    'Math.random()',
    'crypto.randomUUID()',
    'f(setImmediate)',
    "import { setTimeout as wait } from 'node:timers/promises'",
    "import { randomUUID } from 'node:crypto'",
  ])('%s is a read of the outside', (text) => {
    expect(rules.findOutside(at('src/server/x.ts', text))).not.toEqual([]);
    expect(rules.findOutside(at('src/main/x.ts', text))).toEqual([]);
  });

  test.each([
    'new Date(ms)',
    'timers.setTimeout(f, 1)',
    'type T = ReturnType<typeof setTimeout>',
    'interface Timers { setTimeout(): void }',
    '// Date.now()',
    "const text = 'Date.now()'",
  ])('%s is none', (text) => {
    expect(rules.findOutside(at('src/server/x.ts', text))).toEqual([]);
  });

  test('the command line may wait, but not read the clock', () => {
    expect(rules.findOutside(at('src/cli/watch.ts', 'setTimeout(f, 1)'))).toEqual([]);
    expect(rules.findOutside(at('src/cli/watch.ts', 'Date.now()'))).toHaveLength(1);
  });

  test('a pure room may not reach out, and core may not wait', () => {
    expect(rules.findImpure(at('src/kit/x.ts', 'process.env'), 'may wait')).toHaveLength(1);
    expect(rules.findImpure(at('src/kit/x.ts', 'async function f() {}'), 'may wait')).toEqual([]);
    expect(rules.findImpure(at('src/core/x.ts', 'async function f() {}'), 'sync')).toHaveLength(1);
    expect(rules.findImpure(at('src/core/x.ts', 'const x = row.process'), 'sync')).toEqual([]);
  });

  test('tests set aside, marks, silenced checks and places are seen', () => {
    for (const name of ['only', 'skip', 'todo']) {
      expect(rules.findSetAside(at('test/x.test.ts', `test.${name}('x', f)`))).toHaveLength(1);
    }
    expect(rules.findSetAside(at('test/x.test.ts', `${'x'}it('x', f); queue.skip();`))).toHaveLength(1);
    expect(rules.findLeftovers(`// ${'TO'}${'DO'}: later`)).toHaveLength(1);
    expect(rules.findSilencers(`// @ts-${'ignore'}`)).toHaveLength(1);
    expect(rules.findPlaces(`cd /${'work'}/main`)).toHaveLength(1);
    expect(rules.findPlaces('see https://example.org/work/in/progress')).toEqual([]);
    expect(rules.findAny(at('src/kit/x.ts', 'const x: any = 1; const y = { any: 2 }'))).toHaveLength(1);
  });
});
