// One DAG of thousands of tasks: for how long each step with it keeps the coordinator's loop from anything else.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../dist/client/index.js';
import { ask, bin, exited, follow, startCoordinator, until } from './processes.mjs';

const LIMIT_MS = 60_000;

/** The longest turn of the loop while a DAG of `n` tasks is taken in, run, shown, watched, cancelled and cleared. */
export async function largeDag(n) {
  const coordinator = await startCoordinator('5s', [], true);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const bundle = join(folder, 'dags');
  mkdirSync(bundle);
  const tasks = Object.fromEntries(
    Array.from({ length: n }, (_, i) => [`task-${i}`, { command: ['echo', '{{ ds }}', `${i}`] }]),
  );
  writeFileSync(join(bundle, 'large.dag.json'), JSON.stringify({ dag_id: 'large', tasks }));
  const client = connect(coordinator.address);
  const figures = {};
  const measure = async (name, step) => {
    await ask(coordinator.child);
    const begin = performance.now();
    const found = await step();
    figures[`${name}Ms`] = performance.now() - begin;
    figures[`${name}TurnMs`] = (await ask(coordinator.child)).lagMs.longest;
    return found;
  };
  const args = ['agent', 'start', '--kind', 'dag-processor', '--bundle', bundle, '--agent-id', 'bench'];
  const own = ['--coordinator', coordinator.address, '--state-dir', join(folder, 'state')];
  const processor = follow(
    spawn(process.execPath, [bin, ...args, ...own, '--log-level', 'error'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    }),
  );
  try {
    await measure('check', () =>
      until(
        async () => (await client.dags.bundles())[0]?.dagCount === 1,
        LIMIT_MS,
        'the DAG never came into force',
      ),
    );
    const { runId } = await measure('trigger', () => client.dags.trigger('large'));
    await measure('begin', () =>
      until(
        async () => (await client.runs.get('large', runId)).instances.length === n,
        LIMIT_MS,
        'not every task has an instance',
      ),
    );
    await measure('get', () => client.runs.get('large', runId));
    await measure('watch', async () => {
      let seen = 0;
      for await (const _ of client.runs.watch('large', runId)) if (++seen > n) break;
    });
    const ended = async () => (await client.runs.get('large', runId)).run.state === 'cancelled';
    await measure('cancel', async () => {
      await client.runs.cancel('large', runId);
      await until(ended, LIMIT_MS, 'the run never ended');
    });
    await measure('clear', async () => {
      await client.runs.clear('large', runId);
      const isThrough = async () =>
        (await client.runs.get('large', runId)).instances.every(({ state }) => state !== 'cancelled');
      await until(isThrough, LIMIT_MS, 'not everything was cleared');
    });
    return { tasks: n, ...figures };
  } finally {
    client.close();
    processor.kill('SIGTERM');
    await exited(processor);
    (await coordinator.stop()).remove();
    rmSync(folder, { recursive: true, force: true });
  }
}
