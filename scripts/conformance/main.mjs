// `npm run conformance`: our own agents and our coordinator pass the kit; plain agents that are right pass it too, and each
// case notices what has the fault that it is there for. `-- --kind K` and `--faults` or `--ours` do a part of it.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  CASES,
  COORDINATOR_CASES,
  casesFor,
  conforms,
  failuresOf,
  KINDS,
  runCases,
  runCoordinatorCases,
  summaryOf,
  tableOf,
} from '../../dist/testing/conformance/index.js';
import { root } from '../tool.mjs';
import { FAULTS, LIES_NOTICED, PLAIN } from './faults.mjs';
import { lyingRelay } from './lying-relay.mjs';

const { values } = parseArgs({
  options: {
    kind: { type: 'string', multiple: true },
    faults: { type: 'boolean', default: false },
    ours: { type: 'boolean', default: false },
    parallel: { type: 'string', default: '4' },
  },
});
const kinds = [...KINDS, 'coordinator'].filter(
  (kind) => values.kind === undefined || values.kind.includes(kind),
);
const both = values.faults === values.ours;
const aborted = new AbortController();
process.once('SIGINT', () => aborted.abort());
// Ends the agents that are being played against as well.
process.once('SIGTERM', () => process.exit(1));

const play = (kind, command, cases, { heartbeatMs, patienceMs, fault = '' }) =>
  runCases({
    ...{ command: [process.execPath, ...command], cwd: root, kind, cases, heartbeatMs, patienceMs },
    // As somebody has it whose own coordinator speaks TLS: none of the kit's agents may be led astray by it.
    env: { ...process.env, HOLDFAST_FAULT: fault, HOLDFAST_TLS_CA: '/of/another/coordinator.pem' },
    ...{ parallel: Number(values.parallel), signal: aborted.signal, told: () => {} },
  });

const USUAL = { heartbeatMs: 500, patienceMs: 10_000 };
/** What a faulty agent does not do is waited for in vain. */
const HASTY = { heartbeatMs: 500, patienceMs: 4_000 };
let failed = 0;

function judge(title, results, judged) {
  console.log(`\n${title}`);
  console.log(tableOf(results) + failuresOf(results) + summaryOf(results, judged));
  if (!conforms(results)) failed++;
}

const passes = async (title, kind, command, cases = casesFor(CASES, kind, [])) =>
  judge(title, await play(kind, command, cases, USUAL), 'agent');

/** Each case of a table against what has its fault: it has to fail. `playOne` plays one case, and gives its result. */
async function notices(title, faults, playOne) {
  const table = Object.entries(faults);
  const waiting = [...table];
  const missed = [];
  const lane = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [id, fault] = next;
      const [result] = await playOne(id, fault);
      const told = `${result?.outcome ?? 'no such case'}: ${result?.seen.split('\n')[0] ?? ''}`;
      console.log(`${id.padEnd(24)} ${fault.padEnd(22)} ${told}`);
      if (result?.outcome !== 'fail') missed.push(id);
    }
  };
  console.log(`\n${title} with one fault each: the case has to fail`);
  await Promise.all(Array.from({ length: Number(values.parallel) }, lane));
  const not = missed.length > 0 ? `, not: ${missed.join(' ')}` : '';
  console.log(`${table.length - missed.length} of ${table.length} faults noticed${not}`);
  failed += missed.length;
}

/** Our coordinator as a process, at an interval that makes leases short. */
async function withCoordinator(use) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-conformance-'));
  const told = join(folder, 'address.json');
  const files = ['--db-file', join(folder, 'holdfast.db'), '--address-file', told];
  const flags = ['server', 'start', '--port', '0', '--heartbeat-interval', '600ms', ...files];
  const server = spawn(process.execPath, [resolve(root, 'dist/main/bin.js'), ...flags], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, HOLDFAST_LOG_LEVEL: 'error' },
  });
  const exited = new Promise((done) => server.on('close', done));
  try {
    for (let left = 600; !existsSync(told) && left > 0; left--) await pause(50);
    await use(JSON.parse(readFileSync(told, 'utf8')).grpc);
  } finally {
    server.kill('SIGKILL');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  }
}

const playCoordinator = (address, cases, patienceMs) =>
  runCoordinatorCases({
    ...{ address, tls: null, patienceMs, cases, parallel: Number(values.parallel) },
    ...{ signal: aborted.signal, told: () => {} },
  });

async function coordinator(address) {
  if (both || values.ours) {
    const results = await playCoordinator(address, COORDINATOR_CASES, USUAL.patienceMs);
    judge('our coordinator', results, 'coordinator');
  }
  if (!both && !values.faults) return;
  await notices('coordinators', LIES_NOTICED, async (id, fault) => {
    const relay = await lyingRelay(address, fault);
    const cases = COORDINATOR_CASES.filter((one) => one.id === id);
    const results = await playCoordinator(relay.address, cases, HASTY.patienceMs);
    relay.close();
    return results;
  });
}

async function agents(kind) {
  if (both || values.ours) {
    await passes(`our ${kind}`, kind, ['dist/main/bin.js', 'agent', 'start', '--kind', kind]);
  }
  const program = PLAIN[kind];
  if (program === undefined || !(both || values.faults)) return;
  const path = resolve(import.meta.dirname, program);
  // What every kind is asked is shown with the worker: the plain agents of the other kinds are as plain as their cases let them.
  const noticed = CASES.filter(({ id }) => id in FAULTS[kind]);
  await passes(`a plain ${kind} without a fault`, kind, [path], noticed);
  await notices(`${kind} agents`, FAULTS[kind], (id, fault) => {
    const cases = CASES.filter((one) => one.id === id);
    return play(kind, [path], cases, { ...HASTY, fault });
  });
}

for (const kind of kinds) await (kind === 'coordinator' ? withCoordinator(coordinator) : agents(kind));
process.exit(failed === 0 ? 0 : 1);
