// Protos to stubs, src/ to dist/. The new dist replaces the old one in a rename, so that a process started from it
// (another terminal's demo, a test's agent) never meets a half-written folder, and a failed compile changes nothing.
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { generate } from './generate.mjs';
import { replaceFolder, root, run } from './tool.mjs';

generate();
const dist = resolve(root, 'dist');
const fresh = `${dist}.new-${process.pid}`;

const code = run('tsc', ['-p', 'tsconfig.json', '--outDir', fresh, '--noEmitOnError']);
if (code !== 0) {
  rmSync(fresh, { recursive: true, force: true });
  process.exit(code);
}
// tsc writes files without the run bit.
const bin = resolve(fresh, 'main/bin.js');
if (existsSync(bin)) chmodSync(bin, 0o755);

replaceFolder(dist, fresh);
