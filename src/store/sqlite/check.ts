import { dagIdOf } from '../../core/dag/rows.js';
import { type Counters, isFinal, readyLane, type TaskRow } from '../../core/rows.js';
import type { Token } from '../../kit/ids.js';
import { type Checked, ROW_RULES, type RowCase } from '../check-rules.js';
import { type Loaded, StoreError } from '../store.js';
import { DAG_ORPHANS, dagFaults, dagRows } from './dag-check.js';
import type { Driver } from './driver.js';
import { openExisting } from './open.js';
import { Reader } from './read.js';

const FINDINGS = 100;
const PAGE = 1_000;

/** Rows that belong to nothing, and rows that miss what belongs to them: [what, query that counts them]. */
const ORPHANS: readonly (readonly [what: string, query: string])[] = [
  [
    'specifications of tasks that are not there',
    'SELECT count(*) AS n FROM specs WHERE id NOT IN (SELECT id FROM tasks)',
  ],
  [
    'tasks without a specification',
    // An instance that was skipped, or has no work, never had one.
    'SELECT count(*) AS n FROM tasks WHERE run IS NULL AND id NOT IN (SELECT id FROM specs)',
  ],
  [
    'history rows of tasks that are not there',
    'SELECT count(*) AS n FROM history WHERE task_id NOT IN (SELECT task_id FROM tasks)',
  ],
  [
    'agents with more than one live session',
    `SELECT count(*) AS n FROM (SELECT agent_id FROM sessions WHERE is_live IS NOT NULL
      GROUP BY agent_id HAVING count(*) > 1)`,
  ],
  [
    'sessions of agents that are not there',
    'SELECT count(*) AS n FROM sessions WHERE agent_id NOT IN (SELECT agent_id FROM agents)',
  ],
  [
    'sessions with an epoch above the counter',
    'SELECT count(*) AS n FROM sessions WHERE epoch > (SELECT epoch FROM counters)',
  ],
];

/**
 * Reads a database through: its pages as SQLite knows them, every row as we wrote it, and what must hold between rows.
 * Changes nothing. Throws StoreError: `locked` while a coordinator has it, `newer`, `corrupt` when it cannot be read.
 */
export function checkDatabase(file: string): Checked {
  const driver = openExisting(file);
  try {
    const check = new Check(driver);
    check.pages();
    if (check.findings.length === 0) check.rows();
    return {
      tasks: check.tasks,
      findings: check.findings.slice(0, FINDINGS),
      more: check.findings.length > FINDINGS,
    };
  } finally {
    driver.close();
  }
}

class Check {
  readonly findings: string[] = [];
  tasks = 0;
  readonly #driver: Driver;
  readonly #reader: Reader;
  readonly #tokens = new Map<Token, string>();

  constructor(driver: Driver) {
    this.#driver = driver;
    this.#reader = new Reader(driver);
  }

  pages(): void {
    const damage = this.#driver.statement(`PRAGMA quick_check(${FINDINGS})`).all();
    for (const row of damage) {
      const said = String(Object.values(row)[0]);
      if (said !== 'ok') this.findings.push(`the file is damaged: ${said}`);
    }
  }

  rows(): void {
    for (const [what, query] of [...ORPHANS, ...DAG_ORPHANS]) {
      const n = Number(this.#driver.statement(query).get()?.n ?? 0);
      if (n > 0) this.findings.push(`there are ${n} ${what}`);
    }
    const loaded = this.#attempt('what a coordinator starts with', () => this.#reader.load());
    if (loaded === undefined) return;
    this.#tasks(loaded.counters);
    this.#dags(loaded);
  }

  #tasks(counters: Counters): void {
    const ids = this.#driver.statement(
      `SELECT id, task_id, lane, is_open, finished_at, run, dag_id FROM tasks WHERE id > ? ORDER BY id LIMIT ${PAGE}`,
    );
    for (let after = 0, page = ids.all(after); page.length > 0; page = ids.all(after)) {
      for (const stored of page) {
        after = stored.id as number;
        this.tasks++;
        const taskId = stored.task_id as TaskRow['taskId'];
        const [row] = this.#attempt(`task ${taskId}`, () => this.#reader.tasks([taskId])) ?? [];
        const events = this.#attempt(`task ${taskId}`, () => this.#reader.history(taskId));
        if (row === undefined || events === undefined) continue;
        for (const rule of TASK_RULES)
          if (!rule.holds({ row, events, stored, counters }))
            this.findings.push(`task ${taskId}: ${rule.says}`);
        this.#tokenOnce(`task ${taskId}`, row.lastToken);
      }
      if (this.findings.length > FINDINGS) return;
    }
  }

  #dags({ dags, counters }: Loaded): void {
    this.findings.push(...dagFaults(dags, counters));
    for (const { triggerId, token } of dags.triggers) this.#tokenOnce(`trigger ${triggerId}`, token);
    for (const { what, fault } of dagRows(this.#driver, this.#reader.dags)) {
      if (this.findings.length > FINDINGS) return;
      const found = this.#attempt(what, fault) ?? null;
      if (found !== null) this.findings.push(`${what}: ${found}`);
    }
  }

  /** I1: a token was drawn once, for a task or a trigger. */
  #tokenOnce(what: string, token: Token): void {
    if (token === 0n) return;
    const other = this.#tokens.get(token);
    if (other !== undefined) this.findings.push(`${what}: token ${token} is that of ${other} too`);
    this.#tokens.set(token, what);
  }

  #attempt<T>(what: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof StoreError) || error.fault !== 'corrupt') throw error;
      this.findings.push(`${what}: ${error.message}`);
      return undefined;
    }
  }
}

interface TaskCase extends RowCase {
  readonly stored: Readonly<Record<string, unknown>>;
}

/** What must hold of each task, whatever happened to it. */
const TASK_RULES: readonly { readonly says: string; readonly holds: (c: TaskCase) => boolean }[] = [
  ...ROW_RULES,
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
