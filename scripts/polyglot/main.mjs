// `npm run test:polyglot`: agents in other languages, built from the protos alone, against a real coordinator and against the
// conformance kit. It finds or installs Python and Go, and says what it did.
//   npm run test:polyglot -- [python] [go] [kit] [rules]    only some parts; all when none is named
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CASES } from '../../dist/testing/conformance/index.js';
import { GO_CHECKS } from './go.mjs';
import { conformance } from './kit.mjs';
import { PYTHON_CHECKS } from './python.mjs';
import { breakRules } from './rules.mjs';
import { GO, PYTHON, ROOT, World } from './world.mjs';

const PARTS = ['python', 'go', 'kit', 'rules'];
/** A check that hangs is a check that fails. */
const LIMIT_MS = 90_000;
/** What a minimal worker is asked: the handshake and the gate. */
const GO_TOPICS = new Set(['hello', 'handshake', 'offer', 'permit', 'gate', 'inventory', 'skew']);
const GO_CASES = CASES.map(({ id }) => id).filter((id) => GO_TOPICS.has(id.split('.')[0]));

const { positionals } = parseArgs({ allowPositionals: true, options: {} });
const unknown = positionals.filter((part) => !PARTS.includes(part));
if (unknown.length > 0) {
  console.error(`error: there is no part ${unknown.join(', ')}; the parts are ${PARTS.join(', ')}`);
  process.exit(2);
}
const wanted = new Set(positionals.length > 0 ? positionals : PARTS);
let passed = 0;
let failed = 0;

function tell(good, what, detail = '') {
  if (good) passed += 1;
  else failed += 1;
  console.log(
    `  ${good ? 'pass' : 'FAIL'}  ${what}${detail === '' ? '' : `\n        ${detail.replaceAll('\n', '\n        ')}`}`,
  );
}

/** Runs a setup script; what it says is shown. Its languages cannot be tested when it fails, which is a failure. */
function setUp(folder) {
  const { status, stdout, stderr } = spawnSync(join(folder, 'setup'), { encoding: 'utf8', timeout: 400_000 });
  process.stdout.write(stdout ?? '');
  tell(status === 0, `${folder.slice(ROOT.length)}/setup`, status === 0 ? '' : (stderr ?? '').slice(-2000));
  return status === 0;
}

async function check([name, play, pace]) {
  const world = await World.open(pace);
  let timer;
  try {
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`it did not end within ${LIMIT_MS / 1000} s`)), LIMIT_MS);
    });
    await Promise.race([play(world), late]);
    tell(true, name);
  } catch (error) {
    tell(false, name, `${error instanceof Error ? error.message : String(error)}\n${world.tails()}`);
  } finally {
    clearTimeout(timer);
    await world.close();
  }
}

/** A few at a time: most of each is waiting. */
async function checkAll(title, checks, parallel = 4) {
  console.log(`\n${title}`);
  const left = [...checks];
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) await check(next);
    }),
  );
}

async function playKit(title, command, only = []) {
  console.log(`\n${title}`);
  const cases = await conformance(command, { only });
  const musts = cases.filter(({ level }) => level === 'must');
  for (const { id, outcome, seen } of musts) tell(outcome === 'pass', id, outcome === 'pass' ? '' : seen);
  tell(musts.length > 0, `${musts.length} musts were played`);
  for (const { id, outcome, level, seen } of cases) {
    if (level !== 'must' && outcome !== 'pass') console.log(`  note  ${id} (${level}): ${outcome}: ${seen}`);
  }
}

const python = ['python', 'kit', 'rules'].some((part) => wanted.has(part)) && setUp(PYTHON);
const go = ['go', 'kit'].some((part) => wanted.has(part)) && setUp(GO);
const worker = [join(PYTHON, 'worker')];

if (python && wanted.has('python'))
  await checkAll('The Python worker with a real coordinator', PYTHON_CHECKS);
if (go && wanted.has('go')) await checkAll('The Go worker with a real coordinator', GO_CHECKS);
if (python && wanted.has('kit')) await playKit('The Python worker and the conformance kit', worker);
if (go && wanted.has('kit'))
  await playKit(
    'The Go worker and the conformance kit: handshake and gate',
    [join(GO, 'generated/bin/go-worker')],
    GO_CASES,
  );
if (python && wanted.has('rules')) {
  console.log('\nThe Python worker with one rule broken at a time: the kit must notice');
  await breakRules(tell);
}

console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
