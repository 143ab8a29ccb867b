// `holdfast dev` from nothing to accepting calls.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from './figures.mjs';
import { bin, exited, follow, until } from './processes.mjs';

export async function devReady(rounds) {
  const times = [];
  for (let i = 0; i < rounds; i++) {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
    const addressFile = join(directory, 'address.json');
    const args = [
      'dev',
      '--port',
      '0',
      '--db-file',
      join(directory, 'dev.db'),
      '--address-file',
      addressFile,
    ];
    const begin = performance.now();
    const child = follow(spawn(process.execPath, [bin, ...args], { stdio: 'ignore' }));
    await until(() => existsSync(addressFile), 15_000, 'holdfast dev did not come up');
    times.push(performance.now() - begin);
    child.kill('SIGTERM');
    await exited(child);
    rmSync(directory, { recursive: true, force: true });
  }
  return { readyMs: median(times) };
}
