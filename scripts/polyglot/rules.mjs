// Breaks one rule at a time in a copy of the Python worker, and asks the kit's case for that rule to fail. The reference
// itself knows nothing of it. A text that is not found exactly once is a failure too: the table would test nothing.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { conformance } from './kit.mjs';
import { PYTHON } from './world.mjs';

/** What is broken, where, and the case of the kit that has to fail. */
const BROKEN_RULES = [
  {
    rule: 'P3: a permit that finds the gate closed is void',
    file: 'session.py',
    find: `        if self.draining or not self.gate.is_open(now):
            return self._void(permit.token, permit.task_id, "gate_closed")
`,
    put: '',
    also: { file: 'session.py', find: '            and self.gate.is_open(now)\n        )', put: '        )' },
    and: {
      file: 'keeper.py',
      find: 'if self.why is not None or self.gate_is_closed(clock.read()):',
      put: 'if self.why is not None:',
    },
    noticedBy: 'permit.gate-closed',
  },
  {
    rule: 'P3: with the gate closed nothing is asked for',
    file: 'session.py',
    find: 'return bool(self._stream.offers) and self.free_slots > 0 and self.gate.is_open(now)',
    put: 'return bool(self._stream.offers) and self.free_slots > 0',
    also: {
      file: 'session.py',
      find: '        if not self.gate.is_open(now):\n            return\n        for nonce',
      put: '        for nonce',
    },
    noticedBy: 'gate.closes',
  },
  {
    rule: 'handshake: nothing starts without a permit',
    file: 'session.py',
    find: '            self._asked[self._nonce] = task_id\n',
    put: '            pass\n',
    noticedBy: 'handshake.start',
  },
];

/** Plays every broken worker; `tell(good, what, detail)` hears of each. */
export async function breakRules(tell) {
  for (const broken of BROKEN_RULES) {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-broken-'));
    try {
      cpSync(PYTHON, folder, { recursive: true });
      for (const change of [broken, broken.also, broken.and])
        if (change !== undefined) replaceOnce(folder, change);
      const cases = await conformance([join(folder, 'worker')], {
        only: [broken.noticedBy],
        limitMs: 120_000,
      });
      const [only] = cases;
      tell(
        only?.outcome === 'fail',
        `${broken.noticedBy} notices: ${broken.rule}`,
        only?.outcome === 'fail' ? '' : (only?.seen ?? ''),
      );
    } catch (error) {
      tell(false, broken.rule, error instanceof Error ? error.message : String(error));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

function replaceOnce(folder, { file, find, put }) {
  const path = join(folder, 'holdfast_worker', file);
  const parts = readFileSync(path, 'utf8').split(find);
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${find.trim()}`);
  writeFileSync(path, parts.join(put));
}
