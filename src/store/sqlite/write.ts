import type {
  AgentRow,
  Counters,
  NotificationRow,
  QueueRow,
  RecoveryStep,
  SessionRow,
} from '../../core/rows.js';
import { encodeAgent, encodeSession } from '../codec.js';
import { encodeDelivery, encodeNotification } from '../notification-codec.js';
import { type AgentRemoval, type DeliveryRow, type Puts, StoreError } from '../store.js';
import { DagWriter } from './dag-write.js';
import type { Driver, Statement } from './driver.js';
import { conflict } from './errors.js';
import { TaskWriter } from './task-write.js';

/** Writes puts; the caller holds the transaction. Throws StoreError, `conflict` for a row of another version. */
export class Writer {
  readonly #tasks: TaskWriter;
  readonly #insertAgent: Statement;
  readonly #updateAgent: Statement;
  readonly #insertSession: Statement;
  readonly #updateSession: Statement;
  readonly #insertQueue: Statement;
  readonly #updateQueue: Statement;
  readonly #forgetSessions: Statement;
  readonly #deleteAgent: Statement;
  readonly #deleteSessions: Statement;
  readonly #insertNotification: Statement;
  readonly #updateCounters: Statement;
  readonly #deleteSteps: Statement;
  readonly #insertStep: Statement;
  /** What a file has from before is written over once. */
  #wroteNoSteps = false;
  readonly #dags: DagWriter;

  constructor(driver: Driver) {
    this.#tasks = new TaskWriter(driver);
    this.#insertAgent = driver.statement('INSERT INTO agents (version, data, agent_id) VALUES (?, ?, ?)');
    this.#updateAgent = driver.statement(
      'UPDATE agents SET version = ?, data = ? WHERE agent_id = ? AND version = ?',
    );
    this.#insertSession = driver.statement(
      'INSERT INTO sessions (version, agent_id, is_live, data, epoch) VALUES (?, ?, ?, ?, ?)',
    );
    this.#updateSession = driver.statement(
      'UPDATE sessions SET version = ?, agent_id = ?, is_live = ?, data = ? WHERE epoch = ? AND version = ?',
    );
    this.#insertQueue = driver.statement('INSERT INTO queues (version, run_limit, queue) VALUES (?, ?, ?)');
    this.#updateQueue = driver.statement(
      'UPDATE queues SET version = ?, run_limit = ? WHERE queue = ? AND version = ?',
    );
    this.#forgetSessions = driver.statement(
      'DELETE FROM sessions WHERE agent_id = ? AND epoch < ? AND is_live IS NULL',
    );
    this.#deleteAgent = driver.statement('DELETE FROM agents WHERE agent_id = ? AND version = ?');
    this.#deleteSessions = driver.statement('DELETE FROM sessions WHERE agent_id = ?');
    this.#insertNotification = driver.statement('INSERT INTO notifications (data) VALUES (?)');
    this.#updateCounters = driver.statement(
      'UPDATE counters SET token = ?, epoch = ?, service_ms = ? WHERE token <= ? AND epoch <= ?',
    );
    this.#deleteSteps = driver.statement('DELETE FROM recovery');
    this.#insertStep = driver.statement('INSERT INTO recovery (step) VALUES (?)');
    this.#dags = new DagWriter(driver);
  }

  write(puts: Puts): void {
    this.#tasks.write(puts);
    for (const row of puts.agents) this.#agent(row);
    for (const removal of puts.agentRemovals) this.#removeAgent(removal);
    for (const row of puts.sessions) this.#session(row);
    for (const row of puts.sessions) if (row.version === 1) this.#forgetSessions.run(row.agentId, row.epoch);
    for (const row of puts.queues) this.#queue(row);
    for (const row of puts.notifications) this.#notification(row);
    if (puts.counters !== null) this.#counters(puts.counters);
    if (puts.dags !== null) this.#dags.write(puts.dags);
  }

  /** The whole list of endpoints, and the end of what they are done with. */
  writeDeliveries(driver: Driver, rows: readonly DeliveryRow[], done: number): void {
    driver.exec('DELETE FROM deliveries');
    const insert = driver.statement('INSERT INTO deliveries (endpoint, data) VALUES (?, ?)');
    for (const row of rows) insert.run(row.endpoint, encodeDelivery(row));
    driver.statement('DELETE FROM notifications WHERE n <= ?').run(done);
  }

  #notification(row: NotificationRow): void {
    this.#insertNotification.run(encodeNotification(row));
  }

  #agent(row: AgentRow): void {
    const { agentId, version } = row;
    if (version === 1) {
      this.#insertAgent.run(version, encodeAgent(row), agentId);
    } else if (this.#updateAgent.run(version, encodeAgent(row), agentId, version - 1) !== 1) {
      throw conflict(`agent ${agentId}`, version - 1);
    }
  }

  #removeAgent({ agentId, version }: AgentRemoval): void {
    if (this.#deleteAgent.run(agentId, version) !== 1)
      throw conflict(`the removal of agent ${agentId}`, version);
    this.#deleteSessions.run(agentId);
  }

  #session(row: SessionRow): void {
    const { epoch, version } = row;
    const values = [version, row.agentId, row.state === 'live' ? 1 : null, encodeSession(row), epoch];
    if (version === 1) {
      this.#insertSession.run(...values);
    } else if (this.#updateSession.run(...values, version - 1) !== 1) {
      throw conflict(`session ${epoch}`, version - 1);
    }
  }

  #queue({ queue, version, limit }: QueueRow): void {
    if (version === 1) {
      this.#insertQueue.run(version, limit, queue);
    } else if (this.#updateQueue.run(version, limit, queue, version - 1) !== 1) {
      throw conflict(`queue ${queue}`, version - 1);
    }
  }

  #counters({ token, epoch, serviceMs, recovery = [] }: Counters): void {
    if (this.#updateCounters.run(token, epoch, serviceMs, token, epoch) !== 1) {
      throw new StoreError(
        'conflict',
        'the counters are not written, because they would go back; read them again and decide again',
      );
    }
    this.#recovery(recovery);
  }

  /** The statements are two for each commit of counters only while there is something to recover from. */
  #recovery(steps: readonly RecoveryStep[]): void {
    if (steps.length === 0 && this.#wroteNoSteps) return;
    this.#deleteSteps.run();
    for (const step of steps) this.#insertStep.run(step);
    this.#wroteNoSteps = steps.length === 0;
  }
}
