import { between, type MonoMs } from '../../kit/time.js';
import { StoreError } from '../store.js';
import { type Columns, type Link, quoted, type Statement } from './driver.js';
import { ConnectionLost, storeError } from './errors.js';
import { type Life, type Outside, pause } from './life.js';
import { markRestored, placeOf } from './restored.js';

/** The process that wants to be the owner. */
export interface Identity {
  readonly host: string;
  readonly pid: number;
  /** What tells this run of this machine, and its processes, from all others; empty when that cannot be known. */
  readonly machine: string;
  /** Whether a process of this machine has certainly ended. */
  isGone(pid: number): boolean;
}

/**
 * For so long after the database was last heard an owner may go on telling agents that it hears them, and for so long a
 * new owner waits that cannot know that the old one has ended (P18). Longer forgives the network more, and makes a
 * take-over by another machine slower.
 */
export const GRACE_MS = 10_000;

/** Of the session that was killed a moment ago the server may not know yet. */
const LOCK_PATIENCE_MS = 3_000;
const LOCK_WAIT_MS = 100;
/** "HFst", as in SQLite's files: tells our locks from those of other programs. */
const LOCK_CLASS = 0x48467374;

const of = (text: string): Statement => ({ name: '', text });
const LOCK = of(`SELECT pg_try_advisory_lock(${LOCK_CLASS}, hashtext($1)) AS mine`);
const NAME = of('SELECT gen_random_uuid()::text AS holder');
const OWNER = of('SELECT * FROM owner');
const TAKE =
  of(`UPDATE owner SET fence = fence + 1, holder = $1, host = $2, pid = $3, machine = $4, grace_ms = $5,
  is_released = false, since = now(), place = $6 RETURNING fence, commits`);
const RENEW = of('UPDATE owner SET fence = fence + 1 WHERE holder = $1 RETURNING fence, commits, place');
const RELEASE = of('UPDATE owner SET is_released = true WHERE fence = $1');
const HOLDER: Statement = { name: 'holder', text: 'SELECT holder FROM owner' };
/** Ours by its name, which nobody else has; left behind by a connection that only this side knows to be lost. */
const END_FORMER = of(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = $1 AND pid <> pg_backend_pid()`);

/** How the owner's sessions are called, so that it can end those that it has lost. */
export const calledAs = (what: string, holder: string): string => `holdfast ${what} ${holder}`.slice(0, 63);

/** Takes the lock that one coordinator has at a time; it lasts as long as the connection. Throws StoreError `locked`. */
export async function lock(link: Link, schema: string, outside: Outside, former = ''): Promise<void> {
  const begun = outside.mono();
  for (;;) {
    const [row] = await link.query(LOCK, [schema]);
    if (row?.mine === true) return;
    if (former !== '') await link.query(END_FORMER, [former]);
    if (between(begun, outside.mono()) > LOCK_PATIENCE_MS) throw await takenBy(link, schema);
    await pause(outside, LOCK_WAIT_MS);
  }
}

async function takenBy(link: Link, schema: string): Promise<StoreError> {
  const [there] = await link.query(of("SELECT to_regclass($1 || '.owner') IS NOT NULL AS yes"), [
    quoted(schema),
  ]);
  const [owner] = there?.yes === true ? await link.query(OWNER) : [];
  const who =
    owner === undefined || owner.host === ''
      ? 'another coordinator has it'
      : `the coordinator on ${String(owner.host)} (process ${String(owner.pid)}) has it`;
  return new StoreError(
    'locked',
    `schema ${schema} is not used, because ${who}; stop that coordinator first, or name another database or schema`,
  );
}

/** Who decides on the rows: proven by a row that every commit checks, and by the lock for those who would be next. */
export class Ownership {
  readonly holder: string;
  readonly #place: string;
  readonly #life: Life;
  readonly #outside: Outside;
  #fence: bigint;
  #commits: bigint;
  /** When the database was asked that last confirmed it. */
  #proven: MonoMs;

  /** A name for who becomes the owner: random, so that no two ever share it. */
  static async newName(link: Link): Promise<string> {
    const [row] = await link.query(NAME);
    return row?.holder as string;
  }

  /**
   * Becomes the owner; the caller has the lock. Whoever was it before cannot commit any more. Unless it ended in good order,
   * or is known to be dead, it may still be telling agents that it hears them: that is waited for.
   */
  static async take(
    link: Link,
    holder: string,
    identity: Identity,
    life: Life,
    outside: Outside,
  ): Promise<Ownership> {
    const begun = outside.mono();
    const place = await placeOf(link);
    const [before] = await link.query(OWNER);
    if (before === undefined) throw noOwner();
    if (before.place !== '' && before.place !== place) await markRestored(link);
    const [taken] = await link.query(TAKE, [
      ...[holder, identity.host, identity.pid, identity.machine, GRACE_MS, place],
    ]);
    if (taken === undefined) throw noOwner();
    if (!hasEnded(before, identity)) await pause(outside, Number(before.grace_ms));
    return new Ownership(holder, place, life, outside, taken, begun);
  }

  private constructor(
    holder: string,
    place: string,
    life: Life,
    outside: Outside,
    taken: Columns,
    proven: MonoMs,
  ) {
    this.holder = holder;
    this.#place = place;
    this.#life = life;
    this.#outside = outside;
    this.#fence = taken.fence as bigint;
    this.#commits = taken.commits as bigint;
    this.#proven = proven;
  }

  get fence(): bigint {
    return this.#fence;
  }

  /** How many transactions were made under this table of owners, as far as is known. */
  get commits(): bigint {
    return this.#commits;
  }

  /** Whether it is certain that no other owner is past its wait. */
  get isCertain(): boolean {
    return !this.#life.isOver && between(this.#proven, this.#outside.mono()) < GRACE_MS;
  }

  /** A transaction that was begun then was made. */
  committed(begun: MonoMs): void {
    this.#commits++;
    this.#proven = begun;
  }

  /**
   * For a new connection to write on: under a new fence, so that what was under way on the lost one is made by now or
   * never. Throws StoreError: `locked` when there is another owner, `unknown` when the rows are no longer those that were
   * written.
   */
  async renew(link: Link): Promise<void> {
    const [row] = await link.query(RENEW, [this.holder]);
    if (row === undefined) throw this.#life.end(takenOver());
    if ((row.commits as bigint) < this.#commits || (await placeOf(link)) !== this.#place) {
      const because = 'a standby took its place, or it was restored, and confirmed commits may be lost';
      throw this.#life.end(storeError('unknown', 'using the database again', because));
    }
    this.#fence = row.fence as bigint;
    this.#commits = row.commits as bigint;
  }

  /** For a new connection that holds the lock: the lost one may still have it. */
  async lockAgain(link: Link, schema: string): Promise<void> {
    await lock(link, schema, this.#outside, calledAs('owner', this.holder));
    await this.prove(link);
  }

  /** Asks whether this is the owner still. Throws StoreError `locked`, or ConnectionLost. */
  async prove(link: Link): Promise<void> {
    const begun = this.#outside.mono();
    const [row] = await link.query(HOLDER);
    if (row?.holder !== this.holder) throw this.#life.end(takenOver());
    if (begun > this.#proven) this.#proven = begun;
  }

  /** The next owner need not wait. Best effort: without it, it waits. */
  async release(link: Link): Promise<void> {
    try {
      await link.query(RELEASE, [this.#fence]);
    } catch (error) {
      if (!(error instanceof ConnectionLost) && !(error instanceof StoreError)) throw error;
    }
  }
}

/** Whether the owner before can say nothing to anybody any more. */
const hasEnded = (before: Columns, identity: Identity): boolean =>
  before.is_released === true ||
  (identity.machine !== '' && before.machine === identity.machine && identity.isGone(before.pid as number));

const takenOver = (): StoreError =>
  storeError('locked', 'using the database', 'another coordinator has taken over');

const noOwner = (): StoreError =>
  new StoreError('corrupt', 'the owner row is missing, so nobody can tell who decides; restore a dump');
