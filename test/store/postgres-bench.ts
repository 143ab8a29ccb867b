import pg from 'pg';
import { openPostgresStore, type PostgresOptions } from '../../src/store/postgres/open.js';
import type { Identity } from '../../src/store/postgres/owner.js';
import type { PostgresStore } from '../../src/store/postgres/store.js';
import { type Database, openDatabase } from '../fencing/support/database.js';
import type { Bench } from './bench.js';

/** As the program has them; timers and clock of the machine. */
export const OUTSIDE = {
  mono: () => performance.now() as never,
  after: (ms: number, task: () => void) => {
    const timer = setTimeout(task, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** A process of this machine that, asked of itself, is still there. */
export const IDENTITY: Identity = {
  host: 'here',
  pid: process.pid,
  machine: 'this boot',
  isGone: (pid) => pid !== process.pid,
};

/** Stores in schemas of their own on one server, which is started for the first and stopped by `end`. */
export class PostgresServer {
  #database: Promise<Database> | null = null;
  readonly #free: string[] = [];
  readonly #opened = new Map<string, PostgresStore>();
  #client: Promise<pg.Client> | null = null;
  #schemas = 0;

  async url(): Promise<string> {
    this.#database ??= openDatabase();
    return (await this.#database).url;
  }

  /** Where the server listens, as a proxy needs it, and the same database by another way there (HOST:PORT). */
  async way(): Promise<{ readonly target: string; readonly urlAt: (address: string) => string }> {
    const url = await this.url();
    const folder = /[?&]host=([^&]*)/.exec(url)?.[1];
    const given = /@([^/?]+)/.exec(url)?.[1] ?? '127.0.0.1';
    const target =
      folder === undefined
        ? given.includes(':')
          ? given
          : `${given}:5432`
        : `${decodeURIComponent(folder)}/.s.PGSQL.5432`;
    const urlAt = (address: string) => url.replace(/@[^/?]*/, `@${address}`).replace(/host=[^&]*&?/, '');
    return { target, urlAt };
  }

  newSchema(): string {
    return `holdfast_store_${process.pid}_${++this.#schemas}`;
  }

  async open(schema: string, changes: Partial<PostgresOptions> = {}): Promise<PostgresStore> {
    return openPostgresStore({
      ...{ url: await this.url(), schema, identity: IDENTITY, outside: OUTSIDE },
      ...changes,
    });
  }

  /** An empty store. To make a schema and to connect takes longer than most tests: they are used again. */
  async bench(): Promise<Bench> {
    const schema = this.#free.pop() ?? this.newSchema();
    let store = this.#opened.get(schema) ?? (await this.open(schema));
    return {
      store,
      reopen: async () => {
        await store.close();
        store = await this.open(schema);
        return store;
      },
      end: async () => {
        // One that its test has closed is opened anew.
        if (store.isOwned()) this.#opened.set(schema, store);
        else this.#opened.delete(schema);
        await this.query(emptied(schema));
        this.#free.push(schema);
      },
    };
  }

  /** Runs SQL as somebody else would. */
  async query(sql: string): Promise<pg.QueryResult> {
    this.#client ??= connected(await this.url());
    return (await this.#client).query(sql);
  }

  async end(): Promise<void> {
    for (const store of this.#opened.values()) await store.close();
    await (await this.#client)?.end();
    await (await this.#database)?.close();
  }
}

const TABLES = [
  ...['tasks', 'submissions', 'history', 'agents', 'sessions', 'queues', 'notifications', 'deliveries'],
  ...['dags', 'dag_versions', 'runs', 'pools', 'assets', 'asset_events', 'triggers', 'bundles', 'backfills'],
];

const emptied = (schema: string): string =>
  [
    `SET search_path = ${schema}`,
    ...TABLES.map((table) => `DELETE FROM ${table}`),
    'UPDATE numbering SET newest = 0',
    "UPDATE counters SET token = 0, epoch = 0, service_ms = 0, recovery = ''",
  ].join('; ');

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  await client.connect();
  return client;
}
