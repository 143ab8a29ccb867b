// Every linter runs even when an earlier one complains: one round shows all there is to mend.
import { globSync } from 'node:fs';
import { generate } from './generate.mjs';
import { root, run } from './tool.mjs';

generate();
const checks = [
  ['biome', ['check', '--config-path=scripts/config', '--error-on-warnings', '.']],
  [
    'oxlint',
    [
      '-c',
      'scripts/config/oxlintrc.json',
      '--type-aware',
      '--tsconfig',
      'scripts/config/tsconfig.test.json',
      '--deny-warnings',
      '--ignore-pattern',
      'src/wire/gen',
      '--ignore-pattern',
      'test/package/fixtures',
      'src',
      'test',
      'scripts',
      'examples',
    ],
  ],
  ['knip', ['--config', 'scripts/config/knip.json', '--no-progress']],
];
if (globSync('proto/**/*.proto', { cwd: root }).length > 0) {
  checks.push(['buf', ['lint', 'proto']], ['buf', ['format', 'proto', '--diff', '--exit-code']]);
}
// Nothing that a released agent or client relies on may change: each release left its protos here.
for (const released of globSync('test/compat/protos-*', { cwd: root })) {
  checks.push(['buf', ['breaking', 'proto', '--against', released]]);
}
const failed = checks.filter(([program, args]) => run(program, args) !== 0);
process.exit(failed.length === 0 ? 0 : 1);
