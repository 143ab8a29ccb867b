// `npm run conformance`: our own agents pass the kit; plain agents that are right pass it too, and each case notices an agent
// with the fault that it is there for. `-- --kind K` and `--faults` or `--ours` do a part of it.
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  CASES,
  casesFor,
  conforms,
  failuresOf,
  KINDS,
  runCases,
  summaryOf,
  tableOf,
} from '../../dist/testing/conformance/index.js';
import { root } from '../tool.mjs';
import { FAULTS, PLAIN } from './faults.mjs';

const { values } = parseArgs({
  options: {
    kind: { type: 'string', multiple: true },
    faults: { type: 'boolean', default: false },
    ours: { type: 'boolean', default: false },
    parallel: { type: 'string', default: '4' },
  },
});
const kinds = KINDS.filter((kind) => values.kind === undefined || values.kind.includes(kind));
const both = values.faults === values.ours;
const aborted = new AbortController();
process.once('SIGINT', () => aborted.abort());

const play = (kind, command, cases, { heartbeatMs, patienceMs, fault = '' }) =>
  runCases({
    ...{ command: [process.execPath, ...command], cwd: root, kind, cases, heartbeatMs, patienceMs },
    env: { ...process.env, HOLDFAST_FAULT: fault },
    ...{ parallel: Number(values.parallel), signal: aborted.signal, told: () => {} },
  });

const USUAL = { heartbeatMs: 500, patienceMs: 10_000 };
/** What a faulty agent does not do is waited for in vain. */
const HASTY = { heartbeatMs: 500, patienceMs: 4_000 };
let failed = 0;

async function passes(title, kind, command, cases = casesFor(CASES, kind, [])) {
  console.log(`\n${title}`);
  const results = await play(kind, command, cases, USUAL);
  console.log(tableOf(results) + failuresOf(results) + summaryOf(results));
  if (!conforms(results)) failed++;
}

/** Each case against the agent that has its fault, one after the other of them. */
async function notices(kind, program) {
  const table = Object.entries(FAULTS[kind]);
  const waiting = [...table];
  const missed = [];
  const lane = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [id, fault] = next;
      const cases = CASES.filter((one) => one.id === id);
      const [result] = await play(kind, [program], cases, { ...HASTY, fault });
      console.log(
        `${id.padEnd(24)} ${fault.padEnd(18)} ${result?.outcome ?? 'no such case'}: ${result?.seen.split('\n')[0] ?? ''}`,
      );
      if (result?.outcome !== 'fail') missed.push(id);
    }
  };
  console.log(`\n${kind} agents with one fault each: the case has to fail`);
  await Promise.all(Array.from({ length: Number(values.parallel) }, lane));
  console.log(
    `${table.length - missed.length} of ${table.length} faults noticed${missed.length > 0 ? `, not: ${missed.join(' ')}` : ''}`,
  );
  failed += missed.length;
}

for (const kind of kinds) {
  if (both || values.ours) {
    await passes(`our ${kind}`, kind, ['dist/main/bin.js', 'agent', 'start', '--kind', kind]);
  }
  const program = PLAIN[kind];
  if (program === undefined || !(both || values.faults)) continue;
  const path = resolve(import.meta.dirname, program);
  // What every kind is asked is shown with the worker: the plain agents of the other kinds are as plain as their cases let them.
  const noticed = CASES.filter(({ id }) => id in FAULTS[kind]);
  await passes(`a plain ${kind} without a fault`, kind, [path], noticed);
  await notices(kind, path);
}
process.exit(failed === 0 ? 0 : 1);
