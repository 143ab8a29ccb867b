import type { TriggerRow } from '../../../core/dag/rows.js';
import { CORE_KINDS } from '../../../core/dag/trigger-book.js';
import type { HistoryRow } from '../../../core/rows.js';
import type { Puts } from '../../../store/store.js';
import type { DagsJudged } from './judge.js';
import type { DagRows } from './rows.js';
import { firingOf } from './trigger-thread.js';

/** P16 and I8: who is given a trigger, and which events count. */
export class TriggerJudge {
  readonly #rows: DagRows;
  readonly #judged: DagsJudged;
  /** Firings that have counted. */
  readonly #taken = new Set<string>();
  #highestToken = 0n;

  constructor(rows: DagRows, judged: DagsJudged) {
    this.#rows = rows;
    this.#judged = judged;
  }

  begin({ history, dags, tasks }: Puts): () => void {
    const before = new Map<string, TriggerRow | undefined>();
    for (const { triggerId } of dags?.triggers ?? [])
      before.set(triggerId, this.#rows.triggers.get(triggerId));
    const resumed = new Map(tasks.map(({ row }) => [row.taskId, row.resume?.event ?? '']));
    const waiting = new Map<string, TriggerRow>();
    for (const { triggerId } of dags?.triggerRemovals ?? []) {
      const row = this.#rows.triggers.get(triggerId);
      if (row !== undefined) waiting.set(row.taskId, row);
    }
    return () => {
      // One commit may draw several tokens; its rows come in no order.
      const rows = [...(dags?.triggers ?? [])].sort((a, b) => Number(a.token - b.token));
      for (const row of rows) {
        const known = before.get(row.triggerId);
        if (row.token !== (known?.token ?? 0n)) this.#assigned(row);
      }
      for (const row of history) this.#history(row, waiting.get(row.taskId), resumed.get(row.taskId) ?? '');
    };
  }

  #fault(rule: string, what: string): void {
    this.#judged.broken({ rule, what });
  }

  #assigned({ triggerId, token, epoch, agentId, kind }: TriggerRow): void {
    const { sessions, workload, areClocksBounded } = this.#judged;
    if (token <= this.#highestToken)
      this.#fault('I1', `${triggerId} is assigned with the old token ${token}`);
    this.#highestToken = token;
    const session = sessions.get(epoch);
    const serves = session?.state === 'live' && session.triggerKinds.includes(kind);
    if (!serves || CORE_KINDS.has(kind)) this.#fault('P16', `${triggerId} goes to ${agentId}, which cannot`);
    let count = 0;
    for (const other of this.#rows.triggers.values()) if (other.epoch === epoch) count++;
    if (count > (session?.slots ?? 0)) this.#fault('P16', `${agentId} has ${count} triggers`);
    if (!areClocksBounded) return;
    for (const other of workload.stillHolding(triggerId))
      if (other !== agentId) this.#fault('I8', `${triggerId} goes to ${agentId}, and goes on at ${other}`);
  }

  /** What a trigger of a triggerer has come to counts once, and under its newest token only. */
  #history(
    { event, reason, taskId, token }: HistoryRow,
    trigger: TriggerRow | undefined,
    payload: string,
  ): void {
    const fails =
      (event === 'failed' || event === 'try_failed') && reason === 'trigger_failed' && token === 0n;
    if (event !== 'resumed' && !fails) return;
    if (trigger === undefined) return this.#fault('P16', `${taskId} goes on, and nothing was waited for`);
    if (CORE_KINDS.has(trigger.kind) || payload === BY_HAND) return;
    // Cleared or cancelled by the same commit.
    if (event === 'resumed' && payload === '') return;
    const wanted = firingOf(trigger);
    if (event === 'resumed' && payload !== wanted)
      this.#fault('P16', `${taskId} goes on with ${payload}, and ${wanted} is the newest assignment`);
    const fired = this.#judged.workload.fired.get(wanted);
    if (fired === undefined || fired.fails !== fails)
      this.#fault('P16', `${taskId} goes on with an event that never was: ${wanted}`);
    if (this.#taken.has(wanted)) this.#fault('I8', `the event ${wanted} counts twice`);
    this.#taken.add(wanted);
  }
}

/** What operators of the simulator fire triggers with. */
export const BY_HAND = '{"by":"hand"}';
