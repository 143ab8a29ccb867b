import type { Draft } from '../core/draft.js';
import { notificationsOf } from '../core/notify.js';
import { isFinal, readyLane } from '../core/rows.js';
import { dueAt, wallDueAt } from '../core/task.js';
import type { Puts } from '../store/store.js';
import { dagPutsOf } from './dag-puts.js';

/** What a draft makes durable, with what the store finds its tasks by. */
export function putsOf(draft: Draft): Puts {
  const { leaseMs } = draft;
  const { service } = draft.ctx;
  const tasks = [...draft.tasks.values()].map((row) => ({
    row,
    lane: readyLane(row),
    dueAt: dueAt(row, leaseMs),
    wallDueAt: wallDueAt(row),
    finishedAt: isFinal(row.state) ? service : null,
  }));
  return {
    removals: [...draft.removals].map(([taskId, version]) => ({ taskId, version })),
    tasks,
    specs: draft.specs,
    history: draft.history,
    agents: [...draft.agents.values()],
    agentRemovals: [...draft.agentRemovals].map(([agentId, version]) => ({ agentId, version })),
    sessions: [...draft.sessions.values()],
    queues: [...draft.queues.values()],
    notifications: notificationsOf(draft),
    counters: draft.counters,
    dags: dagPutsOf(draft.touchedDags),
  };
}
