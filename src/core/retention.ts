import type { ServiceMs } from '../kit/time.js';
import { between, later } from '../kit/time.js';
import { type EndedRuns, pruneRuns } from './dag/retention.js';
import { isActive } from './dag/state.js';
import type { Draft } from './draft.js';
import type { Context } from './inputs.js';
import { isFinal, type TaskRow } from './rows.js';

/** A task that has ended, as retention looks at it. */
export interface FinishedTask {
  /** Without its result. */
  readonly row: TaskRow;
  /** When it ended, on the service clock. */
  readonly finishedAt: ServiceMs;
}

/** A stretch of the finished tasks, in the order in which they ended. */
export interface FinishedStretch {
  readonly tasks: readonly FinishedTask[];
  /** How many finished tasks the store has in all. */
  readonly total: number;
  readonly ended: EndedRuns;
}

interface KeepCase {
  readonly draft: Draft;
  readonly task: TaskRow;
}

/** Why a task stays, whatever its age. The first row that matches. */
const KEEP_RULES: readonly { readonly name: string; readonly when: (c: KeepCase) => boolean }[] = [
  { name: 'not_ended', when: ({ task }) => !isFinal(task.state) },
  { name: 'token_open', when: ({ task }) => task.open !== null },
  // The same batch has written to it: its row is not the one that was read.
  { name: 'changed_meanwhile', when: ({ draft, task }) => draft.tasks.has(task.taskId) },
  // The same batch has its run go on.
  { name: 'of_active_run', when: ({ draft, task }) => isOfActiveRun(draft, task) },
  // Its token is closed, but the run still stops, or its report waits: what comes of it shall find its history.
  { name: 'still_held', when: ({ draft, task }) => isHeld(draft, task) },
];

interface GoCase {
  readonly draft: Draft;
  readonly finished: FinishedTask;
  /** Finished tasks beyond the limit, those that this draft removes left out. */
  readonly excess: number;
}

/** Why a task goes. The first row that matches; when none does, it and all that ended later are kept. */
const GO_RULES: readonly { readonly name: string; readonly when: (c: GoCase) => boolean }[] = [
  { name: 'count', when: ({ excess }) => excess > 0 },
  {
    name: 'age',
    when: ({ draft, finished }) =>
      between(finished.finishedAt, draft.ctx.service) > draft.ctx.policy.retention.ageMs,
  },
];

/**
 * Tasks that ended later than this stay, by the rules above; null when any may go. Whoever reads them for a step need not
 * look at those: there may be many that no step takes, the instances of runs that go on.
 */
export function goesUntil(
  total: number,
  { policy, service }: Pick<Context, 'policy' | 'service'>,
): ServiceMs | null {
  return total > policy.retention.count ? null : later(service, -policy.retention.ageMs);
}

/** Removes what is over the limits. Returns the last task that was looked at; null when the rest may stay. */
export function decidePrune(draft: Draft): FinishedTask | null {
  const { finished } = draft.loaded;
  if (finished === null) return null;
  pruneRuns(draft, finished.ended);
  let excess = finished.total - draft.ctx.policy.retention.count;
  let last: FinishedTask | null = null;
  for (const task of finished.tasks) {
    if (!GO_RULES.some((rule) => rule.when({ draft, finished: task, excess }))) return null;
    last = task;
    if (KEEP_RULES.some((rule) => rule.when({ draft, task: task.row }))) continue;
    draft.remove(task.row);
    excess--;
  }
  return last;
}

function isOfActiveRun({ dags }: Draft, { instance }: TaskRow): boolean {
  const run = instance === null ? undefined : dags.peek(instance.run);
  return run !== undefined && isActive(run.row);
}

/** Whether the agent of its newest token, or one that a try was lost with, still shows that token. */
function isHeld({ state }: Draft, task: TaskRow): boolean {
  const tokens = [...task.losses, { token: task.lastToken, agentId: task.lastAgentId }];
  return tokens.some(({ token, agentId }) => {
    if (agentId === '') return false;
    const epoch = state.newest.get(agentId);
    const presence = epoch === undefined ? undefined : state.presences.get(epoch);
    return presence !== undefined && presence.inventory.phase(token) !== null;
  });
}
