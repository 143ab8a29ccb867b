import { NO_NONCE, type TaskId, type Token } from '../kit/ids.js';
import type { Entry } from '../kit/inventory.js';
import type { Draft, Happening } from './draft.js';
import { canServe } from './placement.js';
import { about, askedOf } from './requests.js';
import { isFinal, type OpenPermit, type SessionRow, type TaskRow } from './rows.js';
import { firstMatch } from './rules.js';
import { leaveQueue, move } from './task.js';

type Run = Exclude<Entry, { readonly phase: 'asked' }>;

interface RegainCase {
  readonly draft: Draft;
  readonly session: SessionRow;
  readonly run: Run;
  readonly task: TaskRow | undefined;
}

/**
 * P18: what keeps a run from being taken back although its permit is not in the store. The first row that matches; none
 * means that the permit was among lost commits. An agent can hold a token above its task's newest in no other way, and
 * a newer permit is proof that whatever the store believes of the task's older token was over when it was given (I1).
 */
export const REGAIN_REFUSALS: readonly {
  readonly name: string;
  readonly when: (c: RegainCase) => boolean;
}[] = [
  { name: 'never_started', when: ({ run }) => run.phase === 'void' },
  // Submitted in the lost commits as well: nobody knows any more what it was.
  { name: 'task_unknown', when: ({ task }) => task === undefined },
  { name: 'not_newer', when: ({ run, task }) => run.token <= (task?.lastToken ?? run.token) },
  { name: 'never_drawn', when: ({ run, draft }) => run.token > draft.counters.token },
  { name: 'of_another_task', when: ({ run, draft }) => draft.openTask(run.token) !== undefined },
  { name: 'task_over', when: ({ task }) => task !== undefined && isFinal(task.state) },
  {
    name: 'not_served',
    when: ({ task, session }) => !task || !canServe(session, task),
  },
];

/**
 * Takes back the runs of a Hello whose permits were lost with the store's commits: their tokens are open again, and what
 * is reported or ruled on them after this is judged as ever.
 */
export function regainRuns(draft: Draft, session: SessionRow, inventory: readonly Entry[]): void {
  const runs = inventory.filter((entry): entry is Run => entry.phase !== 'asked');
  // Of two runs of one task the newer counts: its permit ended the older.
  for (const run of runs.sort((a, b) => (a.token < b.token ? 1 : -1))) {
    const task = draft.task(run.taskId);
    const c = { draft, session, run, task };
    const refusal = firstMatch('regain', REGAIN_REFUSALS, draft.ctx.tally, c);
    if (task === undefined || refusal !== undefined) continue;
    regainRun(draft, session, task, run.token);
  }
}

function regainRun(draft: Draft, session: SessionRow, task: TaskRow, token: Token): void {
  const older = task.open;
  const open: OpenPermit = {
    token,
    tryNumber: task.tryNumber + 1,
    agentId: session.agentId,
    instanceId: session.instanceId,
    epoch: session.epoch,
    nonce: NO_NONCE,
    permittedAt: draft.ctx.wall,
    permittedAtService: draft.ctx.service,
    lost: null,
  };
  const closed: Happening[] =
    older === null
      ? []
      : [{ event: 'try_lost', ...about(older), reason: older.lost === null ? 'commits_lost' : 'agent_lost' }];
  const regained = move(task, 'regainRun', {
    ...leaveQueue(task, draft.ctx.service),
    open,
    // A timeout was asked of the older run; what an operator asked is meant for the task.
    stopRequest: askedOf(task),
    tryNumber: open.tryNumber,
    lastToken: token,
    lastAgentId: open.agentId,
  });
  draft.put(regained, ...closed, { event: 'regained', ...about(open) });
  if (older !== null && older.lost === null)
    draft.sayTo(older.epoch)?.stops.push({ token: older.token, reason: 'superseded' });
  draft.notes.push({ kind: 'run_adopted', agentId: session.agentId, taskId: task.taskId, token });
}

/**
 * Whether a report may be of a run that its agent gets back once its Hello is accepted: a refused Hello must leave it
 * unanswered, because what is answered is forgotten.
 */
export function mayBeRegained(
  draft: Draft,
  report: { readonly token: Token; readonly taskId: TaskId },
): boolean {
  const task = draft.task(report.taskId);
  if (report.token > draft.counters.token) return true;
  return task !== undefined && !isFinal(task.state) && report.token > task.lastToken;
}
