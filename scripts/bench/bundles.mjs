// A bundle of many DAGs: all of it for the first time, one file of it changed, every file changed.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../dist/client/index.js';
import { ask, bin, cpuSeconds, exited, follow, residentKib, startCoordinator, until } from './processes.mjs';

const DAGS_A_FILE = 10;
const LIMIT_MS = 300_000;

/** What `dags` DAGs of three tasks each cost the coordinator, and how long they take from the file to being in force. */
export async function bundleRounds(dags) {
  const coordinator = await startCoordinator('5s', [], true);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const bundle = join(folder, 'dags');
  mkdirSync(bundle);
  const files = dags / DAGS_A_FILE;
  for (let n = 0; n < files; n++) writeFile(bundle, n, 'first');
  const client = connect(coordinator.address);
  const newest = async () => (await client.dags.bundles())[0];
  const measure = async (change) => {
    await ask(coordinator.child);
    const cpuBefore = cpuSeconds(coordinator.pid);
    const before = (await newest())?.receivedAt?.getTime() ?? 0;
    const begin = performance.now();
    change();
    const isThere = async () => {
      const told = await newest();
      return told !== undefined && (told.receivedAt?.getTime() ?? 0) > before && told.dagCount === dags;
    };
    await until(isThere, LIMIT_MS, 'the snapshot never came into force');
    const tookMs = performance.now() - begin;
    const cpuMs = 1_000 * (cpuSeconds(coordinator.pid) - cpuBefore);
    return { tookMs, cpuMs, lagMs: (await ask(coordinator.child)).lagMs };
  };
  let processor;
  try {
    const first = await measure(() => {
      processor = startProcessor(coordinator.address, folder, bundle);
    });
    const one = await measure(() => writeFile(bundle, 0, 'second'));
    const all = await measure(() => {
      for (let n = 0; n < files; n++) writeFile(bundle, n, 'third');
    });
    return {
      ...named('first', first),
      ...named('oneFile', one),
      ...named('all', all),
      residentMib: residentKib(coordinator.pid) / 1024,
    };
  } finally {
    client.close();
    processor?.kill('SIGTERM');
    if (processor !== undefined) await exited(processor);
    (await coordinator.stop()).remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

const named = (name, { tookMs, cpuMs, lagMs }) => ({
  [`${name}Ms`]: tookMs,
  [`${name}CpuMs`]: cpuMs,
  [`${name}LagMs`]: lagMs.longest,
});

function writeFile(bundle, n, description) {
  const dags = Array.from({ length: DAGS_A_FILE }, (_, i) => ({
    dag_id: `dag-${n}-${i}`,
    description,
    schedule: `${i} ${n % 24} * * *`,
    tasks: {
      extract: { command: ['echo', '{{ ds }}'] },
      transform: { needs: 'extract', command: ['true'] },
      load: { needs: 'transform', command: ['true'] },
    },
  }));
  writeFileSync(join(bundle, `file-${n}.dag.json`), JSON.stringify(dags));
}

function startProcessor(address, folder, bundle) {
  const args = ['agent', 'start', '--kind', 'dag-processor', '--bundle', bundle, '--coordinator', address];
  const own = ['--agent-id', 'bench', '--state-dir', join(folder, 'state'), '--log-level', 'error'];
  return follow(spawn(process.execPath, [bin, ...args, ...own], { stdio: ['ignore', 'ignore', 'inherit'] }));
}
