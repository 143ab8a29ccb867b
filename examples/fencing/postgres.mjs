// The fencing token in PostgreSQL. `db` is a client or a pool of `pg`, `client` a client of its own.
// Tokens are passed as text: they are 64 bits wide, and a number of JavaScript is not.
import { Fenced } from './fenced.mjs';

export const SCHEMA = `
  CREATE TABLE balances (account text PRIMARY KEY, amount bigint NOT NULL, fence bigint NOT NULL DEFAULT 0);
  CREATE TABLE payouts (account text NOT NULL, amount bigint NOT NULL, paid_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE fences (resource text PRIMARY KEY, fence bigint NOT NULL);
`;

/** A row that is there already. */
export async function update(db, token, account, amount) {
  const written = await db.query(
    'UPDATE balances SET amount = $1, fence = $2 WHERE account = $3 AND fence <= $2',
    [amount, String(token), account],
  );
  if (written.rowCount === 0) throw new Fenced(account, token);
}

/** A row that may not be there yet: the first write makes it, with its fence. */
export async function upsert(db, token, account, amount) {
  const written = await db.query(
    `INSERT INTO balances (account, amount, fence) VALUES ($1, $2, $3)
     ON CONFLICT (account) DO UPDATE SET amount = EXCLUDED.amount, fence = EXCLUDED.fence
     WHERE balances.fence <= EXCLUDED.fence`,
    [account, amount, String(token)],
  );
  if (written.rowCount === 0) throw new Fenced(account, token);
}

/** Raises the fence of a resource. Within a transaction it stays locked until the end of that. */
export async function claim(db, token, resource) {
  const raised = await db.query(
    `INSERT INTO fences (resource, fence) VALUES ($1, $2)
     ON CONFLICT (resource) DO UPDATE SET fence = EXCLUDED.fence WHERE fences.fence <= EXCLUDED.fence`,
    [resource, String(token)],
  );
  if (raised.rowCount === 0) throw new Fenced(resource, token);
}

/** Several statements, or rows without a fence of their own: claim first, then read and write. */
export async function transaction(client, token, resource, work) {
  await client.query('BEGIN');
  try {
    await claim(client, token, resource);
    const done = await work(client);
    await client.query('COMMIT');
    return done;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}
