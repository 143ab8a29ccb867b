import { ConfigError } from '../config/problem.js';
import type { Config } from '../config/resolve.js';
import type { Store } from '../store/store.js';
import { openPostgres, openStore } from './parts.js';
import { makeFolderOf, makePrivateDatabase } from './paths.js';
import { databaseProblem, type OptionNames, type StartProblem, storeProblem } from './start-problem.js';

/** Where a coordinator keeps its rows. */
export interface StorePlace {
  /** For messages: a path, or a URL without anything secret. */
  readonly shown: string;
  /** Whether it is a database file, which backups and restores are made of. */
  readonly isFile: boolean;
  /** Throws StoreError. */
  open(): Promise<Store>;
  /** Why it could not be opened, or had to be given up. */
  problem(error: unknown, names: OptionNames): StartProblem;
}

/** Of the configuration. Throws ConfigError when the URL would show its password to every user of the machine. */
export function storePlaceOf(config: Config, dbFile: string): StorePlace {
  const url = config.find('server.store');
  if (url === null) return fileAt(dbFile);
  if (config.origin('server.store').kind === 'flag' && hasPassword(url)) {
    throw new ConfigError([
      {
        what: 'the URL of --store is not used',
        because: 'it has a password, and every user of this machine can read command lines',
        try: 'give it in HOLDFAST_STORE, or in a file that HOLDFAST_STORE_FILE names; or leave the password to PGPASSFILE',
      },
    ]);
  }
  return databaseAt(url, config.get('server.storeSchema'));
}

export const fileAt = (dbFile: string): StorePlace => ({
  shown: dbFile,
  isFile: true,
  open: () => {
    makeFolderOf(dbFile);
    makePrivateDatabase(dbFile);
    return openStore(dbFile);
  },
  problem: (error, names) => storeProblem(dbFile, error, names),
});

export function databaseAt(url: string, schema: string): StorePlace {
  const shown = `${withoutSecrets(url)} (schema ${schema})`;
  return {
    shown,
    isFile: false,
    open: () => openPostgres(url, schema),
    problem: (error) => databaseProblem(shown, error),
  };
}

/** Scheme, user, host and database: what stands behind a question mark may be a password as well. */
const withoutSecrets = (url: string): string =>
  url.replace(/\?.*$/s, '').replace(/^([a-z]+:\/\/[^:@/]*):[^@]*@/, '$1@');

const hasPassword = (url: string): boolean =>
  /^[a-z]+:\/\/[^:@/]*:[^@]+@/.test(url) || /[?&](?:password|sslpassword)=/.test(url);
