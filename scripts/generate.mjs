// proto/ → src/wire/gen. Does nothing while neither the protos nor the options changed; `--force` generates anyway.
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { replaceFolder, root, run } from './tool.mjs';

const template = 'scripts/config/buf.gen.yaml';
const gen = resolve(root, 'src/wire/gen');
const stampFile = resolve(gen, '.stamp');

/** What the generated code depends on: the protos, the options, and the generator itself. */
function stampOf(protos) {
  const hash = createHash('sha256');
  for (const file of [...protos, template, 'node_modules/ts-proto/package.json']) {
    hash.update(file).update(readFileSync(resolve(root, file)));
  }
  return hash.digest('hex');
}

export function generate({ force = false } = {}) {
  const protos = globSync('proto/**/*.proto', { cwd: root }).sort();
  if (protos.length === 0) return;
  const stamp = stampOf(protos);
  if (!force && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;

  // Generated aside: a failed run leaves the old stubs alone.
  const aside = resolve(root, `dist.gen-${process.pid}`);
  const code = run('buf', ['generate', 'proto', '--template', template, '--output', aside]);
  if (code === 0) {
    const fresh = resolve(aside, 'src/wire/gen');
    writeFileSync(resolve(fresh, '.stamp'), stamp);
    mkdirSync(resolve(gen, '..'), { recursive: true });
    replaceFolder(gen, fresh);
  }
  rmSync(aside, { recursive: true, force: true });
  if (code !== 0) process.exit(code);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  generate({ force: process.argv.includes('--force') });
}
