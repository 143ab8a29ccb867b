// Breaks one rule at a time in a copy of the Python worker, and asks the kit's case for that rule to fail. The reference
// itself knows nothing of it. A text that is not found exactly once is a failure too: that row would test nothing.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BROKEN_RULES } from './broken.mjs';
import { conformance } from './kit.mjs';
import { PYTHON } from './world.mjs';

/** What every broken worker still has to pass: one that cannot even start would fail all cases alike. */
const SOUND = 'hello.first';

/** Plays every broken worker, a few at a time; `tell(good, what, detail)` hears of each. */
export async function breakRules(tell, parallel = 5) {
  const left = [...BROKEN_RULES];
  const play = async () => {
    for (let broken = left.shift(); broken !== undefined; broken = left.shift()) await breakOne(broken, tell);
  };
  await Promise.all(Array.from({ length: parallel }, play));
}

async function breakOne({ rule, noticedBy, changes }, tell) {
  const what = `${noticedBy} notices when broken: ${rule}`;
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-broken-'));
  try {
    cpSync(PYTHON, folder, { recursive: true });
    for (const change of changes) replaceOnce(folder, ...change);
    const cases = await conformance([join(folder, 'worker')], { only: [SOUND, noticedBy], limitMs: 120_000 });
    const [sound, played] = [SOUND, noticedBy].map((id) => cases.find((one) => one.id === id));
    const noticed = sound?.outcome === 'pass' && played?.outcome === 'fail';
    const seen = [sound, played].map((one) => one?.seen ?? 'there is no such case').join('; ');
    tell(noticed, what, noticed ? '' : `it did not: ${seen}`);
  } catch (error) {
    tell(false, what, error instanceof Error ? error.message : String(error));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function replaceOnce(folder, file, find, put) {
  const path = join(folder, 'holdfast_worker', file);
  const parts = readFileSync(path, 'utf8').split(find);
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${find.trim()}`);
  writeFileSync(path, parts.join(put));
}
