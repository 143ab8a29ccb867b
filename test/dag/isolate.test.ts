import { describe, expect, test } from '@jest/globals';
import { FileParser, type ParserOptions } from '../../src/dag/isolate/parser.js';
import type { Outcome } from '../../src/dag/isolate/process.js';
import { readAnswer } from '../../src/dag/isolate/protocol.js';
import { dagText, ENTRY, Folder, HandClock } from './support.js';

/** A parser that ends with the block. */
class Reader implements Disposable {
  readonly #parser: FileParser;
  readonly folder = new Folder();

  constructor(options: ParserOptions = {}) {
    this.#parser = new FileParser({ entry: ENTRY, ...options });
  }

  parse(file: string, text: string): Promise<Outcome> {
    return this.#parser.parse(this.folder.write(file, text), file);
  }

  missing(file: string): Promise<Outcome> {
    return this.#parser.parse(`${this.folder.path}/${file}`, file);
  }

  close(): void {
    this.#parser.close();
  }

  [Symbol.dispose](): void {
    this.#parser.close();
    this.folder[Symbol.dispose]();
  }
}

const idsOf = ({ parsed }: Outcome): readonly string[] =>
  parsed.kind === 'dags' ? parsed.dags.map(({ dagId }) => dagId) : [JSON.stringify(parsed)];
const errorOf = ({ parsed }: Outcome): string =>
  parsed.kind === 'errors' ? parsed.errors.join('\n') : parsed.kind;

const builder = "import { command, dag } from 'holdfast/dag';\n";

describe('a file that is read apart', () => {
  test('gives its DAGs, or its errors', async () => {
    using reader = new Reader();
    expect(idsOf(await reader.parse('a.dag.yaml', `${dagText('a')}---\n${dagText('b')}`))).toEqual([
      'a',
      'b',
    ]);
    expect(errorOf(await reader.parse('b.dag.yaml', 'dag_id: a\ntasks: {t: {x: 1}}'))).toBe(
      'b.dag.yaml:2:13: unknown field "x"',
    );
    expect((await reader.missing('c.dag.yaml')).parsed).toEqual({ kind: 'gone' });
  });

  test.each([
    ['js', `${builder}export default dag({ dag_id: 'm', tasks: { t: command(['x']) } });`],
    ['mjs', `${builder}export default [dag({ dag_id: 'm', tasks: { t: command(['x']) } })];`],
    [
      'ts',
      `${builder}const id: string = 'm';\nexport default dag({ dag_id: id, tasks: { t: command(['x']) } });`,
    ],
    ['js', "module.exports = { dag_id: 'm', tasks: { t: {} } };"],
    ['mjs', "export default Promise.resolve({ dag_id: 'm', tasks: { t: {} } });"],
  ])('may be a module, .dag.%s', async (end, text) => {
    using reader = new Reader();
    reader.folder.write('package.json', '{}');
    expect(idsOf(await reader.parse(`m.dag.${end}`, text))).toEqual(['m']);
  });

  test.each([
    [
      'ts',
      "import { other } from './other.js';\nexport default { dag_id: other as string, tasks: { t: {} } };",
    ],
    ['js', "import { other } from './other.js';\nexport default { dag_id: other, tasks: { t: {} } };"],
    ['js', "module.exports = { dag_id: 'm', tasks: { t: {} } };"],
  ])(
    'is read as it is written, .dag.%s, also where npm init has said "type": "commonjs"',
    async (end, text) => {
      using reader = new Reader();
      reader.folder.write('package.json', '{"type": "commonjs"}');
      reader.folder.write('other.js', "export const other = 'm';");
      expect(idsOf(await reader.parse(`m.dag.${end}`, text))).toEqual(['m']);
    },
  );

  test('that is a module is judged by the same rules', async () => {
    using reader = new Reader();
    const text = `export default { dag_id: 'm', tasks: { t: { needs: 'u' } } };`;
    expect(errorOf(await reader.parse('m.dag.mjs', text))).toContain(
      'm.dag.mjs: tasks.t.needs: task t needs "u", and there is no such task',
    );
    expect(errorOf(await reader.parse('n.dag.mjs', 'export const x = 1;'))).toContain('this is no DAG');
  });

  test.each([
    ['throws', 'throw new Error("too bad");', 'it cannot be read: Error: too bad'],
    ['cannot be parsed', 'export default {', 'it cannot be read: '],
    [
      'misses a file of its own',
      "import { readFileSync } from 'node:fs'; readFileSync('/nowhere');",
      'no such file',
    ],
    ['misses a module', "import './nowhere.js';", 'Cannot find module'],
    ['ends its process', 'process.exit(3);', 'the process that read it ended with code 3'],
    [
      'kills its process',
      "process.kill(process.pid, 'SIGKILL');",
      'the process that read it died of SIGKILL',
    ],
    [
      'answers nonsense',
      'process.send({ n: 1, parsed: { kind: "dags", dags: 7 } }); throw 7;',
      'it cannot be read: 7',
    ],
  ])('that %s is an error of its own', async (_, text, error) => {
    using reader = new Reader();
    expect(errorOf(await reader.parse('m.dag.mjs', text))).toContain(error);
    expect(idsOf(await reader.parse('a.dag.yaml', dagText('a')))).toEqual(['a']);
  });

  test('that throws is told with the places in it, and without those of what read it', async () => {
    using reader = new Reader();
    const error = errorOf(await reader.parse('m.dag.mjs', 'function f() { throw new Error("bad"); }\nf();'));
    expect(error).toMatch(
      /^m\.dag\.mjs: it cannot be read: Error: bad\n +at f \(.*m\.dag\.mjs:1:22\)\n +at .*m\.dag\.mjs:2:1$/,
    );
  });

  test('that hangs is stopped, and its neighbours are read meanwhile', async () => {
    const clock = new HandClock();
    using reader = new Reader({ clock, concurrency: 2, timeoutMs: 5_000 });
    const hangs = reader.parse('m.dag.mjs', 'for (;;) {}');
    for (const id of ['a', 'b'])
      expect(idsOf(await reader.parse(`${id}.dag.yaml`, dagText(id)))).toEqual([id]);
    clock.advance(5_000);
    const outcome = await hangs;
    expect(errorOf(outcome)).toContain('m.dag.mjs: it took longer than 5 s and was stopped');
    expect(outcome.stopped).toBe(true);
  });

  test('that takes all memory is stopped', async () => {
    using reader = new Reader({ memoryMiB: 64 });
    const heap = await reader.parse(
      'h.dag.mjs',
      'const all = []; for (;;) all.push(new Array(1e5).fill(all.length));',
    );
    expect(errorOf(heap)).toContain('64 MiB is all that it may have');
    const buffers =
      'const all = []; setInterval(() => all.push(Buffer.alloc(1 << 25, 1)), 1); await new Promise(() => {});';
    expect(errorOf(await reader.parse('b.dag.mjs', buffers))).toContain('needed more than 64 MiB of memory');
  });

  test('that is enormous is not read', async () => {
    using reader = new Reader();
    const outcome = await reader.parse('a.dag.yaml', `# ${'x'.repeat(9 * 1024 * 1024)}`);
    expect(errorOf(outcome)).toContain('and at most 8388608 are read');
  });

  test('nests as deep as it likes', async () => {
    using reader = new Reader();
    expect(errorOf(await reader.parse('a.dag.yaml', `dag_id: ${'['.repeat(200_000)}`))).toContain(
      'a.dag.yaml:',
    );
    expect(
      errorOf(await reader.parse('b.dag.json', `${'['.repeat(200_000)}${']'.repeat(200_000)}`)),
    ).toContain('b.dag.json:');
    expect(idsOf(await reader.parse('c.dag.yaml', dagText('c')))).toEqual(['c']);
  });

  test('finds no secret of its reader, and none of what another module left behind', async () => {
    process.env.HOLDFAST_SECRET_TOKEN = 'hush';
    using reader = new Reader();
    const tell =
      'export default { dag_id: String(process.env.HOLDFAST_SECRET_TOKEN ?? globalThis.left ?? "none"), tasks: { t: {} } };';
    expect(idsOf(await reader.parse('a.dag.mjs', `globalThis.left = 'mine';\n${tell}`))).toEqual(['mine']);
    expect(idsOf(await reader.parse('b.dag.mjs', tell))).toEqual(['none']);
    delete process.env.HOLDFAST_SECRET_TOKEN;
  });

  test('is told as stopped when its reader closes, and none is read after it', async () => {
    using reader = new Reader();
    const hangs = reader.parse('m.dag.mjs', 'for (;;) {}');
    await reader.parse('a.dag.yaml', dagText('a'));
    reader.close();
    expect((await hangs).stopped).toBe(true);
    await expect(reader.parse('a.dag.yaml', dagText('a'))).rejects.toThrow('closed');
  });

  test('cannot be read where no process can be started, which is nobody’s fault but the machine’s', async () => {
    using reader = new Reader({ entry: new URL('file:///nowhere/child.js') });
    expect(errorOf(await reader.parse('a.dag.yaml', dagText('a')))).toContain('ended with code 1');
  });
});

describe('an answer', () => {
  test.each([
    [null],
    ['x'],
    [{ n: '1', parsed: { kind: 'gone' } }],
    [{ n: 1 }],
    [{ n: 1, parsed: { kind: 'other' } }],
    [{ n: 1, parsed: { kind: 'errors', errors: [] } }],
    [{ n: 1, parsed: { kind: 'errors', errors: [1] } }],
    [{ n: 1, parsed: { kind: 'dags', dags: [{ dagId: 'a' }] } }],
  ])('%j is none', (message) => {
    expect(readAnswer(message)).toBeNull();
  });
});
