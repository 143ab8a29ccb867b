import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { deferralFrom, isDeferral, readDeferral } from '../../src/agent/deferral.js';
import { reportFromJson, reportOf, reportToJson } from '../../src/agent/reports.js';
import type { RunEnd } from '../../src/agent/runner/index.js';
import type { TaskId, Token } from '../../src/kit/ids.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-deferral-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const trigger = { kind: 'delta', input: { for: '1m' } };

describe('what a task says of its wait', () => {
  test('is a trigger, with a state and a timeout if it likes', () => {
    expect(deferralFrom({ trigger })).toEqual({
      kind: 'delta',
      input: '{"for":"1m"}',
      state: '',
      timeoutMs: null,
    });
    expect(deferralFrom({ trigger: { kind: 'own' }, state: [1], timeout: '1h30m' })).toEqual({
      ...{ kind: 'own', input: 'null', state: '[1]', timeoutMs: 5_400_000 },
    });
    expect(deferralFrom({ trigger, timeout: 250 })).toMatchObject({ timeoutMs: 250 });
  });

  test.each([
    ['nothing', undefined],
    ['no trigger', { state: 1 }],
    ['a kind that is no name', { trigger: { kind: 'a b' } }],
    ['a timeout without a unit', { trigger, timeout: '90' }],
    ['a timeout that is over', { trigger, timeout: 0 }],
    ['a state that JSON cannot hold', { trigger, state: 1n }],
  ])('%s makes no sense', (_name, said) => {
    expect(deferralFrom(said)).toMatchObject({ reason: 'invalid_deferral' });
  });

  test.each(['input', 'state'])('has an %s of at most 64 KiB, counted in bytes', (name) => {
    const said = (count: number) => {
      const text = 'é'.repeat(count);
      return name === 'input' ? { trigger: { kind: 'own', input: text } } : { trigger, state: text };
    };
    expect(deferralFrom(said(32_767))).toMatchObject({ kind: expect.any(String) });
    expect(deferralFrom(said(32_768))).toMatchObject({ reason: 'deferral_too_large' });
  });
});

describe('a command', () => {
  const end = (exitCode: number): RunEnd => ({
    ...{
      runId: '1',
      executed: true,
      startedAtMs: null,
      endedAtMs: 2,
      exitCode,
      signal: null,
      stopReason: null,
      timedOut: false,
    },
    ...{ outOfMemory: null, outcome: null, outputTruncated: false },
  });
  const run = { token: 1n as Token, taskId: 't' as TaskId, startedAtMs: 1, endedAtMs: 2 };
  const reported = (exitCode: number, said: string | null, inRun = false) => {
    const deferral = join(folder, 'deferral');
    rmSync(deferral, { force: true });
    if (said !== null) writeFileSync(deferral, said);
    return reportOf(run, end(exitCode), { result: join(folder, 'none'), deferral, inRun });
  };

  test('defers by exit code 75 together with its file; either alone means what it always does', () => {
    expect(reported(75, JSON.stringify({ trigger }))).toMatchObject({
      kind: 'deferred',
      deferral: { kind: 'delta' },
    });
    expect(reported(75, null)).toMatchObject({ kind: 'failed', reason: 'exit_code', exitCode: 75 });
    expect(reported(75, '')).toMatchObject({ kind: 'failed', reason: 'exit_code' });
    expect(reported(0, JSON.stringify({ trigger }))).toMatchObject({ kind: 'success' });
    expect(reported(1, JSON.stringify({ trigger }))).toMatchObject({ kind: 'failed', reason: 'exit_code' });
  });

  test('that says nothing that makes sense fails, and says why', () => {
    expect(reported(75, 'later')).toMatchObject({ kind: 'failed', reason: 'invalid_deferral' });
    expect(reported(75, 'x'.repeat(200_000))).toMatchObject({ reason: 'deferral_too_large' });
  });

  test('of a DAG run is skipped by exit code 99, which is a failure anywhere else', () => {
    expect(reported(99, null, true)).toMatchObject({ kind: 'skipped' });
    expect(reported(99, null)).toMatchObject({ kind: 'failed', reason: 'exit_code' });
  });

  test('cannot make its agent read from a folder or a pipe', () => {
    const directory = join(folder, 'directory');
    mkdirSync(directory);
    expect(readDeferral(directory)).toBeNull();
  });

  test('has its deferral kept by the journal as it was', () => {
    const report = reported(75, JSON.stringify({ trigger, state: { n: 1 }, timeout: '1h' }));
    expect(reportFromJson(JSON.parse(JSON.stringify(reportToJson(report))))).toEqual(report);
    expect(isDeferral({ kind: 'delta', input: 1 })).toBe(false);
  });
});
