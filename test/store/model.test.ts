import { afterAll } from '@jest/globals';
import { openSqliteStore } from '../../src/store/sqlite/open.js';
import type { Bench } from './bench.js';
import { describeDagModel } from './dag-model.js';
import { folder } from './files.js';
import { describeModel } from './model.js';

const files = folder();
let count = 0;
afterAll(() => files.end());

async function open(): Promise<Bench> {
  const file = files.file(`model-${count++}.db`);
  let store = openSqliteStore({ file });
  const reopen = async () => {
    await store.close();
    store = openSqliteStore({ file });
    return store;
  };
  return { store, reopen, end: () => store.close() };
}

describeModel('SQLite', open, 60);
describeDagModel('SQLite', open, 60);
