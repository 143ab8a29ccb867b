import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const scripts = resolve(import.meta.dirname, '../../scripts/reference');

function run(...args: string[]): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { code: status, said: stdout + stderr };
}

describe('the reference', () => {
  test('is what the program says of itself, and everything exported has a comment, its members too', () => {
    expect(run(join(scripts, 'main.mjs'), '--check')).toEqual({ code: 0, said: '' });
  });

  test('notices an export and a member without a comment, and what is exported through other files', () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-reference-'));
    writeFileSync(
      join(folder, 'index.d.ts'),
      "export * from './types.js';\nexport { hidden as shown } from './types.js';\n",
    );
    writeFileSync(
      join(folder, 'types.d.ts'),
      `/** Told. */
export interface Told {
    /** Told. */
    readonly a: string;
    readonly b: string;
    readonly never?: undefined;
}
export declare class Silent {
    #private;
    /** Told. */
    go(): void;
}
/** Told. */
export type Shape = {
    size: number;
};
declare const hidden: string;
export {};
`,
    );
    const code = `const { exportsOf, undocumented } = await import(${JSON.stringify(join(scripts, 'declarations.mjs'))});
      console.log(undocumented(exportsOf(${JSON.stringify(join(folder, 'index.d.ts'))})).join(' '));`;
    expect(run('--input-type=module', '-e', code).said.trim()).toBe('Shape.size shown Silent Told.b');
    rmSync(folder, { recursive: true });
  });
});
