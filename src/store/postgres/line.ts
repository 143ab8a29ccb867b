import { between, type MonoMs } from '../../kit/time.js';
import { StoreError } from '../store.js';
import { type Columns, Link, type Param, type Reach, type Statement } from './driver.js';
import { ConnectionLost, storeError } from './errors.js';
import { type Life, type Outside, pause } from './life.js';

/** Without the database for longer than this the store is given up: the leases of all agents have ended by then. */
const GIVE_UP_MS = 60_000;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1_000;

/** A connection that is made anew whenever it was lost. */
export class Line {
  readonly #reach: Reach;
  readonly #life: Life;
  readonly #outside: Outside;
  readonly #prepare: (link: Link) => Promise<void>;
  #link: Link | null = null;
  #connecting: Promise<Link> | null = null;

  /** `prepare` is run on every new connection before anything else; what it throws as ConnectionLost is tried again. */
  constructor(
    reach: Reach,
    life: Life,
    outside: Outside,
    prepare: (link: Link) => Promise<void> = async () => {},
  ) {
    this.#reach = reach;
    this.#life = life;
    this.#outside = outside;
    this.#prepare = prepare;
  }

  /** Begins with a connection that is prepared already; whenever it is lost another is made at once, asked for or not. */
  keep(link: Link): void {
    this.#link = link;
    const again = async (): Promise<void> => this.keep(await this.link());
    // What ends the store is told to those who use it.
    link.whenLost(() => void again().catch(() => {}));
  }

  /** The connection, if there is one that works as far as is known. */
  get current(): Link | null {
    return this.#link?.isLost === false ? this.#link : null;
  }

  /** A connection that works as far as is known. Throws StoreError; `io` when none could be made for long. */
  async link(): Promise<Link> {
    this.#life.check();
    const { current } = this;
    if (current !== null) return current;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  /** A read, begun again when the connection is lost. Throws StoreError. */
  async ask(
    statement: Statement,
    params: readonly Param[] = [],
    patienceMs?: number,
  ): Promise<readonly Columns[]> {
    for (;;) {
      const link = await this.link();
      try {
        return await link.query(statement, params, patienceMs);
      } catch (error) {
        if (error instanceof ConnectionLost) link.drop();
        else throw error instanceof StoreError ? this.#life.note(error) : error;
      }
    }
  }

  async end(): Promise<void> {
    await this.#connecting?.catch(() => {});
    await this.#link?.end();
  }

  async #connect(): Promise<Link> {
    const begun = this.#outside.mono();
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
      this.#life.check();
      try {
        const link = await Link.open(this.#reach);
        await this.#use(link);
        return link;
      } catch (error) {
        // Busy: what was under way on the lost connection still has its locks.
        const passes =
          error instanceof ConnectionLost || (error instanceof StoreError && error.fault === 'busy');
        if (!passes) throw error instanceof StoreError ? this.#life.note(error) : error;
        this.#giveUpAfter(begun, error);
      }
      await pause(this.#outside, wait);
    }
  }

  async #use(link: Link): Promise<void> {
    try {
      await this.#prepare(link);
      this.#link = link;
    } catch (error) {
      link.drop();
      throw error;
    }
  }

  #giveUpAfter(begun: MonoMs, { message }: Error): void {
    if (between(begun, this.#outside.mono()) < GIVE_UP_MS) return;
    const because = `it could not be reached for ${GIVE_UP_MS / 1_000} s (${message})`;
    throw this.#life.end(storeError('io', 'using the database', because));
  }
}
