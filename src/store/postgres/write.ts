import { dagIdOf } from '../../core/dag/rows.js';
import type { AgentRow, Counters, NotificationRow, SessionRow } from '../../core/rows.js';
import { encodeAgent, encodeProgress, encodeSession, encodeSpec, encodeSubmitted } from '../codec.js';
import { encodeEvent, eventsOf } from '../history-codec.js';
import { encodeDelivery, encodeNotification } from '../notification-codec.js';
import type { DeliveryRow, Puts, Removal, TaskPut } from '../store.js';
import { toText } from './columns.js';
import { dagSteps } from './dag-write.js';
import type { Statement, Step } from './driver.js';
import { Appended, bytea, counted, Rows, type Value, Versioned } from './table.js';

/* What a commit writes, as the steps of one transaction: one for each table, whatever the number of rows. */

const TASKS = new Versioned({
  table: 'tasks',
  key: { task_id: 'text' },
  changing: {
    state: 'text',
    queue: 'text',
    rank: 'double precision',
    lane: 'text',
    due_at: 'double precision',
    wall_due_at: 'double precision',
    finished_at: 'double precision',
    agent_id: 'text',
    is_open: 'boolean',
    progress: 'text',
    history: 'text',
    result: 'bytea',
  },
  fixed: {
    priority: 'integer',
    run: 'text',
    dag_id: 'text',
  },
  set: {
    history: 't.history || p.history',
    // A task that goes on from one final state to another has ended when it did first.
    finished_at: 'CASE WHEN p.finished_at IS NOT NULL THEN coalesce(t.finished_at, p.finished_at) END',
  },
});

const SUBMISSIONS = new Appended('submissions', {
  ...{ task_id: 'text', idempotency_key: 'text', submitted: 'text', spec: 'text' },
});
const HISTORY = new Appended('history', { task_id: 'text', n: 'integer', data: 'text' });
const AGENTS = new Versioned({ table: 'agents', key: { agent_id: 'text' }, changing: { data: 'text' } });
const SESSIONS = new Versioned({
  table: 'sessions',
  key: { epoch: 'bigint' },
  changing: { agent_id: 'text', is_live: 'boolean', data: 'text' },
});
const QUEUES = new Versioned({
  table: 'queues',
  key: { queue: 'text' },
  changing: { run_limit: 'integer' },
});
const DELIVERIES = new Appended('deliveries', { endpoint: 'text', data: 'text' });

const of = (name: string, text: string): Statement => ({ name, text });

const OWN = of('own', 'SELECT own($1)');
const SPEC = new Rows({ task_id: 'text', spec: 'text', is_anew: 'boolean' });
const SPECIFY = of(
  'specify',
  counted(
    `UPDATE submissions AS t SET spec = p.spec FROM ${SPEC.from}
      WHERE t.task_id = p.task_id AND (p.is_anew OR t.spec IS NULL) RETURNING 1`,
    'specifications',
  ),
);
/**
 * From the rows of tasks to the table of those that have many. An event is a list that begins with its number, and read as text: as
 * JSON it may hold characters that PostgreSQL has no text for.
 */
const SHELVE = of(
  'shelve',
  `INSERT INTO history (task_id, n, data) SELECT t.task_id, substring(event::text FROM '[0-9]+')::integer, event::text
    FROM tasks AS t CROSS JOIN LATERAL json_array_elements(('[' || rtrim(t.history, ',') || ']')::json) AS event
    WHERE t.task_id = ANY($1::text[])`,
);
const CLEAR_EVENTS = of('clear events', "UPDATE tasks SET history = '' WHERE task_id = ANY($1::text[])");
const FORGET_SUBMISSIONS = of(
  'forget submissions',
  'DELETE FROM submissions WHERE task_id = ANY($1::text[])',
);
const FORGET_HISTORY = of('forget history', 'DELETE FROM history WHERE task_id = ANY($1::text[])');
const GRANTED = new Rows({ agent_id: 'text', epoch: 'bigint' });
const FORGET_SESSIONS = of(
  'forget sessions',
  `DELETE FROM sessions AS s USING ${GRANTED.from} WHERE s.agent_id = p.agent_id AND s.epoch < p.epoch AND NOT s.is_live`,
);
const FORGET_SESSIONS_OF = of('forget sessions of', 'DELETE FROM sessions WHERE agent_id = ANY($1::text[])');
const NOTIFY = of(
  'notify',
  `WITH given AS (UPDATE numbering SET newest = newest + cardinality($1::text[]) WHERE what = 'notifications'
      RETURNING newest - cardinality($1::text[]) AS before)
    INSERT INTO notifications (n, data) SELECT given.before + each.n, each.data
      FROM given, unnest($1::text[]) WITH ORDINALITY AS each(data, n)`,
);
const COUNT = of(
  'count',
  `WITH changed AS (UPDATE counters SET token = $1, epoch = $2, service_ms = $3, recovery = $4
      WHERE token <= $1 AND epoch <= $2 RETURNING 1)
    SELECT expect((SELECT count(*) FROM changed), 1, 'counters')`,
);
const CLEAR_DELIVERIES = of('clear deliveries', 'DELETE FROM deliveries');
const FORGET_NOTIFICATIONS = of('forget notifications', 'DELETE FROM notifications WHERE n <= $1');

/** First of every transaction: it fails unless the fence still stands, and counts. */
export const ownStep = (fence: bigint): Step => ({ statement: OWN, params: [fence] });

/** In the order that the contract of Puts asks for. */
export function commitSteps(puts: Puts): Step[] {
  return [
    ...removalSteps(puts.removals),
    ...taskSteps(puts),
    ...AGENTS.put(puts.agents.map(agentValues)),
    ...agentRemovalSteps(puts),
    ...sessionSteps(puts.sessions),
    ...QUEUES.put(puts.queues.map(({ queue, version, limit }) => [queue, version, limit])),
    ...notificationSteps(puts.notifications),
    ...(puts.counters === null ? [] : [counterStep(puts.counters)]),
    ...(puts.dags === null ? [] : dagSteps(puts.dags)),
  ];
}

/** The whole list of endpoints, and the end of what they are done with. */
export function deliverySteps(rows: readonly DeliveryRow[], upTo: number): Step[] {
  return [
    { statement: CLEAR_DELIVERIES, params: [] },
    ...DELIVERIES.put(rows.map((row) => [row.endpoint, encodeDelivery(row)])),
    { statement: FORGET_NOTIFICATIONS, params: [upTo] },
  ];
}

/** A short task is written in four rows: with its submission, its permit and its end once each, and what was submitted. */
function taskSteps({ tasks, specs, history }: Puts): Step[] {
  const events = eventsOf(history);
  const put = new Map(tasks.map(({ row }) => [row.taskId, row.version]));
  // Without their task's next version, which alone says that none of them is there: the table says it then.
  const apart = history.filter(({ taskId }) => !put.has(taskId));
  const long = [...events].filter(([taskId, { isLong }]) => isLong || !put.has(taskId)).map(([id]) => id);
  const specOf = new Map(specs.map((spec) => [spec.taskId, encodeSpec(spec)]));
  const first = tasks.filter(({ row }) => row.version === 1).map(({ row }) => row);
  const later = specs.filter(({ taskId }) => put.get(taskId) !== 1);
  return [
    ...(long.length === 0 ? [] : [SHELVE, CLEAR_EVENTS].map((statement) => ({ statement, params: [long] }))),
    ...TASKS.put(tasks.map((each) => taskValues(each, events.get(each.row.taskId)?.text ?? ''))),
    ...SUBMISSIONS.put(
      first.map((row) => [
        ...[row.taskId, toText(row.idempotencyKey), encodeSubmitted(row), specOf.get(row.taskId) ?? null],
      ]),
    ),
    ...specSteps(later.map(({ taskId }) => [taskId, specOf.get(taskId) ?? null, put.has(taskId)])),
    ...HISTORY.put(apart.map((row) => [row.taskId, row.n, encodeEvent(row).slice(0, -1)])),
  ];
}

const specSteps = (rows: readonly (readonly Value[])[]): Step[] =>
  rows.length === 0 ? [] : [{ statement: SPECIFY, params: [SPEC.param(rows), rows.length] }];

function taskValues({ row, lane, dueAt, wallDueAt, finishedAt }: TaskPut, events: string): Value[] {
  const values: Value[] = [row.taskId, row.version, row.state, row.queue, row.rank, lane, dueAt, wallDueAt];
  const isListedOpen = row.open !== null || row.state === 'running';
  values.push(finishedAt, row.lastAgentId, isListedOpen ? true : null, encodeProgress(row), events);
  values.push(bytea(row.result));
  if (row.version > 1) return values;
  const run = row.instance?.run ?? null;
  const dagId = run === null ? null : dagIdOf(run);
  values.push(row.priority, run, dagId);
  return values;
}

function removalSteps(removals: readonly Removal[]): Step[] {
  if (removals.length === 0) return [];
  const taskIds = removals.map(({ taskId }) => taskId);
  return [
    ...TASKS.remove(removals.map(({ taskId, version }) => [taskId, version])),
    { statement: FORGET_SUBMISSIONS, params: [taskIds] },
    { statement: FORGET_HISTORY, params: [taskIds] },
  ];
}

const agentValues = (row: AgentRow): Value[] => [row.agentId, row.version, encodeAgent(row)];

function agentRemovalSteps({ agentRemovals }: Puts): Step[] {
  if (agentRemovals.length === 0) return [];
  return [
    ...AGENTS.remove(agentRemovals.map(({ agentId, version }) => [agentId, version])),
    { statement: FORGET_SESSIONS_OF, params: [agentRemovals.map(({ agentId }) => agentId)] },
  ];
}

function sessionSteps(sessions: readonly SessionRow[]): Step[] {
  const steps = SESSIONS.put(
    sessions.map((row) => {
      const { epoch, version, agentId, state } = row;
      return [String(epoch), version, agentId, state === 'live', encodeSession(row)];
    }),
  );
  const granted = sessions.filter(({ version }) => version === 1);
  if (granted.length > 0) {
    const rows = granted.map(({ agentId, epoch }) => [agentId, String(epoch)]);
    steps.push({ statement: FORGET_SESSIONS, params: [GRANTED.param(rows)] });
  }
  return steps;
}

const notificationSteps = (rows: readonly NotificationRow[]): Step[] =>
  rows.length === 0 ? [] : [{ statement: NOTIFY, params: [rows.map(encodeNotification)] }];

const counterStep = ({ token, epoch, serviceMs, recovery = [] }: Counters): Step => ({
  statement: COUNT,
  params: [token, epoch, serviceMs, recovery.join(' ')],
});
