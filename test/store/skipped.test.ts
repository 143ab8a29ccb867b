import { afterAll, expect, test } from '@jest/globals';
import { checkDatabase } from '../../src/store/sqlite/check.js';
import { openSqliteStore } from '../../src/store/sqlite/open.js';
import { DagWorld, dag, task } from '../core/dag/support.js';
import { folder } from './files.js';

const files = folder();
afterAll(() => files.end());

const NOTHING_WRONG = { findings: [], more: false };

/** A run on SQLite whose `then` was skipped before it had work: its gate said no. */
async function skipped(file: string) {
  const store = openSqliteStore({ file });
  const gated = dag('d', [task('gate', { shortCircuit: true }), task('then', { needs: ['gate'] })]);
  const w = await DagWorld.with([gated], undefined, {}, store);
  await w.worker();
  const run = await w.trigger('d');
  await w.finish({ gate: { result: 0 } });
  await w.finishAll();
  expect(await w.states(run)).toEqual({ gate: 'success', then: 'skipped' });
  return { w, run, store };
}

test('an instance that was skipped before it had work is nothing that server check complains of', async () => {
  const file = files.file('checked.db');
  const { store } = await skipped(file);
  await store.close();
  expect(checkDatabase(file)).toMatchObject({ tasks: 2, ...NOTHING_WRONG });
});

test('an instance that was skipped before it had work is offered with its handler once it is cleared', async () => {
  const file = files.file('cleared.db');
  const { w, run, store } = await skipped(file);
  const names = ['gate', 'then'].map((name) => ({ task: name, mapIndex: null }));
  const chosen = { upstream: false, downstream: false, onlyFailed: false, dryRun: false, reason: '' };
  await w.call({ action: 'clear', run: run.run, tasks: names, ...chosen });
  await w.finish({ gate: { result: 'go' } });
  // Another coordinator knows what the file says, and no more.
  await w.restart();
  const then = (await w.instances(run)).get('then');
  expect(then).toMatchObject({ state: 'running', handler: 'work' });
  const [spec] = await store.readSpecs(then === undefined ? [] : [then.taskId]);
  expect(spec?.work).toMatchObject({ kind: 'handler', name: 'work' });
  await store.close();
  expect(checkDatabase(file)).toMatchObject({ tasks: 2, ...NOTHING_WRONG });
});
