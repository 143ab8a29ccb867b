import { NO_NONCE, NO_TOKEN, type TaskId, type Token } from '../kit/ids.js';
import type { Entry } from '../kit/inventory.js';
import type { Draft } from './draft.js';
import { closeVanished, voidPermit } from './failure.js';
import type { Acknowledgement, StopReason, Verdict } from './frames.js';
import type { Hello } from './inputs.js';
import { regainRuns } from './regain.js';
import { about, stopReasonOf } from './requests.js';
import type { OpenPermit, SessionRow, TaskRow } from './rows.js';
import { leaveQueue, move } from './task.js';
import { judgeReport, uncharge } from './token.js';

/**
 * Rules on everything that a Hello shows, and on what it does not show, before anything can be assigned: runs of lost
 * commits are taken back first (P18), then come finished results, then runs and requests, then the permits of this instance that are missing (P10, P13).
 */
export function judgeInventory(
  draft: Draft,
  session: SessionRow,
  hello: Hello,
  proven: boolean,
): { verdicts: Verdict[]; acknowledgements: Acknowledgement[] } {
  regainRuns(draft, session, hello.inventory);
  const acknowledgements = hello.reports.map((report) => judgeReport(draft, hello.agentId, report));
  const reported = new Set(hello.reports.map((report) => report.token));
  const verdicts = hello.inventory.map((entry) => judgeEntry(draft, session, entry, reported));
  closeMissing(draft, session, hello, proven);
  return { verdicts, acknowledgements };
}

/**
 * P15: the same batch may ask for the end of what a Welcome is about to keep, and its agent has no stream yet that could be told
 * so: the Welcome says it instead.
 */
export function ruleAgain(draft: Draft): void {
  for (const [i, attachment] of draft.attachments.entries()) {
    const { session, hello, verdicts } = attachment;
    if (draft.session(session.epoch)?.state !== 'live') continue;
    const ruled = hello.inventory.map((entry, n) => {
      const before = verdicts[n] as Verdict;
      return before.kind === 'keep' ? judgeEntry(draft, session, entry, NOTHING_REPORTED) : before;
    });
    draft.attachments[i] = { ...attachment, verdicts: ruled };
  }
}

const NOTHING_REPORTED: ReadonlySet<Token> = new Set();

type Run = Exclude<Entry, { readonly phase: 'asked' }>;

function judgeEntry(draft: Draft, session: SessionRow, entry: Entry, reported: ReadonlySet<Token>): Verdict {
  switch (entry.phase) {
    case 'asked':
      return judgeAsked(draft, session, entry);
    case 'running':
    case 'stopping':
      return judgeRun(draft, session, entry);
    case 'finished':
    case 'void':
    case 'lost':
      if (reported.has(entry.token)) return { kind: 'recorded', token: entry.token };
      // Its report will come in a heartbeat; until then it belongs to this session, as a run does.
      return judgeRun(draft, session, entry);
  }
}

/** A request is kept only if its permit is committed in this very session; it is then told again. */
function judgeAsked(draft: Draft, session: SessionRow, entry: Entry & { phase: 'asked' }): Verdict {
  const task = draft.task(entry.taskId);
  const open = task?.open;
  const permitted = open?.nonce === entry.nonce && open.instanceId === session.instanceId;
  if (permitted && open.epoch === session.epoch && open.lost === null && !task?.stopRequest) {
    return { kind: 'keep', token: NO_TOKEN, nonce: entry.nonce };
  }
  // A permit of an ended session is void for ever, and one to be stopped need not start: the agent is told never to.
  if (permitted && task) voidPermit(draft, task, 'session_over');
  return { kind: 'never_start', token: NO_TOKEN, nonce: entry.nonce };
}

function judgeRun(draft: Draft, session: SessionRow, { token, taskId }: Run): Verdict {
  const task = draft.openTask(token);
  const { open } = task ?? {};
  if (!task || !open) return { kind: 'stop', token, reason: closedReason(draft, taskId, token) };
  if (open.agentId !== session.agentId) return { kind: 'stop', token, reason: 'unknown' };
  if (open.lost !== null || open.epoch !== session.epoch) adoptRun(draft, task, open, session);
  const request = task.stopRequest;
  if (request === null) return { kind: 'keep', token, nonce: NO_NONCE };
  return { kind: 'stop', token, reason: stopReasonOf(request) };
}

/** A token above the newest of its task was never given, as far as the store knows (P18). */
function closedReason(draft: Draft, taskId: TaskId, token: Token): StopReason {
  return token > (draft.task(taskId)?.lastToken ?? NO_TOKEN) ? 'unknown' : 'superseded';
}

/** P10: a returning agent gets its started run back, into its new session; the loss is not charged. */
function adoptRun(draft: Draft, task: TaskRow, open: OpenPermit, session: SessionRow): void {
  const adopted: OpenPermit = { ...open, epoch: session.epoch, instanceId: session.instanceId, lost: null };
  const change = { open: adopted, losses: uncharge(task), ...leaveQueue(task, draft.ctx.service) };
  draft.put(move(task, 'adoptRun', change), { event: 'adopted', ...about(adopted) });
  draft.notes.push({ kind: 'run_adopted', agentId: session.agentId, taskId: task.taskId, token: open.token });
}

/** Permits of this instance, or of a predecessor proven dead, that the Hello shows neither by token nor by nonce. */
function closeMissing(draft: Draft, session: SessionRow, hello: Hello, proven: boolean): void {
  const held = new Set<Token>();
  const asked = new Set<bigint>();
  for (const entry of hello.inventory) {
    if (entry.phase === 'asked') asked.add(entry.nonce);
    else held.add(entry.token);
  }
  const dead = proven ? hello.proof?.instanceId : undefined;
  for (const task of draft.openTasksOf(session.agentId)) {
    const { open } = task;
    if (open === null || held.has(open.token)) continue;
    if (open.instanceId !== session.instanceId && open.instanceId !== dead) continue;
    // Nonces are an instance's own: a predecessor's may be the same number.
    if (open.instanceId === session.instanceId && asked.has(open.nonce)) continue;
    const presence = draft.state.presences.get(open.epoch);
    closeVanished(draft, task.taskId, presence?.shown.has(open.token) ?? open.lost?.charged ?? false);
  }
}
