import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { Bundle } from './support/bundle.js';
import { PausingProxy } from './support/proxy.js';
import { Site } from './support/site.js';

const H = 500;
const EVERY_SECOND = `schedule: { every: 1s }\nmax_active_runs: 1000`;

let site: Site;
let bundle: Bundle;
beforeEach(async () => {
  site = await Site.start('--heartbeat-interval', `${H}ms`);
  bundle = new Bundle(site);
});
afterEach(() => site.close());

test('what is in the files is in force, and follows them: new, changed, gone', async () => {
  bundle.dag('first');
  bundle.processor('p');
  await bundle.shows('first');
  bundle.dag('second');
  await bundle.shows('first', 'second');
  bundle.dag('first', 'description: changed');
  await bundle.until('the second version', ({ dag }) => dag('first')?.definitionVersion === 2);
  bundle.remove('first.dag.yaml');
  await bundle.shows('second');
});

test('a file that is broken keeps its DAGs as they last were, and since when is known', async () => {
  bundle.dag('etl');
  const processor = bundle.processor('p');
  await bundle.shows('etl');
  bundle.write('etl.dag.yaml', 'dag_id: etl\nscedule: daily\ntasks: { a: { command: [x] } }\n');
  const broken = await bundle.until('the import error', ({ dag }) => dag('etl')?.importError != null);
  const error = broken.dag('etl')?.importError;
  expect(error?.message).toMatch(/^etl\.dag\.yaml:2:1: .*did you mean schedule\?/);
  expect(broken.dag('etl')).toMatchObject({ active: true, definitionVersion: 1 });
  await processor.says('did you mean schedule');
  bundle.write('etl.dag.yaml', 'still: wrong\n');
  const other = await bundle.until(
    'the other error',
    ({ dag }) => dag('etl')?.importError?.message !== error?.message,
  );
  expect(other.dag('etl')?.importError?.since).toBe(error?.since);
  bundle.dag('etl', 'description: mended');
  const mended = await bundle.until('the mended one', ({ dag }) => dag('etl')?.definitionVersion === 2);
  expect(mended.dag('etl')?.importError).toBeNull();
});

test('without its DAG processor every DAG stays and gets its runs; what changes is seen once it is back', async () => {
  bundle.dag('etl', EVERY_SECOND);
  const processor = bundle.processor('p');
  await bundle.shows('etl');
  await processor.kill();
  bundle.dag('new');
  bundle.remove('etl.dag.yaml');
  await site.agentReaches('p', 'FAILED');
  const before = await bundle.look();
  const after = await bundle.until('runs without any agent', ({ runs }) => runs > before.runs + 2);
  expect(after.inForce).toEqual(['etl']);
  bundle.processor('p');
  const back = await bundle.shows('new');
  expect(back.dag('etl')).toMatchObject({ active: false });
});

test('kill -9 of the coordinator loses no DAG, and a processor that is cut off meanwhile sends only what changed', async () => {
  bundle.dag('etl', EVERY_SECOND);
  const processor = bundle.processor('p');
  await bundle.shows('etl');
  await site.server.kill();
  bundle.dag('new');
  await processor.says('"dags":2');
  await site.startServer();
  expect((await bundle.look()).inForce).toContain('etl');
  await bundle.shows('etl', 'new');
  const later = await bundle.until('further runs', ({ runs }) => runs > 2);
  expect(later.dag('etl')?.definitionVersion).toBe(1);
  // Nothing has changed since: after another restart there is nothing to send.
  const sent = (): number => processor.stderr.split('snapshot_in_force').length - 1;
  const before = sent();
  await site.server.kill();
  await site.startServer();
  await eventually('the hold again', () => processor.stderr.split('"event":"bundle_held"').length >= 4);
  await site.agentReaches('p', 'HEALTHY');
  expect(sent()).toBe(before);
});

test('of two processors of one bundle one counts; after its kill -9 and its lease the other one does', async () => {
  bundle.dag('etl');
  const first = bundle.processor('first');
  await first.says('this processor holds the bundle');
  const second = bundle.processor('second');
  await second.says('this one stands by');
  await bundle.shows('etl');
  await first.kill();
  bundle.dag('new');
  expect((await bundle.look()).inForce).toEqual(['etl']);
  await second.says('this processor holds the bundle');
  expect((await bundle.shows('etl', 'new')).bundle?.agentId).toBe('second');
  const back = bundle.processor('first');
  await back.says('this one stands by');
});

test('a SIGTERM is a goodbye: the next processor holds the bundle at once', async () => {
  bundle.dag('etl');
  const first = bundle.processor('first');
  await first.says('this processor holds the bundle');
  const second = bundle.processor('second');
  await second.says('this one stands by');
  await bundle.shows('etl');
  first.signal('SIGTERM');
  expect(await first.exited).toEqual({ code: 0, signal: null });
  await second.says('this processor holds the bundle');
  expect((await bundle.look()).inForce).toEqual(['etl']);
});

test('a processor that dies in the middle of a snapshot leaves the one before in force', async () => {
  bundle.dag('etl');
  const proxy = await PausingProxy.start(site.address);
  site.atClose(() => proxy.close());
  const processor = bundle.processor('p', { coordinator: proxy.address });
  const before = await bundle.shows('etl');
  const half = proxy.pauseAfter(1_500_000);
  // Large, and without the DAG that was there. All of it comes at once: half of it would be a snapshot as well.
  for (let n = 0; n < 40; n++)
    bundle.dag(`large-${n}`, `description: ${'x'.repeat(1_000)}\n${params(100)}`, '.coming/');
  bundle.move('.coming', 'large');
  bundle.remove('etl.dag.yaml');
  await half;
  await processor.kill();
  await site.agentReaches('p', 'FAILED');
  const after = await bundle.look();
  expect(after.inForce).toEqual(['etl']);
  expect(after.bundle).toEqual(before.bundle);
  // Another one brings all of it, past the network that is still stuck.
  bundle.processor('q');
  await bundle.until('the large ones', ({ inForce }) => inForce.length === 40);
});

const params = (count: number): string =>
  `params:\n${Array.from({ length: count }, (_, n) => `  p${n}: { type: string, default: ${'y'.repeat(900)} }`).join('\n')}`;

test('files that hang, explode or are enormous harm nobody but themselves', async () => {
  bundle.dag('good');
  bundle.write('hangs.dag.mjs', 'for (;;) ;\n');
  bundle.write('dies.dag.mjs', "process.kill(process.pid, 'SIGKILL');\nawait new Promise(() => {});\n");
  bundle.write('eats.dag.mjs', 'const all = []; for (;;) all.push(new Array(1e6).fill(Math.random()));\n');
  bundle.write('huge.dag.yaml', `dag_id: huge\ndescription: "${'x'.repeat(9_000_000)}"\n`);
  const processor = bundle.processor('p', { flags: ['--parse-timeout', '3s'] });
  const first = await bundle.shows('good');
  const files = first.bundle?.importErrors.map(({ file }) => file);
  expect(files).toEqual(['dies.dag.mjs', 'eats.dag.mjs', 'hangs.dag.mjs', 'huge.dag.yaml']);
  bundle.dag('next');
  await bundle.shows('good', 'next');
  // Its heartbeats never stopped: it is in its first session still.
  expect((await site.agentShown('p')).sessionEpoch).toBe('1');
  expect(processor.isOver).toBe(false);
});

test('dev runs a DAG of ./dags that waits for a trigger, with an agent of each kind, and ends them all', async () => {
  bundle.write(
    'etl.dag.yaml',
    'dag_id: etl\ntasks:\n  first: { command: [echo, one] }\n  then: { needs: first, wait: { kind: delta, input: { for: 1s } }, command: [echo, two] }\n',
  );
  const addressFile = site.path('dev.json');
  const dev = site.run('dev', '--port', '0', '--db-file', site.path('dev.db'), '--address-file', addressFile);
  await dev.says('the snapshot is in force');
  expect(dev.stdout).toContain(`DAG processor  dev-dag-processor, DAG files in ${bundle.folder}`);
  expect(dev.stdout).toContain('triggerer      dev-triggerer, 10000 triggers');
  const { grpc } = JSON.parse(readFileSync(addressFile, 'utf8')) as { grpc: string };
  const run = site.run('dag', 'trigger', 'etl', '--wait', '--coordinator', grpc);
  expect(await run.exited).toEqual({ code: 0, signal: null });
  dev.signal('SIGINT');
  expect(await dev.exited).toEqual({ code: 0, signal: null });
});
