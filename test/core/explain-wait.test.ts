import { describe, expect, test } from '@jest/globals';
import { explain } from '../../src/core/explain.js';
import { DagWorld, deferral } from './dag/support.js';

async function explained(change: Parameters<typeof deferral>[0], triggerer = false) {
  const world = await DagWorld.with([]);
  await world.worker();
  const taskId = await world.submit();
  await world.finish({ [taskId]: deferral(change) });
  if (triggerer) await world.triggerer('t1');
  return explain(world.engine.state, await world.task(taskId), world.engine.context());
}

describe('what is said of a deferred task', () => {
  test('is what it waits for, and that nobody can wait for it', async () => {
    const { summary, findings } = await explained({});
    expect(summary).toBe('deferred: waits for an event (date_time), without a slot');
    expect(findings).toMatchObject([{ code: 'deferred', try: 'holdfast agent start --kind triggerer' }]);
    expect(findings[0]?.message).toContain('which no triggerer has');
  });

  test('is which triggerer waits for it, and when the wait times out', async () => {
    const { findings, next } = await explained({ timeoutMs: 60_000 }, true);
    expect(findings[0]?.message).toContain('which triggerer t1 has');
    expect(next).toMatchObject([{ code: 'deferral_timeout', inMs: 60_000 }]);
    expect(findings.map(({ code }) => code)).toEqual(['deferred']);
  });

  test('is the kind that was probably meant by one that nobody has', async () => {
    const { findings } = await explained({ kind: 'fille', input: '{}' }, true);
    expect(findings[0]?.message).toMatch(/\(fille\), which no triggerer has: .* \(did you mean file\?\)$/);
    expect(findings[0]?.try).toMatch(/^correct the kind, or start a triggerer that has it/);
  });

  test('is how to fire what waits for somebody', async () => {
    const { findings } = await explained({ kind: 'external', input: '{}' });
    expect(findings[0]?.try).toContain('holdfast trigger fire task-');
  });
});
