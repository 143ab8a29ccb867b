// `npm run golden`: adds the bytes of messages and fields that are new in proto/ to test/compat/golden, and changes no
// line that is there. `-- --release` also keeps the protos as they are as those of the version in package.json: what
// `npm run lint` holds every later change against, and what the agent of test/e2e/first-release is built from.
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { root } from '../tool.mjs';
import { grown, parseFixtures, textOf, wanted } from './fixtures.mjs';
import { definitionOf } from './samples.mjs';

const file = resolve(root, 'test/compat/golden/messages.tsv');
const onFile = existsSync(file) ? parseFixtures(readFileSync(file, 'utf8')) : [];
const { all, added, changed } = grown(onFile, wanted(definitionOf(resolve(root, 'proto'))));
for (const { name } of changed) {
  console.error(`${name} has other bytes than it had: programs that are out there could not read it.`);
}
if (changed.length > 0) process.exit(1);
writeFileSync(file, textOf(all));
console.log(
  `${all.length} messages on file, ${added.length} of them new: ${[...new Set(added.map(({ name }) => name))].join(' ') || 'none'}`,
);

if (process.argv.includes('--release')) {
  const { version } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8'));
  const folder = resolve(root, 'test/compat', `protos-${version}`);
  if (existsSync(folder)) {
    console.error(`test/compat/protos-${version} is there already: what is released does not change.`);
    process.exit(1);
  }
  cpSync(resolve(root, 'proto/holdfast'), resolve(folder, 'holdfast'), { recursive: true });
  console.log(`test/compat/protos-${version} keeps the protos as they are.`);
}
