import type { Checked } from '../check-rules.js';
import { StoreError } from '../store.js';
import { checkRows } from './check.js';
import { Link, type Reach, type Statement } from './driver.js';
import { ConnectionLost } from './errors.js';
import { Life, type Outside } from './life.js';
import { Line } from './line.js';
import { migrate, schemaOf, schemaOfProgram } from './migrate.js';
import { calledAs, type Identity, lock, Ownership } from './owner.js';
import { PostgresStore } from './store.js';

export interface PostgresOptions {
  /** postgres:// URL of a database that exists; the schema in it is made and upgraded. */
  readonly url: string;
  /** The schema that holds everything of ours. Default `holdfast`. */
  readonly schema?: string;
  readonly identity: Identity;
  readonly outside: Outside;
}

/** Of the next decision: what takes longer is ended, and the connection made anew. Heartbeats go on meanwhile. */
const DECISION_MS = 4_000;
/** Of people, who may wait. */
const LIST_MS = 30_000;
const START_MS = 600_000;
/** No index is passed over for a scan, whatever the planner knows of a table that was empty a moment ago. */
export const BY_INDEX = {
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
};
const WRITING = { ...BY_INDEX, plan_cache_mode: 'force_generic_plan' };
const OLDEST_SERVER = 140_000;

const ABOUT: Statement = {
  name: '',
  text: `SELECT current_setting('server_version_num')::integer AS version, current_setting('server_version') AS called,
    pg_is_in_recovery() AS standby, current_setting('server_encoding') AS encoding`,
};

/**
 * Opens the store, creating or upgrading its schema. Throws StoreError: `locked` when another coordinator has it, `newer`,
 * `corrupt` when the schema is somebody else's, `io` when the database cannot be reached or used.
 */
export async function openPostgresStore(options: PostgresOptions): Promise<PostgresStore> {
  const { url, schema = 'holdfast', identity, outside } = options;
  const reach = (what: string, statementMs: number, settings: Reach['settings'] = {}): Reach => ({
    ...{ url, schema, called: calledAs(what, holder), statementMs, settings },
  });
  let holder = '';
  const life = new Life();
  const opened: Link[] = [];
  const connect = async (to: Reach): Promise<Link> => {
    const link = await Link.open(to);
    opened.push(link);
    return link;
  };
  try {
    const first = await connect(reach('start', START_MS));
    await checkServer(first);
    holder = await Ownership.newName(first);
    const owning = await connect(reach('owner', DECISION_MS));
    await lock(owning, schema, outside);
    await migrate(first, schema);
    const ownership = await Ownership.take(owning, holder, identity, life, outside);
    const line = (to: Reach, prepare?: (link: Link) => Promise<void>) => new Line(to, life, outside, prepare);
    const owner = line(reach('owner', DECISION_MS), (link) => ownership.lockAgain(link, schema));
    owner.keep(owning);
    const writer = line(reach('writer', DECISION_MS, WRITING), (link) => ownership.renew(link));
    const soon = line(reach('reader', DECISION_MS, BY_INDEX));
    const leisurely = line(reach('lists', LIST_MS, BY_INDEX));
    await Promise.all([writer.link(), soon.link(), leisurely.link()]);
    await first.end();
    return new PostgresStore({ life, outside, ownership, owner, writer, soon, leisurely });
  } catch (error) {
    for (const link of opened) link.drop();
    throw error instanceof ConnectionLost ? unreachable(error) : error;
  }
}

/**
 * Reads a schema through that no coordinator has. Changes nothing. Throws StoreError: `locked`, `newer`, `older` (nothing of
 * ours included), `io`.
 */
export async function checkPostgres({
  url,
  schema = 'holdfast',
  outside,
}: Omit<PostgresOptions, 'identity'>): Promise<Checked> {
  const called = 'holdfast check';
  try {
    const link = await Link.open({ url, schema, called, statementMs: START_MS, settings: BY_INDEX });
    try {
      await lock(link, schema, outside);
      const found = await schemaOf(link, schema);
      if (found !== schemaOfProgram()) throw notUpgraded(schema, found);
      return await checkRows((text, params) => link.query({ name: '', text }, params));
    } finally {
      await link.end();
    }
  } catch (error) {
    throw error instanceof ConnectionLost ? unreachable(error) : error;
  }
}

const notUpgraded = (schema: string, found: number): StoreError =>
  new StoreError(
    'older',
    `schema ${schema} is not read, because it has version ${found} and this program reads ${schemaOfProgram()}; ` +
      'start the coordinator on it once, which makes and upgrades it',
  );

async function checkServer(link: Link): Promise<void> {
  const [about] = await link.query(ABOUT);
  const because =
    Number(about?.version) < OLDEST_SERVER
      ? `the server is PostgreSQL ${String(about?.called)}, and 14 is the oldest that is supported`
      : about?.standby === true
        ? 'the server is a standby, which only reads'
        : about?.encoding !== 'UTF8'
          ? `its encoding is ${String(about?.encoding)}, and only UTF8 holds every text`
          : null;
  if (because !== null)
    throw new StoreError('io', `the database is not used, because ${because}; name another one`);
}

const unreachable = (cause: ConnectionLost): StoreError =>
  new StoreError(
    'io',
    `the database is not used, because ${cause.message}; check that the server runs, its address, and who may connect`,
    { cause },
  );
