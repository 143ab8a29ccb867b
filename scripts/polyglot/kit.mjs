// The conformance kit against an agent, and what came of each case.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BIN } from './world.mjs';

/** Results of the cases that `only` names (all when empty), as `{ id, level, result, seen }`. */
export async function conformance(command, { only = [], parallel = 4, limitMs = 300_000 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-kit-'));
  const json = join(folder, 'results.json');
  const choice = only.length > 0 ? ['--only', only.join(',')] : [];
  const args = [
    'conformance',
    '--kind',
    'worker',
    '--parallel',
    `${parallel}`,
    '--json',
    json,
    ...choice,
    '--',
    ...command,
  ];
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (said += text));
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  try {
    await once(child, 'close');
    return JSON.parse(readFileSync(json, 'utf8')).cases;
  } catch {
    throw new Error(`the kit gave no results within ${limitMs / 1000} s:\n${said.slice(-2000)}`);
  } finally {
    clearTimeout(timer);
    rmSync(folder, { recursive: true, force: true });
  }
}
