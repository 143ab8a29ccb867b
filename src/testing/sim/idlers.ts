import { canServe } from '../../core/placement.js';
import type { SessionRow, TaskRow } from '../../core/rows.js';
import type { AgentId, TaskId } from '../../kit/ids.js';

/** An agent as its machine sees it. */
export interface SeenAgent {
  readonly agentId: AgentId;
  /** Its process runs, has a stream, and neither drains nor is cordoned. */
  readonly isWell: boolean;
  /** Runs that it has, and that it is about to start. */
  readonly busy: number;
  /** Its live session; null without one. */
  readonly session: SessionRow | null;
}

/**
 * K17: once faults are over, no task waits in the queue beside an agent that could run it. An agent counts as idle for as
 * long as it is well, has a free slot at every look and is permitted nothing: then whatever else waits cannot have gone
 * first. Tasks with a concurrency key are left out, for they may wait for one another.
 */
export class Idlers {
  readonly #limitMs: number;
  readonly #idleSince = new Map<AgentId, number>();
  /** Of those that were ready at the last look. */
  #readySince = new Map<TaskId, number>();

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** The agent is permitted something: it is not idle, whatever the next look shows. */
  permitted(agentId: AgentId): void {
    this.#idleSince.delete(agentId);
  }

  /** What has waited for longer than the limit beside an agent that was idle all the time; null when nothing has. */
  look(
    now: number,
    tasks: Iterable<TaskRow>,
    agents: readonly SeenAgent[],
  ): { taskId: TaskId; what: string } | null {
    for (const { agentId, isWell, busy, session } of agents) {
      const isIdle = isWell && session !== null && busy < session.slots;
      if (!isIdle) this.#idleSince.delete(agentId);
      else if (!this.#idleSince.has(agentId)) this.#idleSince.set(agentId, now);
    }
    const overdue = (since: number | undefined) => since !== undefined && now - since > this.#limitMs;
    const idle = agents.filter(({ agentId }) => overdue(this.#idleSince.get(agentId)));
    const before = this.#readySince;
    this.#readySince = new Map();
    for (const task of tasks) {
      if (task.state !== 'queued' || task.notBefore !== null || task.concurrencyKey !== '') continue;
      const since = before.get(task.taskId) ?? now;
      this.#readySince.set(task.taskId, since);
      if (!overdue(since)) continue;
      const able = idle.find(({ session }) => session !== null && canServe(session, task));
      if (able === undefined) continue;
      const ms = Math.round(now - since);
      return {
        taskId: task.taskId,
        what: `it has waited ${ms} ms in the queue while ${able.agentId} had a free slot`,
      };
    }
    return null;
  }
}
