import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { RESTORED } from '../../src/core/recovery.js';
import type { Driver } from '../../src/store/sqlite/driver.js';
import { faultOf as codeToFault } from '../../src/store/sqlite/errors.js';
import { migrate } from '../../src/store/sqlite/migrate.js';
import { openDriver, openSqliteStore } from '../../src/store/sqlite/open.js';
import { markRestored } from '../../src/store/sqlite/restored.js';
import { MIGRATIONS } from '../../src/store/sqlite/schema.js';
import { SqliteStore } from '../../src/store/sqlite/store.js';
import { StoreError } from '../../src/store/store.js';
import { faultOf } from './bench.js';
import { describeStore } from './contract.js';
import { folder } from './files.js';
import { allStates } from './fixtures/states.js';
import { next, put, puts, task, taskId } from './rows.js';

const shared = folder();
let count = 0;
afterAll(() => shared.end());

describeStore('SQLite', async () => {
  const file = shared.file(`contract-${count++}.db`);
  let store = openSqliteStore({ file });
  return {
    store,
    reopen: async () => {
      await store.close();
      store = openSqliteStore({ file });
      return store;
    },
    end: () => store.close(),
  };
});

/** The error of a call that must fail. */
function thrownBy(call: () => unknown): StoreError {
  try {
    call();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('an SQLite file', () => {
  let file: string;
  let open: Driver | null;
  const openFile = (): Driver => {
    open = openDriver({ file });
    return open;
  };
  /** A store with `n` tasks, left as a crash leaves it: nobody closed it in good order. */
  const crashed = async (n: number): Promise<void> => {
    const driver = openFile();
    const tasks = Array.from({ length: n }, (_, i) => put(task(i, { message: 'x'.repeat(500) }), 'lane', i));
    await new SqliteStore(driver).commit(puts({ tasks }));
    driver.close();
  };

  beforeEach(() => {
    file = shared.file(`file-${count++}.db`);
    open = null;
  });
  afterEach(() => open?.close());

  test('is opened with full durability and an exclusive lock', () => {
    const driver = openFile();
    const inForce = ['journal_mode', 'synchronous', 'locking_mode', 'wal_autocheckpoint', 'fullfsync'];
    expect(inForce.map((name) => driver.pragma(name))).toEqual(['wal', 2, 'exclusive', 1_024, 1]);
    expect(driver.pragma('journal_size_limit')).toBe(64 * 1024 ** 2);
    expect(driver.pragma('user_version')).toBe(MIGRATIONS.at(-1)?.version);
  });

  test('is refused to a second coordinator in the same process, with the owner named', () => {
    openFile();
    const error = thrownBy(() => openSqliteStore({ file }));
    expect(error.fault).toBe('locked');
    expect(error.message).toContain('because this process itself has it open; stop that coordinator first');
  });

  test('is refused when it is no database', () => {
    writeFileSync(
      file,
      'no database at all, but long enough to have a header of one hundred bytes'.repeat(9),
    );
    const error = thrownBy(() => openSqliteStore({ file }));
    expect(error.fault).toBe('corrupt');
    expect(error.message).toContain('file is not a database');
    expect(readFileSync(file, 'utf8')).toMatch(/^no database/);
  });

  test('is refused when it belongs to another program, and left as it was', () => {
    const other = new DatabaseSync(file);
    other.exec('CREATE TABLE theirs (a)');
    other.close();
    const before = readFileSync(file);
    const error = thrownBy(() => openSqliteStore({ file }));
    expect(error.fault).toBe('corrupt');
    expect(error.message).toContain('another program');
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test('is refused when its folder is missing', () => {
    const error = thrownBy(() => openSqliteStore({ file: shared.file('missing/x.db') }));
    expect(error.fault).toBe('io');
    expect(error.message).toMatch(/^opening .* failed, because: .*; check the disk, the folder/);
  });

  test('is refused when its end is missing', async () => {
    await crashed(500);
    truncateSync(file, 64 * 1024);
    expect(thrownBy(() => openSqliteStore({ file })).fault).toBe('corrupt');
  });

  test('is read through after a crash, and refused when a page is damaged', async () => {
    await crashed(500);
    const bytes = readFileSync(file);
    bytes.fill(0xa5, 40 * 4_096, 41 * 4_096);
    writeFileSync(file, bytes);
    const error = thrownBy(() => openSqliteStore({ file }));
    expect(error.fault).toBe('corrupt');
    expect(error.message).toContain('restore a backup');
  });

  test('is not read through after it was closed in good order', async () => {
    await openSqliteStore({ file }).close();
    const driver = openFile();
    expect(driver.statement('SELECT closed_cleanly FROM opening').get()).toEqual({ closed_cleanly: 0 });
    await new SqliteStore(driver).close();
    expect(openFile().isUsable).toBe(true);
  });

  test('is refused when a newer program wrote it', () => {
    openFile().pragma('user_version', 99);
    open?.close();
    const error = thrownBy(() => openSqliteStore({ file }));
    expect(error.fault).toBe('newer');
    expect(error.message).toMatch(
      /because it has schema 99 and this program knows only up to \d+; start the newer/,
    );
  });

  test('takes each migration once, and none of it when it fails', () => {
    const driver = openFile();
    const version = Number(driver.pragma('user_version')) + 1;
    const good = { version, name: 'good', up: 'CREATE TABLE added (a); INSERT INTO added VALUES (1)' };
    const bad = { version: version + 1, name: 'bad', up: 'CREATE TABLE half (a); SELECT nonsense' };
    expect(thrownBy(() => migrate(driver, file, [...MIGRATIONS, good, bad])).fault).toBe('other');
    expect(driver.pragma('user_version')).toBe(version);
    expect(() => driver.statement('SELECT * FROM half')).toThrow('no such table');
    migrate(driver, file, [...MIGRATIONS, good]);
    expect(driver.statement('SELECT count(*) AS n FROM added').get()).toEqual({ n: 1 });
  });

  test('that is full refuses the whole commit, and takes it once there is space', async () => {
    const driver = openFile();
    const store = new SqliteStore(driver);
    await store.commit(puts({ tasks: [put(task(1))] }));
    driver.pragma('max_page_count', Number(driver.pragma('page_count')) + 4);
    const result = new Uint8Array(64 * 1024).fill(7);
    const large = puts({ tasks: [put(next(task(1), {})), put(task(2)), put(task(3, { result }))] });
    expect(await faultOf(store.commit(large))).toBe('full');
    expect(await store.readTasks([1, 2, 3].map(taskId))).toEqual([task(1)]);
    await store.commit(puts({ tasks: [put(task(4))] }));
    driver.pragma('max_page_count', 1_000_000);
    await store.commit(large);
    expect(await store.countTasks()).toEqual({ queued: 4 });
  });

  test('with a row that makes no sense says which', async () => {
    const driver = openFile();
    const store = new SqliteStore(driver);
    await store.commit(puts({ tasks: [put(task(1))] }));
    driver.exec(`UPDATE tasks SET progress = '["", 1]'`);
    const error = await store.readTasks([taskId(1)]).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ fault: 'corrupt' });
    expect(String(error)).toContain('task task-00000001, value 1, should be text');
  });

  test('is copied while in use', async () => {
    const store = new SqliteStore(openFile());
    await store.commit(puts({ tasks: [put(task(1))] }));
    const copy = shared.file(`copy-${count++}.db`);
    await store.backup(copy);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    expect(existsSync(`${copy}.unfinished`)).toBe(false);
    const restored = openSqliteStore({ file: copy });
    expect(await restored.readTasks([taskId(1)])).toEqual([task(1)]);
    await restored.close();
  });

  test('is copied with everything of DAGs', async () => {
    const store = new SqliteStore(openFile());
    const { tasks, dags } = allStates();
    await store.commit(puts({ tasks: tasks.map((row) => put(row)), dags }));
    const copy = shared.file(`copy-${count++}.db`);
    await store.backup(copy);
    const restored = openSqliteStore({ file: copy });
    const loaded = (await store.load()).dags;
    expect(Object.values(loaded).every((rows) => rows.length > 0)).toBe(true);
    expect((await restored.load()).dags).toEqual(loaded);
    expect(await restored.listRuns({}, null, 9)).toEqual(await store.listRuns({}, null, 9));
    expect(await restored.listAssetEvents(null, null, 9)).toHaveLength(2);
    expect(await restored.newestAssetEvent()).toBe(2);
    await restored.close();
  });

  test('that is to be begun with knows what it must go through, before anything is written (P18)', async () => {
    await crashed(1);
    open = null;
    markRestored(file);
    for (let opened = 0; opened < 2; opened++) {
      const store = openSqliteStore({ file });
      expect([...((await store.load()).counters.recovery ?? [])].sort()).toEqual([...RESTORED].sort());
      await store.close();
    }
  });

  test('is copied while commits go on, and none of them waits for the copy', async () => {
    const store = new SqliteStore(openFile());
    const result = new Uint8Array(16 * 1024).fill(7);
    const many = (from: number) =>
      puts({ tasks: Array.from({ length: 100 }, (_, i) => put(task(from + i, { result }))) });
    for (let from = 0; from < 1_000; from += 100) await store.commit(many(from));
    const copy = shared.file(`copy-${count++}.db`);
    let steps = 0;
    const copied = store.backup(copy, () => void steps++);
    let more = 1_000;
    let over = false;
    void copied.finally(() => (over = true));
    while (!over) {
      await store.commit(puts({ tasks: [put(task(more++, { result }))] }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await copied;
    expect(steps).toBeGreaterThan(20);
    expect(more).toBeGreaterThan(1_001);
    const restored = openSqliteStore({ file: copy, checkLimitBytes: Number.POSITIVE_INFINITY });
    const { queued = 0 } = await restored.countTasks();
    expect(queued).toBeGreaterThan(1_000);
    expect(queued).toBeLessThanOrEqual(more);
    await restored.close();
  });

  test('is not copied over a file that is there', async () => {
    const store = new SqliteStore(openFile());
    const copy = shared.file(`copy-${count++}.db`);
    writeFileSync(copy, 'precious');
    expect(await faultOf(store.backup(copy))).toBe('conflict');
    expect(readFileSync(copy, 'utf8')).toBe('precious');
  });

  test('closed during a copy leaves nothing half-copied behind', async () => {
    const store = new SqliteStore(openFile());
    const result = new Uint8Array(256 * 1024).fill(7);
    for (let n = 0; n < 40; n++) await store.commit(puts({ tasks: [put(task(n, { result }))] }));
    const copy = shared.file(`copy-${count++}.db`);
    const copied = faultOf(store.backup(copy));
    await store.close();
    expect(await copied).toBe('other');
    expect([existsSync(copy), existsSync(`${copy}.unfinished`)]).toEqual([false, false]);
  });
});

describe('the SQLite driver', () => {
  test.each([
    ['too few values', ['a']],
    ['too many values', ['a', 'b', 'c']],
    ['a boolean', ['a', true as unknown as string]],
    ['nothing', ['a', undefined as unknown as string]],
    ['not a number', ['a', Number.NaN]],
  ])('refuses %s, which SQLite would take', (_, values) => {
    const driver = openDriver({ file: shared.file(`driver-${count++}.db`) });
    driver.exec('CREATE TABLE t (a, b)');
    const error = thrownBy(() => driver.statement('INSERT INTO t VALUES (?, ?)').run(...values));
    expect(error.fault).toBe('other');
    expect(error.message).toContain('this is a bug');
    driver.close();
    expect(thrownBy(() => driver.exec('SELECT 1')).fault).toBe('other');
  });

  test.each([
    [5, 'busy'],
    [11, 'corrupt'],
    [267, 'corrupt'],
    [13, 'full'],
    [26, 'corrupt'],
    [1_034, 'io'],
    [5_386, 'io'],
    [3_082, 'other'],
    [2_067, 'conflict'],
    [1_299, 'other'],
    [1, 'other'],
  ])('takes the extended result code %d for the fault %s', (code, fault) => {
    expect(codeToFault(code)).toBe(fault);
  });

  test('refuses everything after a fault of the disk, and can still be closed', () => {
    const driver = openDriver({ file: shared.file(`driver-${count++}.db`) });
    const syncFails = () => {
      throw Object.assign(new Error('disk I/O error'), { errcode: 1_034 });
    };
    expect(thrownBy(() => driver.transaction(() => driver.attempt('a sync', syncFails))).fault).toBe('io');
    const later = thrownBy(() => driver.exec('SELECT 1'));
    expect(later.fault).toBe('io');
    expect(later.message).toContain('the store was given up earlier, because a sync failed');
    driver.close();
  });
});
