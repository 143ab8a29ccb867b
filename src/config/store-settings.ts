import type { Kind } from './kinds.js';
import { setting } from './setting.js';

const databaseUrl: Kind<string> = {
  placeholder: 'URL',
  repeats: false,
  parse: (given) =>
    /^postgres(?:ql)?:\/\//.test(given)
      ? { value: given }
      : { because: 'it must be a URL such as postgres://USER@HOST:5432/DATABASE' },
  show: (value) => value,
};

const schemaName: Kind<string> = {
  placeholder: 'NAME',
  repeats: false,
  parse: (given) =>
    /^[a-z_][a-z0-9_]{0,62}$/.test(given) && !given.startsWith('pg_')
      ? { value: given }
      : { because: 'it must be 1 to 63 characters of a-z 0-9 _, not begin with a digit, nor with pg_' },
  show: (value) => value,
};

/** Where a coordinator keeps its rows, unless that is a file. */
export const STORE_SETTINGS = {
  'server.store': setting<string>({
    flag: 'store',
    kind: databaseUrl,
    fallback: null,
    doc: 'PostgreSQL database to keep everything in but task output; a URL with a password in HOLDFAST_STORE or the file of HOLDFAST_STORE_FILE',
    otherwise: 'the file of --db-file',
    secret: true,
  }),
  'server.storeSchema': setting({
    flag: 'store-schema',
    kind: schemaName,
    fallback: 'holdfast',
    doc: 'schema in the database of --store, made when it is missing; coordinators with schemas of their own share a database',
  }),
} as const;
