import { describe, expect, test } from '@jest/globals';
import { failedToStart } from '../../src/agent/reports.js';
import type { StartFailure } from '../../src/agent/runner/index.js';
import type { TaskId, Token } from '../../src/kit/ids.js';

const RUN = { token: 7n as Token, taskId: 't' as TaskId, startedAtMs: null, endedAtMs: 1_000 };

describe('a start that fails', () => {
  const table: readonly (readonly [StartFailure['code'], string, string])[] = [
    ['RUNNER_LOST', 'never_started', 'runner_lost'],
    ['GATE_CLOSED', 'never_started', 'gate_closed'],
    ['LIMIT', 'never_started', 'limit'],
    ['DUPLICATE', 'never_started', 'duplicate'],
    ['ENOENT', 'failed', 'start_failed'],
    ['SPAWN', 'failed', 'start_failed'],
  ];
  test.each(table)(
    'with %s is reported as %s: only what the command is to blame for uses a retry',
    (code, kind, reason) => {
      expect(failedToStart(RUN, { runId: '7', code, text: 'why' })).toMatchObject({ kind, reason });
    },
  );
});
