import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** @type {import('jest').Config} */
export default {
  rootDir: root,
  roots: ['src', 'test'].map((folder) => resolve(root, folder)).filter((folder) => existsSync(folder)),
  testMatch: ['**/*.test.ts'],
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  // Sources name the file that tsc will write (`./lease.js`); jest runs the one that was written by hand.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        swcrc: false,
        jsc: { parser: { syntax: 'typescript' }, target: 'es2024' },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  // A process that is started takes a third of a second of a core, and there may be few of those to go round.
  testTimeout: 60_000,
  // More than cores of a small machine: the tests with real processes mostly wait.
  maxWorkers: Math.max(4, availableParallelism()),
};
