import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from '@jest/globals';

const root = resolve(import.meta.dirname, '../..');
const released = readdirSync(import.meta.dirname).filter((name) => name.startsWith('protos-'));
const folder = mkdtempSync(join(tmpdir(), 'holdfast-breaking-'));
const agentService = join(folder, 'holdfast/v1/agent_service.proto');
beforeEach(() => cpSync(resolve(root, 'proto'), folder, { recursive: true }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `buf breaking` says of the changed copy of proto/; '' when nothing breaks. */
function breaks(release: string): string {
  const buf = resolve(root, 'node_modules/.bin/buf');
  const against = resolve(import.meta.dirname, release);
  const ended = spawnSync(buf, ['breaking', folder, '--against', against], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${resolve(root, 'node_modules/.bin')}:${process.env.PATH}` },
  });
  if (ended.error) throw ended.error;
  expect(ended.stderr).toBe('');
  expect(ended.status === 0).toBe(ended.stdout === '');
  return ended.stdout;
}

function change(from: string, to: string): void {
  const text = readFileSync(agentService, 'utf8');
  expect(text).toContain(from);
  writeFileSync(agentService, text.replace(from, to));
}

test('the first release is among the protos that are kept', () => {
  expect(released).toContain('protos-0.1.0');
});

describe.each(released)('against %s', (release) => {
  test('the protos as they are break nothing', () => {
    expect(breaks(release)).toBe('');
  });

  test('a new field and a new arm break nothing', () => {
    change('  uint64 seq = 1;', '  uint64 seq = 1;\n  string novelty = 1000;');
    change('    Hello hello = 1;', '    Hello hello = 1;\n    Goodbye novelty = 1000;');
    expect(breaks(release)).toBe('');
  });

  test.each([
    ['a field of another number', '  uint64 applied = 2;', '  uint64 applied = 1002;'],
    ['a field of another type', '  uint64 applied = 2;', '  string applied = 2;'],
    ['a field of another name', '  uint64 applied = 2;', '  uint64 applied_number = 2;'],
    ['an enum value that is gone', '  REPORT_KIND_LOST = 5;', '  reserved 5;'],
    ['a stream that is none any more', 'returns (stream ConnectResponse)', 'returns (ConnectResponse)'],
  ])('%s is told', (_, from, to) => {
    change(from, to);
    expect(breaks(release)).toContain('agent_service.proto');
  });
});
