import type { AgentId } from '../kit/ids.js';
import { deferTask } from './dag/triggers.js';
import type { Draft } from './draft.js';
import { closeAsLost, failTry, voidPermit } from './failure.js';
import type { Acknowledgement, Disposition } from './frames.js';
import type { Report } from './inputs.js';
import { noteOverlap, type Overlap, overlapOf } from './overlap.js';
import { about, askedOf, fulfil } from './requests.js';
import type { HistoryRow, OpenPermit, TaskRow } from './rows.js';
import { firstMatch } from './rules.js';
import { move } from './task.js';

/** The history events that record an end report: once one of them bears a token, that token's outcome stands (I2). */
const RECORDED: ReadonlySet<string> = new Set([
  'success',
  'skipped',
  'deferred',
  'failed',
  'try_failed',
  'never_started',
  'cancelled',
  'cleared',
  'marked',
  'lost_reported',
  'poison',
]);

/** Reasons of ends that the coordinator concluded from what it was not shown; another report is news (P10). */
const CONCLUDED: ReadonlySet<string> = new Set(['vanished', 'never_held', 'goodbye', 'session_over']);

interface ReportCase {
  readonly report: Report;
  readonly agentId: AgentId;
  /** The task whose open token it is. */
  readonly open: (TaskRow & { readonly open: OpenPermit }) | null;
  /** The task it names. */
  readonly task: TaskRow | undefined;
  /** Whether the token was drawn here, and nothing that was drawn is missing (P18). */
  readonly drawn: boolean;
  readonly history: readonly HistoryRow[];
}

/** What becomes of a report. The first row that matches. */
export const REPORT_RULES: readonly {
  readonly name: Disposition;
  readonly when: (c: ReportCase) => boolean;
}[] = [
  // P10: any instance of the agent that the token was permitted to may report, late or not.
  { name: 'recorded', when: ({ open, agentId }) => open !== null && open.open.agentId === agentId },
  { name: 'foreign', when: ({ open }) => open !== null },
  // Drawn here for a task that is gone: only retention removes tasks, and only finished ones.
  { name: 'stale', when: ({ task, drawn }) => task === undefined && drawn },
  { name: 'unknown', when: ({ task, report }) => task === undefined || report.token > task.lastToken },
  { name: 'unknown', when: ({ history, report }) => !history.some((row) => row.token === report.token) },
  { name: 'foreign', when: (c) => c.history.some((row) => permittedToOther(row, c)) },
  { name: 'already_recorded', when: (c) => c.history.some((row) => recordedBefore(row, c)) },
  { name: 'stale', when: () => true },
];

function permittedToOther(row: HistoryRow, c: ReportCase): boolean {
  const gave = row.event === 'permitted' || row.event === 'regained';
  return gave && row.token === c.report.token && row.agentId !== c.agentId;
}

/** A token that was closed by something else than its report bears try_lost: what is reported with it later is stale. */
function recordedBefore(row: HistoryRow, c: ReportCase): boolean {
  const { token } = c.report;
  if (row.token !== token || !RECORDED.has(row.event)) return false;
  const concluded = row.event === 'never_started' ? 'never_started' : 'lost';
  if (CONCLUDED.has(row.reason) && c.report.kind !== concluded) return false;
  return !c.history.some((other) => other.token === token && other.event === 'try_lost');
}

/** Judges a report (P10): recorded if its token is open and was permitted to this agent, else refused and kept apart. */
export function judgeReport(draft: Draft, agentId: AgentId, report: Report): Acknowledgement {
  const byToken = draft.openTask(report.token);
  const open = byToken?.open ? (byToken as TaskRow & { readonly open: OpenPermit }) : null;
  const task = open ?? draft.task(report.taskId);
  const history = open === null && task !== undefined ? draft.historyOf(task.taskId) : [];
  const drawn =
    report.token <= draft.state.counters.token && draft.state.recovery === null && !draft.losesCommits;
  const c: ReportCase = { report, agentId, open, task, history, drawn };
  const disposition = firstMatch('report', REPORT_RULES, draft.ctx.tally, c)?.name ?? 'stale';
  if (disposition === 'recorded' && open !== null) recordReport(draft, open, report);
  else if (task !== undefined && disposition !== 'already_recorded') keepApart(draft, task, c, disposition);
  return { token: report.token, disposition };
}

/** The outcome of an open token (I2): closes it. Coming back in time, it is not charged (P10). */
function recordReport(draft: Draft, late: TaskRow & { readonly open: OpenPermit }, report: Report): void {
  const { lost } = late.open;
  const task = lost === null ? late : { ...late, open: { ...late.open, lost: null }, losses: uncharge(late) };
  switch (report.kind) {
    case 'success':
      return recordSuccess(draft, task, report, lost !== null);
    case 'skipped':
      return recordSkip(draft, task, report, lost !== null);
    case 'deferred':
      return deferTask(draft, task, report);
    case 'failed':
      failTry(draft, task, report);
      return;
    case 'killed':
      recordKilled(draft, task, report, lost?.charged ?? false);
      return;
    case 'never_started':
      voidPermit(draft, task, report.reason === '' ? 'gate_closed' : report.reason);
      return;
    case 'lost':
      closeAsLost(
        draft,
        task,
        lost?.rule !== 'storm_brake',
        report.reason === '' ? 'agent_lost' : report.reason,
      );
      return;
  }
}

type Open = TaskRow & { readonly open: OpenPermit };

function recordSuccess(draft: Draft, task: Open, report: Report, late: boolean): void {
  // A handler has no exit code, whatever the report's field says.
  const exitCode = task.handler === '' ? report.exitCode : null;
  const change = { result: report.result, resultType: report.resultType, exitCode };
  const done = move(task, 'succeedTask', { ...change, endedAt: draft.ctx.wall });
  draft.put(done, { event: 'success', ...about(task.open), message: late ? LATE : '' });
}

const LATE = 'reported after its agent was lost';

/** There was nothing to do. A task that belongs to no run has nobody who would ask which of the two it was. */
function recordSkip(draft: Draft, task: Open, report: Report, late: boolean): void {
  if (task.instance === null) return recordSuccess(draft, task, report, late);
  const { message } = report;
  const skipped = move(task, 'skipTask', { reason: 'skipped', message, endedAt: draft.ctx.wall });
  draft.put(skipped, { event: 'skipped', ...about(task.open), reason: 'skipped', message });
}

/** P15: killed is final if an operator or a timeout asked for it, else the try is lost; a session that lives charges nothing. */
function recordKilled(draft: Draft, task: TaskRow, report: Report, charge: boolean): void {
  const asked = askedOf(task);
  if (asked !== null) fulfil(draft, task, asked);
  else if (task.stopRequest?.kind === 'timeout')
    failTry(draft, task, { ...report, reason: 'execution_timeout', final: false });
  else closeAsLost(draft, task, charge, report.reason === '' ? 'killed' : report.reason);
}

/** P10: what came back in time is not charged. */
export function uncharge(task: TaskRow): TaskRow['losses'] {
  return task.open?.lost ? task.losses.filter((loss) => loss.token !== task.open?.token) : task.losses;
}

/** I10: a report with a closed or foreign token changes nothing but the history, and that a bounded number of times. */
function keepApart(draft: Draft, late: TaskRow, c: ReportCase, disposition: Disposition): void {
  const { report, agentId } = c;
  const overlap = disposition === 'stale' ? overlapProvenBy(draft, c) : null;
  if (overlap !== null) noteOverlap(draft, late, agentId, report.token, overlap);
  const task = draft.task(late.taskId) ?? late;
  draft.notes.push({
    kind: 'late_report',
    agentId,
    taskId: task.taskId,
    token: report.token,
    disposition,
    reported: report.kind,
  });
  const refused = draft.historyOf(task.taskId).filter((row) => row.event === 'late_report_refused');
  if (refused.length >= draft.ctx.policy.limits.lateReportNotes) return;
  if (refused.some((row) => row.token === report.token && row.agentId === agentId)) return;
  draft.put(task, {
    event: 'late_report_refused',
    agentId,
    tryNumber: c.history.find((row) => row.token === report.token)?.tryNumber ?? 0,
    token: report.token,
    reason: disposition,
    message: `reported ${report.kind}`,
  });
}

/** Of a run that is gone without an outcome nobody knows how long it lasted. */
function overlapProvenBy(draft: Draft, { history, report }: ReportCase): Overlap | null {
  if (report.ranMs === undefined || report.kind === 'lost' || report.kind === 'never_started') return null;
  return overlapOf(history, report.token, report.ranMs, draft.ctx.wall);
}
