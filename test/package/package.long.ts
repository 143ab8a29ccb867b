import { spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';

jest.setTimeout(120_000);

const root = resolve(import.meta.dirname, '../..');
const modules = join(root, 'node_modules');
const consumer = mkdtempSync(join(tmpdir(), 'holdfast-consumer-'));
const env = {
  ...process.env,
  HOME: consumer,
  PATH: `${join(modules, '.bin')}${delimiter}${process.env.PATH}`,
};

function run(
  program: string,
  args: readonly string[],
  cwd = consumer,
): { code: number | null; said: string } {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    env,
    encoding: 'utf8',
    timeout: 120_000,
  });
  return { code: status, said: error === undefined ? stdout + stderr : String(error) };
}

/** A program beside this checkout that has installed the tarball: nothing of the checkout is reachable by a path. */
beforeAll(() => {
  const packed = run('npm', ['pack', '--ignore-scripts', '--pack-destination', consumer], root);
  if (packed.code !== 0) throw new Error(packed.said);
  const tarball = readdirSync(consumer).find((name) => name.endsWith('.tgz')) ?? '';
  mkdirSync(join(consumer, 'node_modules/holdfast'), { recursive: true });
  const target = ['-C', 'node_modules/holdfast', '--strip-components=1'];
  const unpacked = run('tar', ['-xzf', tarball, ...target]);
  if (unpacked.code !== 0) throw new Error(unpacked.said);
  for (const name of readdirSync(modules)) {
    if (!name.startsWith('.') && name !== 'holdfast') {
      symlinkSync(join(modules, name), join(consumer, 'node_modules', name), 'dir');
    }
  }
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', type: 'module' }));
  for (const name of ['right.ts', 'wrong.ts']) {
    copyFileSync(join(import.meta.dirname, 'fixtures', name), join(consumer, name));
  }
}, 120_000);
afterAll(() => rmSync(consumer, { recursive: true, force: true }));

const PROGRAM = `
  const coordinator = new Coordinator({ dbFile: 'FILE', port: 0 });
  const client = connect((await coordinator.start()).address);
  const task = await client.tasks.submitAndWait({ command: ['true'], queuedTimeoutMs: 100 });
  const named = [typeof agent, typeof TaskServiceClient, typeof connectAlone].join(' ');
  client.close();
  await coordinator.stop();
  console.log(task.state, task.reason, named);`;
const SAID = /failed queued_timeout object function function/;

describe('the packed package', () => {
  test('runs in a program of ES modules', () => {
    const imports = `import { Coordinator, connect } from 'holdfast'; import * as agent from 'holdfast/agent';
      import { connect as connectAlone } from 'holdfast/client'; import { TaskServiceClient } from 'holdfast/stubs';`;
    writeFileSync(join(consumer, 'program.mjs'), imports + PROGRAM.replace('FILE', 'esm.db'));
    const ended = run(process.execPath, ['program.mjs']);
    expect(ended.said).toMatch(SAID);
    expect(ended.code).toBe(0);
  });

  test('runs in a CommonJS program by require()', () => {
    const requires = `const { Coordinator, connect } = require('holdfast'); const agent = require('holdfast/agent');
      const { connect: connectAlone } = require('holdfast/client');
      const { TaskServiceClient } = require('holdfast/stubs');`;
    const program = `${requires} (async () => {${PROGRAM.replace('FILE', 'cjs.db')} })();`;
    writeFileSync(join(consumer, 'program.cjs'), program);
    const ended = run(process.execPath, ['program.cjs']);
    expect(ended.said).toMatch(SAID);
    expect(ended.code).toBe(0);
  });

  test('brings its protos', () => {
    const code = "console.log(import.meta.resolve('holdfast/proto/holdfast/v1/agent_service.proto'))";
    const { said } = run(process.execPath, ['--input-type=module', '-e', code]);
    expect(said).toContain('node_modules/holdfast/proto/holdfast/v1/agent_service.proto');
  });

  test('has a bin that runs', () => {
    const { code, said } = run(process.execPath, ['node_modules/holdfast/dist/main/bin.js', '--version']);
    expect({ code, said }).toEqual({ code: 0, said: expect.stringMatching(/^\d+\.\d+\.\d+/) });
  });

  test.each([
    ['nodenext', { module: 'nodenext', moduleResolution: 'nodenext' }],
    ['bundler', { module: 'esnext', moduleResolution: 'bundler' }],
  ])(
    'compiles in TypeScript with moduleResolution %s, its declarations included, and wrong options do not',
    (name, how) => {
      const compilerOptions = {
        ...{ ...how, strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
        ...{
          target: 'es2024',
          lib: ['es2024', 'esnext.disposable'],
          types: ['node'],
          noEmit: true,
          skipLibCheck: false,
        },
      };
      const project = `tsconfig.${name}.json`;
      writeFileSync(
        join(consumer, project),
        JSON.stringify({ compilerOptions, files: ['right.ts', 'wrong.ts'] }),
      );
      const ended = run('tsc', ['-p', project]);
      expect(ended.said.trim()).toBe('');
      expect(ended.code).toBe(0);
    },
  );

  test('compiles in a CommonJS program in TypeScript', () => {
    writeFileSync(
      join(consumer, 'old.cts'),
      "import { Coordinator } from 'holdfast';\nexport const make = (): Coordinator => new Coordinator({ dbFile: 'a' });\n",
    );
    const flags = ['--module', 'nodenext', '--target', 'es2024', '--types', 'node', '--strict', '--noEmit'];
    expect(run('tsc', [...flags, 'old.cts'])).toEqual({ code: 0, said: '' });
  });
});

/** What somebody has who has the package and nothing else. */
describe('the README of the package, followed from an empty folder', () => {
  const installed = join(consumer, 'node_modules/holdfast');
  const readme = () => readFileSync(join(installed, 'README.md'), 'utf8');
  const block = (heading: string, language: string): string => {
    const [, section = ''] = readme().split(`\n## ${heading}\n`);
    const [, code = ''] = new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 's').exec(section) ?? [];
    return code;
  };
  beforeAll(() => {
    writeFileSync(join(consumer, 'handlers.mjs'), block('Handlers', 'js'));
    writeFileSync(join(consumer, 'embed.mts'), block('Embedding', 'ts'));
  });

  test('leads to a worker with two typed handlers and a submitted task, by the command line', async () => {
    const submit = /npx holdfast (task submit .*)'/.exec(block('Handlers', 'sh'))?.[1] ?? '';
    const address = join(consumer, 'address.json');
    const bin = join(installed, 'dist/main/bin.js');
    const flags = ['--handlers', './handlers.mjs', '--port', '0', '--address-file', address];
    const dev = spawn(process.execPath, [bin, 'dev', ...flags], { cwd: consumer, env, stdio: 'ignore' });
    const ended = new Promise((resolveEnd) => dev.on('exit', resolveEnd));
    try {
      await eventually('it accepts calls', () => existsSync(address) || dev.exitCode !== null);
      const { grpc } = JSON.parse(readFileSync(address, 'utf8')) as { grpc: string };
      const words = `"${process.execPath}" "${bin}" ${submit}' --coordinator ${grpc}`;
      const done = run('sh', ['-c', words]);
      expect(done).toEqual({
        code: 0,
        said: expect.stringMatching(/success in .*; result \{"area":9\}; output: /),
      });
      const ping = run('sh', ['-c', words.replace(/resize.*' /, 'ping ')]);
      expect(ping).toEqual({ code: 0, said: expect.stringContaining('; result "pong"; output: ') });
    } finally {
      dev.kill('SIGTERM');
      await ended;
    }
  });

  test('leads to a program that has a coordinator, a worker and a client', () => {
    expect(
      run(process.execPath, [
        '--experimental-strip-types',
        '--disable-warning=ExperimentalWarning',
        'embed.mts',
      ]),
    ).toEqual({ code: 0, said: 'success {"area":9}\n' });
  });

  test('leads to a DAG file that is valid, can be drawn, and runs', () => {
    const folder = join(consumer, 'dags');
    mkdirSync(folder);
    writeFileSync(join(folder, 'hello.dag.yaml'), block('DAG files', 'yaml'));
    const bin = join(installed, 'dist/main/bin.js');
    const commands = [...block('DAG files', 'sh').matchAll(/npx holdfast (dag [^#\n]+?) *(#|\n)/g)].map(
      ([, c = '']) => c,
    );
    const ended = commands.map((words) => run(process.execPath, [bin, ...words.split(' ')], folder));
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(ended[0]?.said).toMatch(/hello +2 +@daily in UTC +hello\.dag\.yaml/);
    expect(ended[1]?.said).toContain('└─ greet');
    expect(ended[2]?.said).toContain('greet[1] | hello moon of ');
    expect(ended[2]?.said).toContain('hello success');
  });

  test('leads to a DAG as a module, and a schema for editors', () => {
    const folder = join(consumer, 'modules');
    mkdirSync(folder);
    const page = readFileSync(join(installed, 'docs/reference/dag-files.md'), 'utf8');
    const [, code = ''] = /```ts\n(.*?)```/s.exec(page) ?? [];
    writeFileSync(join(folder, 'weather.dag.mjs'), code);
    const bin = join(installed, 'dist/main/bin.js');
    const ended = run(process.execPath, [bin, 'dag', 'validate', '.'], folder);
    expect(ended).toEqual({ code: 0, said: expect.stringContaining('weather') });
    const [, schema = ''] = /\$schema=\.\/node_modules\/holdfast\/(\S+)/.exec(page) ?? [];
    expect(existsSync(join(installed, schema))).toBe(true);
  });

  test('names only files that are there', () => {
    const links = [...readme().matchAll(/\]\(((?!https?:)[^)#]+)[^)]*\)/g)].map(([, to = '']) => to);
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter((to) => !existsSync(join(installed, to)))).toEqual([]);
  });
});
