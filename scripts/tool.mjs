// What every script of this folder starts from: the root of the checkout, and tools run from its node_modules.
import { spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { delimiter, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '..');

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 14)) {
  console.error(
    `Holdfast needs Node 22.14 or newer, this is ${process.version}. ` +
      'The checkout brings its own: start scripts with `npm run`, not with a bare `node`.',
  );
  process.exit(2);
}

// The checkout's own Node comes first for grandchildren too (buf starts its plugin by the name `node`).
const path = [resolve(root, 'node_modules/.bin'), process.env.PATH].join(delimiter);

/** Runs a program of node_modules/.bin (or an absolute path) in the root; returns its exit code, 1 for a signal. */
export function run(program, args, { stdout = 'inherit' } = {}) {
  const ended = spawnSync(program, args, {
    cwd: root,
    env: { ...process.env, PATH: path },
    stdio: ['ignore', /** @type {'inherit' | 'pipe'} */ (stdout), 'inherit'],
  });
  if (ended.error) throw ended.error;
  return ended.status ?? 1;
}

/** Runs, and ends the whole script with the program's code when it fails. */
export function must(program, args, options) {
  const code = run(program, args, options);
  if (code !== 0) process.exit(code);
}

/** Puts a finished folder in place of another by renames: whoever reads meanwhile meets the old one or the new. */
export function replaceFolder(folder, fresh) {
  for (let attempt = 1; ; attempt++) {
    const old = `${folder}.old-${process.pid}`;
    try {
      if (existsSync(folder)) renameSync(folder, old);
      renameSync(fresh, folder);
      return;
    } catch (error) {
      // Another build put its folder there between the two renames; ours is as good, and newer.
      if (attempt === 5 || !['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(error.code)) throw error;
    } finally {
      rmSync(old, { recursive: true, force: true });
    }
  }
}
