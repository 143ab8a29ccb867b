import pg from 'pg';
import { ConnectionLost, databaseError } from './errors.js';

/** A prepared statement: the name stands for the text, on every connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** What may be bound to a parameter; a list is bound as an array. */
export type Param = number | bigint | string | boolean | null | readonly string[];

/** A row by column name. Integers of 64 bits come as bigint. */
export type Columns = Readonly<Record<string, unknown>>;

/** A statement with its parameters. */
export interface Step {
  readonly statement: Statement;
  readonly params: readonly Param[];
}

/** How to reach the database, and how long to wait for it, in milliseconds. */
export interface Reach {
  /** postgres:// URL; what it leaves out comes from PGUSER, PGPASSWORD, a password file and the like. */
  readonly url: string;
  /** The schema that holds everything of ours. */
  readonly schema: string;
  /** What the session is called in pg_stat_activity. */
  readonly called: string;
  /** Settings of the session beyond those of every one of ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** A statement that takes longer is ended by the server; a connection that says nothing for a little longer is dropped. */
  readonly statementMs: number;
}

const CONNECT_MS = 5_000;
/** The server ends a statement by itself first; this is for a server that cannot be heard. */
const SILENCE_MS = 1_000;
const LOCK_MS = 3_000;
/** Between two statements of a transaction, which all are on their way at once. */
const IDLE_IN_TRANSACTION_MS = 3_000;

const INT8 = 20;
const BYTEA = 17;

/** Integers of 64 bits as bigint, bytes as what the rows have; the rest as the driver reads it. */
const TYPES: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') => {
    if (format === 'binary') return pg.types.getTypeParser(oid, 'binary');
    if (oid === INT8) return BigInt;
    if (oid === BYTEA) return (hex: string) => new Uint8Array(Buffer.from(hex.slice(2), 'hex'));
    return pg.types.getTypeParser(oid, 'text');
  },
};

const BEGIN: Statement = { name: '', text: 'BEGIN' };
const COMMIT: Statement = { name: '', text: 'COMMIT' };

/**
 * One connection, and the only code that knows the driver. Statements are sent as they come and answered in order. After
 * any fault of the connection, a silence included, it is of no use any more: whoever has it connects anew.
 */
export class Link {
  readonly #client: pg.Client;
  readonly #statementMs: number;
  readonly #whenLost: (() => void)[] = [];
  #lost: ConnectionLost | null = null;

  /** Connects. Throws StoreError, or ConnectionLost when the server cannot be reached or answers too late. */
  static async open(reach: Reach): Promise<Link> {
    const link = new Link(reach);
    try {
      await link.#client.connect();
      await link.#client.query(settingsOf(reach));
      return link;
    } catch (error) {
      link.drop();
      throw databaseError('connecting to the database', error);
    }
  }

  private constructor({ url, called, statementMs }: Reach) {
    this.#statementMs = statementMs;
    this.#client = new pg.Client({
      ...{ connectionString: url, application_name: called, connectionTimeoutMillis: CONNECT_MS },
      ...{ keepAlive: true, keepAliveInitialDelayMillis: 5_000, pipeline: true, types: TYPES },
      query_timeout: statementMs + SILENCE_MS,
    });
    // Without a listener an idle connection that ends would end the process.
    this.#client.on('error', (error) => this.#lose(error.message));
    this.#client.on('end', () => this.#lose('the connection has ended'));
  }

  get isLost(): boolean {
    return this.#lost !== null;
  }

  /** Calls `told` once it is lost. */
  whenLost(told: () => void): void {
    this.#whenLost.push(told);
  }

  /** Runs one statement by itself and gives its rows. `patienceMs` replaces the limit of the connection. Throws as open(). */
  async query(
    statement: Statement,
    params: readonly Param[] = [],
    patienceMs = this.#statementMs,
  ): Promise<readonly Columns[]> {
    return (await this.#send(statement, params, patienceMs)).rows as Columns[];
  }

  /** Runs statements without parameters, separated by semicolons, as one transaction. */
  async script(text: string): Promise<void> {
    await this.#attempt(() => this.#client.query(`BEGIN; ${text}; COMMIT`));
  }

  /**
   * Runs the steps as one transaction, all on their way at once: one round trip. Durable when it settles. Throws StoreError,
   * then nothing of it is there; or ConnectionLost, then nobody knows yet.
   */
  async transaction(steps: readonly Step[]): Promise<void> {
    const sent = [BEGIN, ...steps.map(({ statement }) => statement), COMMIT].map((statement, i) =>
      this.#send(statement, steps[i - 1]?.params ?? [], this.#statementMs),
    );
    const outcomes = await Promise.allSettled(sent);
    // The first that failed says why; what came behind it was refused for its sake alone.
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** Ends the connection in good order: what was asked is answered first. */
  async end(): Promise<void> {
    if (this.#lost !== null) return;
    await this.#client.end().catch(() => {});
  }

  /** Ends the connection at once. */
  drop(): void {
    this.#lose('it was dropped');
    // The driver's own end waits for a peer that may be gone.
    const { stream } = (this.#client as unknown as { connection: { stream: { destroy(): void } } })
      .connection;
    stream.destroy();
  }

  #send({ name, text }: Statement, params: readonly Param[], patienceMs: number): Promise<pg.QueryResult> {
    const values = params.map((param) => (typeof param === 'bigint' ? String(param) : param));
    // The driver takes a limit for each statement, which its types do not know.
    const timed: pg.QueryConfig & { readonly query_timeout: number } = {
      ...(name === '' ? {} : { name }),
      ...{ text, values, query_timeout: patienceMs + SILENCE_MS },
    };
    return this.#attempt(() => this.#client.query(timed));
  }

  async #attempt<T>(call: () => Promise<T>): Promise<T> {
    if (this.#lost !== null) throw this.#lost;
    try {
      return await call();
    } catch (error) {
      const ours = databaseError('a statement', error);
      if (ours instanceof ConnectionLost) this.#lose(ours.message);
      throw ours;
    }
  }

  #lose(because: string): void {
    if (this.#lost !== null) return;
    this.#lost = new ConnectionLost(because);
    for (const told of this.#whenLost) told();
  }
}

/** Set in the session itself, so that what the URL or the role says cannot undo it. */
function settingsOf({ schema, statementMs, settings = {} }: Reach): string {
  const all: Record<string, string> = {
    search_path: quoted(schema),
    statement_timeout: String(statementMs),
    lock_timeout: String(LOCK_MS),
    idle_in_transaction_session_timeout: String(IDLE_IN_TRANSACTION_MS),
    default_transaction_isolation: "'read committed'",
    // The server notices a client that is gone within ten seconds, and gives its locks back.
    tcp_keepalives_idle: '4',
    tcp_keepalives_interval: '2',
    tcp_keepalives_count: '3',
    jit: 'off',
    client_min_messages: 'warning',
    ...settings,
  };
  const set = Object.entries(all).map(([name, value]) => `SET ${name} = ${value}`);
  return [...set, DURABLE].join('; ');
}

/** What is confirmed is on disk, whatever the server's default; one that waits for standbys as well is left alone. */
const DURABLE = `SELECT set_config('synchronous_commit', 'on', false)
  WHERE current_setting('synchronous_commit') IN ('off', 'local')`;

/** An identifier for a statement that takes no parameters. */
export const quoted = (name: string): string => pg.escapeIdentifier(name);
