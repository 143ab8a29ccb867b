import { UNRUN_RULES } from '../../core/dag/advance.js';
import { EVENT_RULES } from '../../core/dag/trigger-events.js';
import { TRIGGERER_BLOCKS } from '../../core/dag/trigger-placement.js';
import { HOLD_RULES } from '../../core/failure.js';
import type {
  CloseReason,
  Disposition,
  Frame,
  HelloRefusal,
  Note,
  RefusalReason,
  StopReason,
  Verdict,
} from '../../core/frames.js';
import { EVENTS, type EventName } from '../../core/history.js';
import type { CallFault, Reply } from '../../core/inputs.js';
import { OFFER_BLOCKS } from '../../core/placement.js';
import { REGAIN_REFUSALS } from '../../core/regain.js';
import type { HistoryRow, TaskRow, TaskState } from '../../core/rows.js';
import type { RuleTable, Tally } from '../../core/rules.js';
import { HELLO_RULES } from '../../core/session.js';
import { REFUSALS } from '../../core/start.js';
import { EDGES, type Edge } from '../../core/task.js';
import { DUE_RULES } from '../../core/tick.js';
import { REPORT_RULES } from '../../core/token.js';
import type { Unanswered } from '../../engine/engine.js';
import type { TaskId } from '../../kit/ids.js';

/** A row of a rule table, or an answer, an event or an edge that the core knows. */
export interface CoverageRow {
  readonly key: string;
  /** Why it cannot decide in the simulator; null for a row that the workload must reach. */
  readonly exempt: string | null;
}

const TABLES: Readonly<Record<RuleTable, readonly { readonly name: string }[]>> = {
  hello: HELLO_RULES,
  start: REFUSALS,
  report: REPORT_RULES,
  hold: HOLD_RULES,
  due: DUE_RULES,
  offer: OFFER_BLOCKS,
  regain: REGAIN_REFUSALS,
  unrun: UNRUN_RULES,
  trigger_event: EVENT_RULES,
  triggerer: TRIGGERER_BLOCKS,
};

/** What an event of a task's history does to its state; null for none. */
const EDGE_OF: Readonly<Record<EventName, Edge | null>> = {
  submitted: null,
  queued: 'queueTask',
  expired: 'failTask',
  permitted: 'confirmStart',
  success: 'succeedTask',
  deferred: 'deferTask',
  resumed: 'resumeTask',
  failed: 'failTask',
  try_failed: 'retryTask',
  retry_queued: 'queueRetry',
  retry_scheduled: 'scheduleRetry',
  skipped: 'skipTask',
  upstream_failed: 'failUpstream',
  never_started: 'voidPermit',
  lost: 'holdLostTry',
  try_lost: null,
  lost_reported: null,
  regained: 'regainRun',
  requeued: 'releaseLostTry',
  adopted: 'adoptRun',
  assignment_failed: null,
  cancel_requested: null,
  timeout_requested: null,
  clear_requested: null,
  mark_requested: null,
  cancelled: 'cancelTask',
  cleared: 'clearTask',
  // Which of the two edges its reason says.
  marked: null,
  queued_timeout: 'failTask',
  poison: 'failTask',
  retried: 'requeueFinal',
  moved: null,
  resolved: null,
  overlap: null,
  late_report_refused: null,
};

/** Every member of these unions, so that the compiler lists what is new. */
const ANSWERS = {
  verdict: keys<Verdict['kind']>({ keep: 0, stop: 0, recorded: 0, never_start: 0 }),
  stop: keys<StopReason>({ superseded: 0, cancelled: 0, timeout: 0, unknown: 0 }),
  disposition: keys<Disposition>({ recorded: 0, already_recorded: 0, stale: 0, foreign: 0, unknown: 0 }),
  refusal: keys<RefusalReason>({
    ...{ task_unknown: 0, not_offered: 0, offered_elsewhere: 0, already_permitted: 0, not_queued: 0 },
    ...{
      concurrency_limit: 0,
      no_free_slot: 0,
      cordoned: 0,
      suspect: 0,
      inventory_unresolved: 0,
      recovering: 0,
      closed: 0,
    },
  }),
  'hello refused': keys<HelloRefusal>({ unsupported: 0, in_use: 0, old_stream: 0, full: 0, unavailable: 0 }),
  close: keys<CloseReason>({
    ...{ replaced: 0, session_ended: 0, silent: 0, permit_unanswered: 0, inventory_too_large: 0 },
  }),
  note: keys<Note['kind']>({
    ...{ session_granted: 0, stream_attached: 0, agent_suspect: 0, agent_failed: 0, session_ended: 0 },
    ...{
      agent_forgotten: 0,
      storm_brake: 0,
      late_report: 0,
      overlap: 0,
      run_adopted: 0,
      inventory_mismatch: 0,
      poison: 0,
      commits_lost: 0,
    },
    ...{ bundle_held: 0, snapshot_in_force: 0, snapshot_refused: 0 },
  }),
  fault: keys<CallFault['code']>({
    ...{
      TASK_NOT_FOUND: 0,
      AGENT_NOT_FOUND: 0,
      NO_LOST_TRY: 0,
      TASK_NOT_ENDED: 0,
      IDEMPOTENCY_CONFLICT: 0,
      TOO_MANY_LANES: 0,
    },
    START_BEFORE_PASSED: 0,
    TOO_MANY_KEYS: 0,
    TOO_MANY_QUEUES: 0,
    ...{ DAG_NOT_FOUND: 0, DAG_PAUSED: 0, RUN_EXISTS: 0, INVALID_PARAMS: 0, TRIGGER_NOT_FOUND: 0 },
    ...{ RUN_NOT_FOUND: 0, RUN_ENDED: 0, RUN_PRUNED: 0, TASK_NOT_IN_DAG: 0, POOL_NOT_FOUND: 0 },
    ...{ ASSET_NOT_FOUND: 0, EXTRA_TOO_LARGE: 0, RUN_BUSY: 0, BACKFILL_NOT_FOUND: 0, BACKFILL_ENDED: 0 },
    ...{ BACKFILL_EXISTS: 0, NO_INSTANTS: 0, TOO_MANY_INSTANTS: 0 },
  }),
  event: Object.keys(EVENTS),
} as const;

function keys<T extends string>(all: Readonly<Record<T, 0>>): T[] {
  return Object.keys(all) as T[];
}

/** Two rows may bear one name: then their places tell them apart. */
function rowKey(table: RuleTable, row: number): string {
  const rows = TABLES[table];
  const name = rows[row]?.name ?? '';
  const isTwice = rows.filter((other) => other.name === name).length > 1;
  return `${table}: ${name}${isTwice ? ` (row ${row + 1})` : ''}`;
}

/** By table and place: asked for with every decision. */
const ROW_KEYS: ReadonlyMap<RuleTable, readonly string[]> = new Map(
  (Object.keys(TABLES) as RuleTable[]).map((table) => [
    table,
    TABLES[table].map((_, row) => rowKey(table, row)),
  ]),
);

/** Why a row cannot decide in the simulator. Everything else must be reached by the nightly seeds. */
const EXEMPT: Readonly<Record<string, string>> = because({
  'agents of the simulator follow the protocol': [
    ...['hello: implausible', 'hello: kind_differs', 'hello refused: unsupported'],
    'regain: never_drawn',
  ],
  'both sides keep the inventory by the same rules, and nothing is lost within a stream': [
    ...['start: inventory_unresolved', 'refusal: inventory_unresolved', 'note: inventory_mismatch'],
    'offer: inventory_unresolved',
  ],
  'a heartbeat of a session that is over is ignored before its requests are read': ['start: suspect (row 1)'],
  'one coordinator holds every session whose agent it hears': ['start: suspect (row 2)'],
  'the heartbeat that asks renews the lease; where its batch waited longer than that, the commit is refused too':
    ['refusal: suspect'],
  'a presence ends with its session': ['offer: session_over'],
  'no edge leads to a queued task whose loss is held': ['start: not_queued (row 10)'],
  'a trigger goes with whatever takes its task out of its wait': ['trigger_event: not_deferred'],
  'its runs have few instances, and no sweep of one is left unfinished': ['fault: RUN_BUSY'],
  'an instance is cleared instead': [
    'edge: requeueFinal from upstream_failed',
    'edge: requeueFinal from skipped',
  ],
  'a processor counts its snapshots up, and what an older stream has sent is ignored': [
    'note: snapshot_refused',
  ],
  'what is open on a queued task leaves it queued when it was never started': [
    'edge: voidPermit from queued',
  ],
  'a task in a retry back-off has no try to rule on, and no queued time': [
    'edge: failTask from up_for_retry',
  ],
  'the server decides it, not the core': ['close: inventory_too_large'],
});

/** From reasons with the rows that each explains to the reason of each row. */
function because(reasons: Readonly<Record<string, readonly string[]>>): Record<string, string> {
  const pairs = Object.entries(reasons).flatMap(([why, rows]) => rows.map((row) => [row, why] as const));
  return Object.fromEntries(pairs);
}

/** Every row that there is, in the order of the tables. */
export const COVERAGE_ROWS: readonly CoverageRow[] = [
  ...(Object.keys(TABLES) as RuleTable[]).flatMap((table) =>
    TABLES[table].map((_, row) => rowKey(table, row)),
  ),
  ...(Object.keys(EDGES) as Edge[]).flatMap((edge) => EDGES[edge].from.map((from) => edgeKey(edge, from))),
  ...Object.entries(ANSWERS).flatMap(([kind, names]) => names.map((name) => `${kind}: ${name}`)),
].map((key) => ({ key, exempt: EXEMPT[key] ?? null }));

function edgeKey(edge: Edge, from: TaskState): string {
  return `edge: ${edge} from ${from}`;
}

/** Counts the rows that decide, from what leaves the core; by the core's own word only where nothing leaves. */
export class Coverage {
  readonly counts = new Map<string, number>();
  readonly #states = new Map<TaskId, TaskState>();
  /** Tasks that the commit under way leaves waiting for their instant, and those of it that are instances. */
  #waiting: ReadonlySet<TaskId> = new Set();
  #instances: ReadonlySet<TaskId> = new Set();

  readonly tally: Tally = (table, row) => this.#count(ROW_KEYS.get(table)?.[row] ?? rowKey(table, row));

  #count(key: string): void {
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  /** A commit begins: what history alone does not tell of its tasks. */
  committing(tasks: readonly TaskRow[]): void {
    const waiting = tasks.filter(({ state }) => state === 'scheduled');
    this.#waiting = new Set(waiting.map(({ taskId }) => taskId));
    const instances = tasks.filter(({ instance }) => instance !== null);
    this.#instances = new Set(instances.map(({ taskId }) => taskId));
  }

  recorded({ taskId, event, reason }: HistoryRow): void {
    this.#count(`event: ${event}`);
    if (event === 'submitted' && reason === 'scheduled') this.#states.set(taskId, 'scheduled');
    const state = this.#states.get(taskId) ?? (this.#instances.has(taskId) ? 'scheduled' : 'queued');
    const verdict = reason === 'fail' ? 'failTask' : reason === 'succeed' ? 'succeedTask' : null;
    const edge = event === 'resolved' ? verdict : this.#edgeOf(taskId, event as EventName, reason);
    // A lost try that is queued already leaves nothing when its permit turns out never to have been started.
    if (edge === null || (edge === 'voidPermit' && state === 'queued')) return;
    this.#count(edgeKey(edge, state));
    this.#states.set(taskId, EDGES[edge].to);
  }

  #edgeOf(taskId: TaskId, event: EventName, reason: string): Edge | null {
    if (event === 'marked') return reason === 'mark_success' ? 'markSuccess' : 'markFailed';
    if (event === 'resumed' && this.#instances.has(taskId)) return 'resumeInstance';
    return event === 'retried' && this.#waiting.has(taskId) ? 'rescheduleFinal' : EDGE_OF[event];
  }

  /** The store is what it was: from here on edges lead from where its tasks are. */
  rewound(tasks: ReadonlyMap<TaskId, TaskRow>): void {
    this.#states.clear();
    for (const { taskId, state } of tasks.values()) this.#states.set(taskId, state);
  }

  sent(frame: Frame): void {
    switch (frame.kind) {
      case 'welcome':
        for (const verdict of frame.welcome.verdicts) {
          this.#count(`verdict: ${verdict.kind}`);
          if (verdict.kind === 'stop') this.#count(`stop: ${verdict.reason}`);
        }
        for (const { disposition } of frame.welcome.acknowledgements)
          this.#count(`disposition: ${disposition}`);
        return;
      case 'ack':
        for (const { reason } of [...frame.ack.stops, ...frame.ack.cancellations])
          this.#count(`stop: ${reason}`);
        for (const { disposition } of frame.ack.acknowledgements) this.#count(`disposition: ${disposition}`);
        for (const { reason } of frame.ack.refusals) this.#count(`refusal: ${reason}`);
        return;
      case 'refused':
        return this.#count(`hello refused: ${frame.refused.reason}`);
      case 'close':
        return this.#count(`close: ${frame.reason}`);
      case 'farewell':
      case 'bundle_hold':
      case 'bundle_answer':
        return;
    }
  }

  noted({ kind }: Note): void {
    this.#count(`note: ${kind}`);
  }

  replied(reply: Reply | Unanswered): void {
    if (reply.kind === 'refused') this.#count(`fault: ${reply.fault.code}`);
  }
}
