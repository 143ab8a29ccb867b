import { dagIdOf } from '../../core/dag/rows.js';
import { type Counters, type HistoryRow, isFinal, readyLane, type TaskRow } from '../../core/rows.js';
import type { TaskId } from '../../kit/ids.js';
import { type Checked, ROW_RULES } from '../check-rules.js';
import { decodeEvents } from '../history-codec.js';
import { StoreError } from '../store.js';
import type { Ask } from './ask.js';
import { TASK, TASKS, toTask } from './columns.js';
import type { Columns } from './driver.js';
import { EVENTS, Reader } from './read.js';

const FINDINGS = 100;
const PAGE = 1_000;

/** Rows that belong to nothing, and rows that miss what belongs to them: [what, query that counts them]. */
const ORPHANS: readonly (readonly [what: string, query: string])[] = [
  [
    'submissions of tasks that are not there',
    'SELECT count(*) AS n FROM submissions s WHERE NOT EXISTS (SELECT FROM tasks t WHERE t.task_id = s.task_id)',
  ],
  [
    'tasks without their submission',
    'SELECT count(*) AS n FROM tasks t WHERE NOT EXISTS (SELECT FROM submissions s WHERE s.task_id = t.task_id)',
  ],
  [
    'tasks without a specification',
    // An instance that was skipped, or has no work, never had one.
    `SELECT count(*) AS n FROM ${TASKS} WHERE run IS NULL AND spec IS NULL`,
  ],
  [
    'history rows of tasks that are not there',
    'SELECT count(*) AS n FROM history h WHERE NOT EXISTS (SELECT FROM tasks t WHERE t.task_id = h.task_id)',
  ],
  [
    'sessions of agents that are not there',
    'SELECT count(*) AS n FROM sessions s WHERE NOT EXISTS (SELECT FROM agents a WHERE a.agent_id = s.agent_id)',
  ],
  [
    'sessions with an epoch above the counter',
    'SELECT count(*) AS n FROM sessions WHERE epoch > (SELECT epoch FROM counters)',
  ],
  [
    'task instances of runs that are not there',
    'SELECT count(*) AS n FROM tasks t WHERE run IS NOT NULL AND NOT EXISTS (SELECT FROM runs r WHERE r.run = t.run)',
  ],
  [
    'runs without the definition that they pin',
    `SELECT count(*) AS n FROM runs r WHERE NOT EXISTS (SELECT FROM dag_versions v
      WHERE v.dag_id = r.dag_id AND v.definition_version = r.definition_version)`,
  ],
  [
    'asset events above the newest number that was given',
    "SELECT count(*) AS n FROM asset_events WHERE n > (SELECT newest FROM numbering WHERE what = 'asset_events')",
  ],
];

/**
 * Reads the rows through that no coordinator uses now: each as we wrote it, and what must hold between them. Damage below
 * the rows is the server's to find. Changes nothing. Throws StoreError.
 */
export async function checkRows(ask: Ask): Promise<Checked> {
  const reader = new Reader({ soon: ask, leisurely: ask });
  const findings: string[] = [];
  for (const [what, query] of ORPHANS) {
    const n = Number((await ask(query))[0]?.n ?? 0);
    if (n > 0) findings.push(`there are ${n} ${what}`);
  }
  const loaded = await attempt(findings, 'what a coordinator starts with', () => reader.load());
  const tasks = loaded === undefined ? 0 : await checkTasks(ask, loaded.counters, findings);
  return { tasks, findings: findings.slice(0, FINDINGS), more: findings.length > FINDINGS };
}

/** How many there are. */
async function checkTasks(ask: Ask, counters: Counters, findings: string[]): Promise<number> {
  const tokens = new Map<bigint, TaskId>();
  let tasks = 0;
  for (let after = ''; ; ) {
    const page = await ask(
      `SELECT ${TASK}, lane, is_open, finished_at, run, dag_id FROM ${TASKS} WHERE task_id > $1 ORDER BY task_id LIMIT ${PAGE}`,
      [after],
    );
    const histories = await historiesOf(ask, page);
    for (const stored of page) {
      tasks++;
      after = stored.task_id as string;
      const row = await attempt(findings, `task ${after}`, async () => toTask(stored));
      if (row === undefined) continue;
      const events = await attempt(findings, `task ${after}`, async () =>
        decodeEvents(row.taskId, histories.get(after) ?? ''),
      );
      for (const fault of faultsOf({ row, stored, events: events ?? [], counters }))
        findings.push(`task ${after}: ${fault}`);
      const other = tokens.get(row.lastToken);
      if (other !== undefined)
        findings.push(`task ${after}: token ${row.lastToken} is that of task ${other} too`);
      if (row.lastToken > 0n) tokens.set(row.lastToken, row.taskId);
    }
    if (page.length < PAGE || findings.length > FINDINGS) return tasks;
  }
}

/** The events of each task of a page. */
async function historiesOf(ask: Ask, page: readonly Columns[]): Promise<Map<string, string>> {
  const ids = page.map((stored) => stored.task_id as string);
  const rows = await ask(`SELECT task_id, ${EVENTS} FROM tasks AS t WHERE task_id = ANY($1::text[])`, [ids]);
  return new Map(rows.map((c) => [c.task_id as string, c.events as string]));
}

interface TaskCase {
  readonly row: TaskRow;
  readonly stored: Columns;
  readonly events: readonly HistoryRow[];
  readonly counters: Counters;
}

/** What the columns say that are derived from the row. */
const COLUMN_RULES: readonly { readonly says: string; readonly holds: (c: TaskCase) => boolean }[] = [
  {
    says: 'its open token cannot be found',
    holds: ({ row, stored }) => (row.open === null && row.state !== 'running') === (stored.is_open === null),
  },
  {
    says: 'it is listed in a lane where it does not wait',
    holds: ({ row, stored }) => readyLane(row) === stored.lane,
  },
  {
    says: 'its end is not noted for retention, or is without an end',
    holds: ({ row, stored }) => isFinal(row.state) === (stored.finished_at !== null),
  },
  {
    says: 'it is listed under another run, or another DAG',
    holds: ({ row: { instance }, stored }) =>
      (instance?.run ?? null) === stored.run &&
      (instance === null ? null : dagIdOf(instance.run)) === stored.dag_id,
  },
];

const faultsOf = (c: TaskCase): string[] =>
  [...ROW_RULES, ...COLUMN_RULES].filter((rule) => !rule.holds(c)).map(({ says }) => says);

async function attempt<T>(findings: string[], what: string, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof StoreError) || error.fault !== 'corrupt') throw error;
    findings.push(`${what}: ${error.message}`);
    return undefined;
  }
}
