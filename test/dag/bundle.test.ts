import { appendFileSync, mkdirSync, symlinkSync, utimesSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { Bundle, type Snapshot } from '../../src/dag/bundle/bundle.js';
import { isLeftOut, listBundle } from '../../src/dag/bundle/list.js';
import { parseBundle, watchBundle } from '../../src/dag/bundle/watch.js';
import { dagText, ENTRY, Folder } from './support.js';

const idsOf = (snapshot: Snapshot): string[] => snapshot.dags.map(({ file, dagId }) => `${file} ${dagId}`);
const read = (folder: Folder): Promise<Snapshot> => parseBundle(folder.path, { entry: ENTRY });

describe('a bundle', () => {
  test('is every DAG of every file, and the errors of the others', async () => {
    using folder = new Folder();
    folder.write('b.dag.yaml', dagText('b'));
    folder.write('sub/a.dag.json', '{"dag_id": "a", "tasks": {"t": {}}}');
    folder.write('sub/m.dag.mjs', "export default { dag_id: 'm', tasks: { t: {} } };");
    folder.write('bad.dag.yaml', 'dag_id: bad\ntasks: {t: {needs: u}}');
    folder.write('README.md', 'nothing');
    folder.write('node_modules/x/x.dag.yaml', dagText('x'));
    folder.write('.hidden/y.dag.yaml', dagText('y'));
    const snapshot = await read(folder);
    expect(idsOf(snapshot)).toEqual(['b.dag.yaml b', 'sub/a.dag.json a', 'sub/m.dag.mjs m']);
    expect(snapshot.importErrors).toEqual([
      {
        file: 'bad.dag.yaml',
        message: 'bad.dag.yaml:2:20: task t needs "u", and there is no such task (did you mean t?)',
      },
    ]);
    expect((await read(folder)).hash).toBe(snapshot.hash);
  });

  test('has a DAG id as often as files have it: which of them had it before is for the coordinator to know', async () => {
    using folder = new Folder();
    folder.write('b.dag.yaml', dagText('same'));
    expect(idsOf(await read(folder))).toEqual(['b.dag.yaml same']);
    folder.write('a.dag.yaml', `${dagText('other')}---\n${dagText('same')}`);
    const snapshot = await read(folder);
    expect(idsOf(snapshot)).toEqual(['a.dag.yaml other', 'a.dag.yaml same', 'b.dag.yaml same']);
    expect(snapshot.importErrors).toEqual([]);
  });

  test('parses again only what has changed, and every module once a file that it may import has', async () => {
    using folder = new Folder();
    const count = 'import { appendFileSync } from "node:fs"; import { id } from "./id.js";';
    const log = folder.write('.log', '');
    folder.write('id.js', 'export const id = "one";');
    folder.write(
      'm.dag.mjs',
      `${count} appendFileSync(${JSON.stringify(log)}, "x"); export default { dag_id: id, tasks: { t: {} } };`,
    );
    folder.write('a.dag.yaml', dagText('a'));
    const bundle = new Bundle(folder.path, { entry: ENTRY });
    try {
      expect(idsOf(await bundle.read())).toEqual(['a.dag.yaml a', 'm.dag.mjs one']);
      folder.write('a.dag.yaml', dagText('changed'));
      expect(idsOf(await bundle.read())).toEqual(['a.dag.yaml changed', 'm.dag.mjs one']);
      const { readFileSync } = await import('node:fs');
      expect(readFileSync(log, 'utf8')).toBe('x');
      folder.write('id.js', 'export const id = "other";');
      expect(idsOf(await bundle.read())).toEqual(['a.dag.yaml changed', 'm.dag.mjs other']);
      folder.remove('a.dag.yaml');
      expect(idsOf(await bundle.read())).toEqual(['m.dag.mjs other']);
    } finally {
      bundle.close();
    }
  });

  test('that cannot be read is no empty one', async () => {
    using folder = new Folder();
    await expect(parseBundle(`${folder.path}/nowhere`, { entry: ENTRY })).rejects.toThrow('ENOENT');
  });

  test('is read without what its .holdfastignore names, whose change is a change of the bundle', async () => {
    using folder = new Folder();
    for (const file of [
      'a',
      'drafts/b',
      'team/drafts/c',
      'team/d.old',
      'team/keep.old',
      'tmp/e',
      'team/tmp/f',
    ])
      folder.write(`${file}.dag.yaml`, dagText(file.replaceAll('/', '-')));
    folder.write('.holdfastignore', '# not yet\ndrafts/\n*.old.dag.yaml\n!team/keep.*\n/tmp\n');
    const left = async () =>
      (await listBundle(folder.path)).filter(({ isDag }) => isDag).map(({ file }) => file);
    expect(await left()).toEqual(['a.dag.yaml', 'team/keep.old.dag.yaml', 'team/tmp/f.dag.yaml']);
    expect(idsOf(await read(folder)).length).toBe(3);
    folder.write('.holdfastignore', 'team\n');
    expect(await left()).toEqual(['a.dag.yaml', 'drafts/b.dag.yaml', 'tmp/e.dag.yaml']);
    expect(isLeftOut('.holdfastignore')).toBe(false);
  });

  test('is not read at all while its .holdfastignore makes no sense: files that nobody wants would come into force', async () => {
    using folder = new Folder();
    folder.write('a.dag.yaml', dagText('a'));
    folder.write('.holdfastignore', `${'x'.repeat(600)}\n`);
    await expect(read(folder)).rejects.toThrow('.holdfastignore:1: a line has at most 512 characters');
    folder.write('.holdfastignore', '**/a/**/b/**/c/**/d/**\n');
    await expect(read(folder)).rejects.toThrow('.holdfastignore:1: a line has ** at most 4 times');
    folder.write('.holdfastignore', '#\n'.repeat(2_000));
    await expect(read(folder)).rejects.toThrow('2001 lines');
  });

  test('follows links to files, not to folders, and reads files only', async () => {
    using folder = new Folder();
    const target = folder.write('dags/a.dag.yaml', dagText('a'));
    symlinkSync(target, `${folder.path}/link.dag.yaml`);
    symlinkSync(folder.path, `${folder.path}/circle`);
    symlinkSync('/nowhere', `${folder.path}/broken.dag.yaml`);
    mkdirSync(`${folder.path}/folder.dag.yaml`);
    expect((await listBundle(folder.path)).map(({ file }) => file)).toEqual([
      'dags/a.dag.yaml',
      'link.dag.yaml',
    ]);
  });

  test('tells a file from a newer one of the same size', async () => {
    using folder = new Folder();
    const path = folder.write('a.dag.yaml', dagText('a'));
    const [before] = await listBundle(folder.path);
    utimesSync(path, 1, 1);
    const [after] = await listBundle(folder.path);
    expect(after?.stamp).not.toBe(before?.stamp);
  });
});

/** Snapshots in the order in which they come; `next` waits for one. */
class Watched implements AsyncDisposable {
  readonly #come: Snapshot[] = [];
  #wake: () => void = () => {};
  readonly #watch;

  constructor(folder: Folder, { settleMs = 10, pollMs = 200 } = {}) {
    const options = { entry: ENTRY, settleMs, pollMs };
    this.#watch = watchBundle(folder.path, (snapshot) => this.#take(snapshot), options);
  }

  async next(): Promise<Snapshot> {
    while (this.#come.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#come.shift() as Snapshot;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch.close();
  }

  #take(snapshot: Snapshot): void {
    this.#come.push(snapshot);
    this.#wake();
  }
}

test('a bundle that is watched tells each change as a whole snapshot', async () => {
  using folder = new Folder();
  folder.write('a.dag.yaml', dagText('a'));
  await using watched = new Watched(folder);
  expect(idsOf(await watched.next())).toEqual(['a.dag.yaml a']);
  folder.write('sub/b.dag.yaml', dagText('b'));
  expect(idsOf(await watched.next())).toEqual(['a.dag.yaml a', 'sub/b.dag.yaml b']);
  folder.write('a.dag.yaml', 'dag_id: [');
  const broken = await watched.next();
  expect(idsOf(broken)).toEqual(['sub/b.dag.yaml b']);
  expect(broken.importErrors.map(({ file }) => file)).toEqual(['a.dag.yaml']);
  folder.remove('a.dag.yaml');
  expect((await watched.next()).importErrors).toEqual([]);
});

test('a file that is written all the time holds up none of the others', async () => {
  using folder = new Folder();
  const busy = folder.write('busy.dag.yaml', dagText('busy'));
  // Never quiet for so long, and looked at for no other reason.
  await using watched = new Watched(folder, { settleMs: 250, pollMs: 3_600_000 });
  expect(idsOf(await watched.next())).toEqual(['busy.dag.yaml busy']);
  // Whoever reads it finds a whole file whenever that is.
  const writing = setInterval(() => appendFileSync(busy, '\n'), 10);
  try {
    folder.write('other.dag.yaml', dagText('other'));
    expect(idsOf(await watched.next())).toEqual(['busy.dag.yaml busy', 'other.dag.yaml other']);
  } finally {
    clearInterval(writing);
  }
});
