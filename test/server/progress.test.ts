import { describe, expect, test } from '@jest/globals';
import type { TaskRow } from '../../src/core/rows.js';
import type { AgentId, Token } from '../../src/kit/ids.js';
import { ProgressBoard } from '../../src/server/progress.js';
import type { Watchers } from '../../src/server/watchers.js';
import { LIMITS } from '../../src/wire/limits.js';

/** A board over tasks that run on agent `a`, one for each token. */
class Scene {
  readonly open = new Map<Token, TaskRow>();
  readonly shown: string[] = [];
  readonly board: ProgressBoard;

  constructor() {
    const changed = (rows: ReadonlyMap<string, TaskRow>): void => void this.shown.push(...rows.keys());
    this.board = new ProgressBoard({ open: this.open } as never, { changed } as unknown as Watchers);
  }

  runs(token: bigint): TaskRow {
    const row = { taskId: `task-${token}`, open: { token, agentId: 'a' } } as unknown as TaskRow;
    this.open.set(token as Token, row);
    return row;
  }

  says(token: bigint, message: string, fraction?: number, agentId = 'a'): void {
    this.board.note(agentId as AgentId, { token, message, fraction, at: new Date(0) });
  }
}

describe('the progress of a run', () => {
  test('is the newest word of the agent that has its token, and is shown to who watches the task', () => {
    const scene = new Scene();
    const row = scene.runs(7n);
    scene.says(7n, 'first', 0.1);
    scene.says(7n, 'second', 0.2);
    scene.says(7n, 'not mine', 0.9, 'b');
    scene.says(8n, 'nobody runs this');
    expect(scene.board.of(row)).toMatchObject({ message: 'second', fraction: 0.2 });
    expect(scene.shown).toEqual(['task-7', 'task-7']);
  });

  test('is cut to its limits, and a fraction that is none is left out', () => {
    const scene = new Scene();
    const row = scene.runs(7n);
    scene.says(7n, 'x'.repeat(LIMITS.progressLength + 1), 7);
    expect(scene.board.of(row)).toMatchObject({ message: 'x'.repeat(LIMITS.progressLength), fraction: 1 });
    scene.says(7n, 'lost count', Number.NaN);
    expect(scene.board.of(row)?.fraction).toBeUndefined();
  });

  test('is not shown of a task that has no open token, and is forgotten once many are closed', () => {
    const scene = new Scene();
    const row = scene.runs(1n);
    scene.says(1n, 'here');
    expect(scene.board.of({ ...row, open: null })).toBeUndefined();
    scene.open.delete(1n as Token);
    expect(scene.board.of(row)).toBeDefined();
    for (let token = 2n; token < 200n; token++) {
      scene.runs(token);
      scene.says(token, 'here');
      scene.open.delete(token as Token);
    }
    expect(scene.board.of(row)).toBeUndefined();
  });
});
