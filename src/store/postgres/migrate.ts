import { StoreError } from '../store.js';
import { type Link, quoted, type Statement } from './driver.js';
import { MIGRATIONS, type Migration } from './schema.js';

const of = (text: string): Statement => ({ name: '', text });

/** The schema of the database: 0 when there is none of ours yet. Throws StoreError `newer`. */
export async function schemaOf(
  link: Link,
  schema: string,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<number> {
  const [there] = await link.query(of("SELECT to_regclass($1 || '.migrations') IS NOT NULL AS yes"), [
    quoted(schema),
  ]);
  if (there?.yes !== true) return 0;
  const [row] = await link.query(of('SELECT max(version) AS version FROM migrations'));
  const found = Number(row?.version ?? 0);
  const newest = newestOf(migrations);
  if (found <= newest) return found;
  throw new StoreError(
    'newer',
    `schema ${schema} is not used, because it has version ${found} and this program knows only up to ${newest}; ` +
      'start the newer program, or restore a dump from before its upgrade into another schema or database',
  );
}

/** Brings the database to the newest schema, each step in a transaction of its own. The caller holds the lock of the owner. */
export async function migrate(
  link: Link,
  schema: string,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  const found = await schemaOf(link, schema, migrations);
  if (found === 0) await begin(link, schema);
  for (const { version, name, up } of migrations) {
    if (version <= found) continue;
    await link.script(`${up}; INSERT INTO migrations VALUES (${version}, '${name}', now())`);
  }
}

/** The schema that this program reads and writes. */
export const schemaOfProgram = (): number => newestOf(MIGRATIONS);

const newestOf = (migrations: readonly Migration[]): number => migrations.at(-1)?.version ?? 0;

/** A schema that an administrator has made needs no right to make one. One that has tables of others is refused. */
async function begin(link: Link, schema: string): Promise<void> {
  const [there] = await link.query(of('SELECT to_regnamespace($1) IS NOT NULL AS yes'), [quoted(schema)]);
  if (there?.yes !== true) await link.script(`CREATE SCHEMA ${quoted(schema)}`);
  const [others] = await link.query(
    of('SELECT count(*) AS n FROM pg_class WHERE relnamespace = to_regnamespace($1)'),
    [quoted(schema)],
  );
  if (others?.n !== 0n) {
    throw new StoreError(
      'corrupt',
      `schema ${schema} is not used, because it has tables of another program in it; name another schema`,
    );
  }
  await link.script(
    'CREATE TABLE migrations (version integer PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL)',
  );
}
