import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

const folder = resolve(import.meta.dirname, '../../examples/embed');

test('the example that embeds everything prints what its README shows', async () => {
  const [, shown] =
    /compares\):\n\n```\n(.*?)```/s.exec(readFileSync(resolve(folder, 'README.md'), 'utf8')) ?? [];
  const program = spawn(process.execPath, [resolve(folder, 'embed.mjs')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  let errors = '';
  program.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  program.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const code = await new Promise((ended) => program.on('close', ended));
  expect({ said, code, errors: code === 0 ? '' : errors }).toEqual({ said: shown, code: 0, errors: '' });
}, 120_000);
