import type { Ack, Welcome } from '../../core/frames.js';
import type { HistoryRow, OpenPermit } from '../../core/rows.js';
import type { Epoch, StreamId, TaskId, Token } from '../../kit/ids.js';
import type { Violation } from '../checker/index.js';
import type { RowsAuditor } from './rows-auditor.js';

/** P15: when a request to stop must have been told on a stream that is heard, in heartbeat intervals. */
const TOLD_WITHIN_H = 2;

/** What an agent must be told of. */
const REQUESTED: ReadonlySet<string> = new Set([
  ...['cancel_requested', 'timeout_requested', 'clear_requested', 'mark_requested'],
]);

type Rows = Pick<RowsAuditor, 'tasks' | 'sessions' | 'removals'>;
type Broken = (found: Omit<Violation, 'at'>) => void;

/** Judges what agents are told by what is on the disk: verdicts on returning runs, requests to stop, acknowledgements. */
export class Answers {
  readonly #rows: Rows;
  readonly #now: () => number;
  readonly #ending: ReadonlySet<Token>;
  readonly broken: Broken;
  /** Agent and token of each report that was acknowledged as recorded: after lost commits a number may be drawn twice. */
  readonly #settled = new Set<string>();
  readonly #taskOf = new Map<Token, TaskId>();
  readonly #cancelled = new Set<TaskId>();
  /** Open tokens whose end was asked for, and since when the coordinator knows it: null while its commit is on its way back. */
  readonly #asked = new Map<Token, { readonly taskId: TaskId; readonly at: number | null }>();
  /** Stream and token of each stop and cancellation that was told. */
  readonly #told = new Set<string>();

  constructor(rows: Rows, now: () => number, ending: ReadonlySet<Token>, broken: Broken) {
    this.#rows = rows;
    this.#now = now;
    this.#ending = ending;
    this.broken = broken;
  }

  committed({ event, taskId, token }: HistoryRow): void {
    if (event === 'permitted') this.#taskOf.set(token, taskId);
    if (event === 'cancel_requested') this.#cancelled.add(taskId);
    if (event === 'retried' || event === 'cleared') this.#cancelled.delete(taskId);
    if (REQUESTED.has(event)) this.#asked.set(token, { taskId, at: null });
    // P15: a cancel that waits for the end of a run is final with it: no other try follows.
    if (event !== 'permitted' || !this.#cancelled.has(taskId)) return;
    const what = `${taskId} was cancelled, and is tried again with token ${token}`;
    this.broken({ rule: 'P15', taskId, what });
  }

  /** The commit has come back, or the coordinator has begun anew with what the disk has. */
  known(): void {
    for (const [token, { taskId, at }] of this.#asked)
      if (at === null) this.#asked.set(token, { taskId, at: this.#now() });
  }

  /** P10: a returning agent that is told to keep a run has it in its new session. */
  welcomed(streamId: StreamId, { epoch, verdicts }: Welcome): void {
    for (const verdict of verdicts) {
      if (verdict.kind === 'stop') this.#told.add(key(streamId, verdict.token));
      const open = verdict.kind === 'keep' ? this.#openOf(verdict.token) : undefined;
      if (open === undefined || (open.epoch === epoch && open.lost === null)) continue;
      const what = `session ${epoch} may keep token ${open.token}, which is not its own`;
      this.broken({ rule: 'P10', agentId: open.agentId, what });
    }
  }

  acked(streamId: StreamId, ack: Ack, epoch: Epoch | undefined): void {
    for (const { token } of [...ack.cancellations, ...ack.stops]) this.#told.add(key(streamId, token));
    // P1: its failing is on the disk, and the coordinator still waits to hear so: from the decision on nothing is acknowledged.
    if (epoch !== undefined && this.#rows.sessions.get(epoch)?.state === 'failed')
      this.broken({ rule: 'P1', what: `session ${epoch} has failed, and a heartbeat of it is acknowledged` });
    if (epoch !== undefined) this.#mustBeTold(streamId, epoch);
    const agentId = epoch === undefined ? undefined : this.#rows.sessions.get(epoch)?.agentId;
    for (const { token, disposition } of ack.acknowledgements) {
      const report = `${agentId}/${token}`;
      if (disposition === 'recorded') this.#settled.add(report);
      if (disposition !== 'stale' || !this.#settled.has(report)) continue;
      // The same report gets the same answer, however often it is repeated, as long as its task is kept.
      if (this.#rows.removals.removed.has(this.#taskOf.get(token) as TaskId)) continue;
      const what = `the report of token ${token} was recorded, and is stale when it is repeated`;
      this.broken({ rule: 'I2', what });
    }
  }

  /**
   * P15: who holds a run is asked for its end on the stream that it has, or in the Welcome of its next one. One that is
   * ending already, at its own gate say, or has ended, needs no word: its inventory shows it, and it reports.
   */
  #mustBeTold(streamId: StreamId, epoch: Epoch): void {
    const withinMs = TOLD_WITHIN_H * (this.#rows.sessions.get(epoch)?.heartbeatMs ?? 0);
    for (const [token, { taskId, at }] of this.#asked) {
      const open = this.#rows.tasks.get(taskId)?.open;
      if (open?.token !== token || this.#ending.has(token)) this.#asked.delete(token);
      else if (open.epoch === epoch && open.lost === null && at !== null && this.#now() - at > withinMs) {
        if (this.#told.has(key(streamId, token))) continue;
        const what = `the end of token ${token} is wanted, and ${open.agentId} is not told`;
        this.broken({ rule: 'P15', taskId, agentId: open.agentId, what });
      }
    }
  }

  #openOf(token: Token): OpenPermit | undefined {
    for (const { open } of this.#rows.tasks.values()) if (open?.token === token) return open;
    return undefined;
  }
}

function key(streamId: StreamId, token: Token): string {
  return `${streamId}/${token}`;
}
