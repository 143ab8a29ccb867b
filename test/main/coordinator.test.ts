import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Client, Coordinator, connect, HoldfastError } from '../../src/index.js';

// The transport prints what it meets in words of its own; these tests look at what the program is told.
setLogVerbosity(logVerbosity.NONE);

let folder: string;
const started: Coordinator[] = [];
const clients: Client[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-library-'));
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const coordinator of started.splice(0)) await coordinator.stop();
  rmSync(folder, { recursive: true, force: true });
});

const coordinatorAt = (name: string, more: object = {}): Coordinator => {
  const coordinator = new Coordinator({ dbFile: join(folder, name), port: 0, ...more });
  started.push(coordinator);
  return coordinator;
};
const clientOf = (coordinator: Coordinator): Client => {
  const client = connect(coordinator.address);
  clients.push(client);
  return client;
};
const failureOf = async (call: Promise<unknown>): Promise<HoldfastError> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(HoldfastError);
  return error as HoldfastError;
};

describe('a coordinator in a program', () => {
  test('starts on a port of the system’s choice, and says which', async () => {
    const coordinator = await coordinatorAt('a.db').start();
    expect(coordinator.state).toBe('running');
    expect(coordinator.address).toMatch(/^127\.0\.0\.1:[1-9]\d+$/);
    const { coordinatorId } = await clientOf(coordinator).coordinator();
    expect(coordinatorId).toBe(coordinator.coordinatorId);
    expect(existsSync(join(folder, 'a.db.logs'))).toBe(true);
  });

  test('is started again after a stop, and still has what it accepted', async () => {
    const coordinator = await coordinatorAt('a.db').start();
    const firstId = coordinator.coordinatorId;
    const [task] = await clientOf(coordinator).tasks.submit([{ command: ['true'] }]);
    const { ended } = coordinator;
    await coordinator.stop();
    expect(await ended).toBeNull();
    expect(coordinator.state).toBe('stopped');

    await coordinator.start();
    expect(coordinator.coordinatorId).not.toBe(firstId);
    const found = await clientOf(coordinator).tasks.get(task?.taskId ?? '');
    expect(found.state).toBe('queued');
  });

  test('leaves its file to another object once it is stopped', async () => {
    const first = await coordinatorAt('a.db').start();
    await clientOf(first).tasks.submit([{ command: ['true'], idempotencyKey: 'k' }]);
    await first.stop();
    const second = await coordinatorAt('a.db').start();
    const [again] = await clientOf(second).tasks.submit([{ command: ['true'], idempotencyKey: 'k' }]);
    expect(again?.existing).toBe(true);
  });

  test('runs beside another one in the same process, each with its own tasks', async () => {
    const [a, b] = await Promise.all([coordinatorAt('a.db').start(), coordinatorAt('b.db').start()]);
    await clientOf(a).tasks.submit([{ command: ['a'] }]);
    const seen: string[] = [];
    for await (const task of clientOf(b).tasks.list()) seen.push(task.taskId);
    expect(seen).toEqual([]);
    await a.stop();
    expect((await clientOf(b).coordinator()).coordinatorId).toBe(b.coordinatorId);
  });

  test('installs no handler for signals or faults of the process', async () => {
    const events = ['SIGINT', 'SIGTERM', 'SIGHUP', 'uncaughtException', 'unhandledRejection', 'exit'];
    const before = events.map((event) => process.listenerCount(event));
    const coordinator = await coordinatorAt('a.db').start();
    expect(events.map((event) => process.listenerCount(event))).toEqual(before);
    await coordinator.stop();
    expect(events.map((event) => process.listenerCount(event))).toEqual(before);
  });

  test('writes its log lines to the logger it is given', async () => {
    const lines: string[] = [];
    const say = (_fields: object, message: string) => void lines.push(message);
    const log = { debug: say, info: say, warn: say, error: say };
    const coordinator = await coordinatorAt('a.db', { log }).start();
    await coordinator.stop();
    expect(lines).toEqual([expect.stringContaining('accepts calls'), expect.stringContaining('has stopped')]);
  });

  test('is stopped at the end of an await using block', async () => {
    const coordinator = await coordinatorAt('a.db').start();
    await coordinator[Symbol.asyncDispose]();
    expect(coordinator.state).toBe('stopped');
    await coordinator.stop();
  });
});

describe('what cannot be started says why', () => {
  test('a database that another coordinator of this process has', async () => {
    await coordinatorAt('a.db').start();
    const error = await failureOf(coordinatorAt('a.db').start());
    expect(error).toMatchObject({ code: 'STORE_LOCKED', advice: expect.stringContaining('dbFile') });
    // The refused one has opened and closed the file; the lock of the first must have outlived that.
    expect(await failureOf(coordinatorAt('a.db').start())).toMatchObject({ code: 'STORE_LOCKED' });
  });

  test('a port that is taken; the database is free again at once', async () => {
    const first = await coordinatorAt('a.db').start();
    const port = Number(first.address.split(':')[1]);
    expect(await failureOf(coordinatorAt('b.db', { port }).start())).toMatchObject({ code: 'PORT_IN_USE' });
    expect((await coordinatorAt('b.db').start()).state).toBe('running');
  });

  test('options that are malformed or contradict each other, all of them at once', async () => {
    const wrong = {
      port: 70_000,
      host: '0.0.0.0',
      heartbeatIntervalMs: 50,
      holdTimeoutMs: 1_000,
      retentionAgeMs: 5,
      logLimitTotalBytes: 2 ** 29,
      heartbeatInterval: 5,
      stormBrake: 'yes',
    };
    const error = await failureOf(coordinatorAt('a.db', wrong).start());
    expect(error.code).toBe('INVALID_OPTIONS');
    for (const name of [
      'port is 70000',
      'host is 0.0.0.0',
      'heartbeatIntervalMs is 50',
      'retentionAgeMs is 5',
      'logLimitTotalBytes is less than 16 times logLimitPerTryBytes',
    ]) {
      expect(error.reason).toContain(name);
    }
    expect(error.reason).toContain('heartbeatInterval is no option');
    expect(error.reason).toContain('stormBrake cannot be string');
    expect(existsSync(join(folder, 'a.db'))).toBe(false);
    const relation = await failureOf(
      coordinatorAt('a.db', { holdTimeoutMs: 10_000, heartbeatIntervalMs: 5_000 }).start(),
    );
    expect(relation.reason).toContain('holdTimeoutMs is not longer than the lease');
  });

  test('what needs a running coordinator, on one that is not', async () => {
    const coordinator = coordinatorAt('a.db');
    expect(() => coordinator.address).toThrow(HoldfastError);
    await coordinator.stop();
    await coordinator.start();
    expect(await failureOf(coordinator.start())).toMatchObject({ code: 'NOT_RUNNING' });
  });
});
