import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { eventually } from '../wire/support/wait.js';
import { type Database, openDatabase } from './support/database.js';
import * as examples from './support/examples.js';

const TOKENS = [3n, 9n, 1n, 12n, 7n, 11n, 2n, 12n, 5n, 8n];
const fenced = { name: 'Fenced' };
let database: Database;
let db: pg.Pool;
let patterns: Awaited<ReturnType<typeof examples.postgres>>;
const clients: pg.Client[] = [];

beforeAll(async () => {
  database = await openDatabase();
  db = new pg.Pool({ connectionString: database.url, max: 10 });
  // A connection may hear of the server's end while it is being closed.
  db.on('error', () => {});
  patterns = await examples.postgres();
  await db.query(patterns.SCHEMA);
}, 90_000);
beforeEach(async () => {
  await db.query('TRUNCATE balances, payouts, fences');
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end();
});
afterAll(async () => {
  await db?.end();
  await database?.close();
}, 60_000);

async function connected(): Promise<pg.Client> {
  const client = new pg.Client(database.url);
  clients.push(client);
  await client.connect();
  return client;
}

const balance = async () =>
  (await db.query('SELECT amount, fence FROM balances')).rows as { amount: string; fence: string }[];

describe('in PostgreSQL', () => {
  test('an update takes a newer try and the same one again, and refuses an older one', async () => {
    const { update } = patterns;
    await db.query(`INSERT INTO balances (account, amount) VALUES ('a', 0)`);
    await update(db, 5n, 'a', 50);
    await update(db, 5n, 'a', 51);
    await expect(update(db, 4n, 'a', 40)).rejects.toMatchObject(fenced);
    expect(await balance()).toEqual([{ amount: '51', fence: '5' }]);
    await update(db, 2n ** 53n + 1n, 'a', 60);
    await expect(update(db, 2n ** 53n, 'a', 61)).rejects.toMatchObject(fenced);
    expect(await balance()).toEqual([{ amount: '60', fence: '9007199254740993' }]);
  });

  test('writers at once end with the newest token, whether the row was there or not', async () => {
    const ended = await Promise.allSettled(
      TOKENS.map((token) => patterns.upsert(db, token, 'a', Number(token))),
    );
    expect(ended.filter(({ status }) => status === 'rejected').every(isFenced)).toBe(true);
    expect(await balance()).toEqual([{ amount: '12', fence: '12' }]);
    await Promise.allSettled(
      TOKENS.map((token) => patterns.update(db, token + 20n, 'a', Number(token) + 20)),
    );
    expect(await balance()).toEqual([{ amount: '32', fence: '32' }]);
  });

  test('a newer transaction waits for an older one that has claimed, and builds on it', async () => {
    const [older, newer] = [await connected(), await connected()];
    let goOn: () => void = () => {};
    const asked = new Promise<void>((go) => {
      goOn = go;
    });
    const pay = (client: pg.Client | pg.Pool) =>
      client.query(`INSERT INTO payouts (account, amount) VALUES ('a', 10)`);
    const paid = async (client: pg.Client | pg.Pool) =>
      (await client.query('SELECT * FROM payouts')).rowCount;
    let claimed = false;
    const first = patterns.transaction(older, 1n, 'payouts of a', async (client) => {
      claimed = true;
      await asked;
      if ((await paid(client)) === 0) await pay(client);
    });
    await eventually('the claim', () => claimed);
    const second = patterns.transaction(newer, 2n, 'payouts of a', async (client) => {
      if ((await paid(client)) === 0) await pay(client);
    });
    const waits = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO fences%'`;
    await eventually('the newer one waits', async () => (await db.query(waits)).rowCount === 1);
    goOn();
    await Promise.all([first, second]);
    expect(await paid(db)).toBe(1);
  });

  test('an older transaction that comes after a newer one is refused at its claim, with nothing written', async () => {
    const client = await connected();
    const pay = () => client.query(`INSERT INTO payouts (account, amount) VALUES ('a', 10)`);
    await patterns.transaction(client, 2n, 'payouts of a', pay);
    await expect(patterns.transaction(client, 1n, 'payouts of a', pay)).rejects.toMatchObject(fenced);
    expect((await db.query('SELECT * FROM payouts')).rowCount).toBe(1);
    await patterns.transaction(client, 2n, 'payouts of a', pay);
    expect((await db.query('SELECT * FROM payouts')).rowCount).toBe(2);
  });

  test('a newer try that claims before it reads cannot be overtaken by what an older one writes', async () => {
    const { claim, transaction } = patterns;
    await claim(db, 2n, 'payouts of a');
    const late = transaction(await connected(), 1n, 'payouts of a', (client) =>
      client.query(`INSERT INTO payouts (account, amount) VALUES ('a', 10)`),
    );
    await expect(late).rejects.toMatchObject(fenced);
    expect((await db.query('SELECT * FROM payouts')).rowCount).toBe(0);
  });
});

function isFenced(result: PromiseSettledResult<void>): boolean {
  return result.status === 'rejected' && (result.reason as Error).name === 'Fenced';
}
