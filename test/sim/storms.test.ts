import { describe, expect, test } from '@jest/globals';
import type { Loss, SessionRow, TaskRow } from '../../src/core/rows.js';
import type { Epoch } from '../../src/kit/ids.js';
import type { WallMs } from '../../src/kit/time.js';
import { StormAudit } from '../../src/testing/sim/storms.js';
import { permit, put, puts, session, task, taskId } from '../store/rows.js';

const LEASE_MS = 15_000;

const lost = (changes: Partial<Loss>): Loss => ({
  ...{ at: 0 as WallMs, heldUntil: null, rule: 'reassign', charged: true },
  ...changes,
});
const epochs = (count: number) => Array.from({ length: count }, (_, i) => BigInt(i + 1));
const sessions = (count: number, changes: Partial<SessionRow> = {}) =>
  epochs(count).map((epoch) => session(epoch, changes));

/** So many workers fail at once, a task of the first with them. */
function fail(audit: StormAudit, count: number, loss: Partial<Loss>, at: number): string[] {
  const held = task(1, { state: 'running', open: permit(1n, { epoch: 1n as Epoch }) });
  const row: TaskRow = { ...held, open: permit(1n, { epoch: 1n as Epoch, lost: lost(loss) }) };
  const commit = puts({ sessions: sessions(count, { state: 'failed' }), tasks: [put(row)] });
  return audit.faultsOf(commit, new Map([[taskId(1), held]]), at).map(({ what }) => what);
}

/** Of six workers. */
function failed(count: number, loss: Partial<Loss>, isOn = true): string[] {
  const audit = new StormAudit(LEASE_MS, isOn);
  audit.faultsOf(puts({ sessions: sessions(6) }), new Map(), 0);
  return fail(audit, count, loss, 60_000);
}

const HELD = { rule: 'storm_brake', charged: false };

describe('the simulator', () => {
  test('sees work that is let go in a storm, and charged for it', () => {
    expect(failed(4, {})).toEqual([
      expect.stringContaining('is charged for a loss in a storm'),
      expect.stringContaining('is let go in a storm'),
    ]);
    expect(failed(4, HELD)).toEqual([]);
  });

  test('sees work that is held back without a storm: half of the workers, or where the brake is off', () => {
    const found = [expect.stringContaining('is held back without a storm')];
    expect(failed(3, HELD)).toEqual(found);
    expect(failed(4, HELD, false)).toEqual(found);
    expect(failed(3, {})).toEqual([]);
  });

  test('leaves out what one clock may count and another may not', () => {
    const doubtful = (loss: Partial<Loss>) => {
      const audit = new StormAudit(LEASE_MS, true);
      audit.faultsOf(puts({ sessions: sessions(6) }), new Map(), 0);
      const others = sessions(6, { state: 'failed' }).slice(4);
      audit.faultsOf(puts({ sessions: others }), new Map(), 60_000 - LEASE_MS);
      return fail(audit, 2, loss, 60_000);
    };
    expect(doubtful({})).toEqual([]);
    expect(doubtful(HELD)).toEqual([]);
  });

  test('takes those for alive that a coordinator finds at its start', () => {
    const audit = new StormAudit(LEASE_MS, true);
    audit.begunAnew(50_000, sessions(6));
    expect(fail(audit, 6, {}, 70_000)).toHaveLength(2);
    // It has begun to count earlier than it was seen to be up.
    const soon = new StormAudit(LEASE_MS, true);
    soon.begunAnew(50_000, sessions(6));
    expect(fail(soon, 3, {}, 64_600)).toEqual([]);
  });
});
