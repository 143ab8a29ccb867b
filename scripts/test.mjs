// `npm test [-- jest arguments]`: build, type-check the tests, scripts and examples, run jest. `--no-build` goes straight to jest.
import { resolve } from 'node:path';
import { must, root, run } from './tool.mjs';

const args = process.argv.slice(2).filter((arg) => arg !== '--no-build');
if (!process.argv.includes('--no-build')) {
  must(process.execPath, [resolve(root, 'scripts/build.mjs')]);
  must('tsc', ['-p', 'scripts/config/tsconfig.test.json']);
  must('tsc', ['-p', 'scripts/config/tsconfig.scripts.json']);
}

// Flags of Node, not NODE_OPTIONS: jest's own workers inherit them, the programs that tests start do not.
const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const jest = resolve(root, 'node_modules/jest/bin/jest.js');
process.exit(run(process.execPath, [...flags, jest, '--config', 'scripts/config/jest.config.mjs', ...args]));
