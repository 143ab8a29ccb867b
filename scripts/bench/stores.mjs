// Where a coordinator of the bench keeps its rows: a fresh store for each, looked at when it has ended.
import { REAL_CLOCK } from '../../dist/engine/clock.js';
import { REAL_TIMERS } from '../../dist/engine/timers.js';
import { processIdentity } from '../../dist/main/process-identity.js';
import { openPostgresStore } from '../../dist/store/postgres/open.js';
import { openSqliteStore } from '../../dist/store/sqlite/open.js';
import { findPostgres, startPostgres } from './servers.mjs';

/** The file that the coordinator has anyway. */
export const onSqlite = {
  fresh: () => ({
    flags: [],
    open: async (/** @type {string} */ database) => openSqliteStore({ file: database }),
    rest: () => {},
    end: () => {},
  }),
};

let databases = 0;

/** A database of its own on a running server; `rest` after each round, so that nobody else's pays for what it left to write. */
export const onPostgres = (server) => ({
  fresh: () => {
    const name = `holdfast_bench_${databases++}`;
    server.psql(`CREATE DATABASE ${name}`);
    const outside = {
      mono: () => REAL_CLOCK.mono(),
      after: (ms, task) => REAL_TIMERS.after(ms, task),
    };
    return {
      flags: ['--store', server.url(name)],
      open: () => openPostgresStore({ url: server.url(name), identity: processIdentity(), outside }),
      rest: () => server.psql('CHECKPOINT'),
      end: () => server.psql(`DROP DATABASE ${name} WITH (FORCE)`),
    };
  },
});

/** Does something with the store of this name; a server that it needs is started for it, and ended. */
export async function withStore(name, act) {
  if (name !== 'postgres') return await act(onSqlite);
  if (findPostgres() === null)
    throw new Error('PostgreSQL is not installed (Debian: apt-get install postgresql)');
  const server = await startPostgres();
  try {
    return await act(onPostgres(server));
  } finally {
    await server.stop();
  }
}
