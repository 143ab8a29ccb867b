import { appendFileSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { AgentId, TaskId, Token } from '../../src/kit/ids.js';
import { type AppendResult, TaskLogs } from '../../src/server/logs.js';
import { LogStream } from '../../src/wire/gen/holdfast/v1/types.js';
import { LIMITS } from '../../src/wire/limits.js';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-logs-'));
  folders.push(folder);
  return folder;
}

const TASK = 'task-1' as TaskId;
const AGENT = 'agent-1' as AgentId;
/** Token 11 is try 1, token 12 is try 2; no other was ever permitted. */
const open = (folder: string): TaskLogs =>
  new TaskLogs(folder, async (token) => {
    const tryNumber = Number(token) - 10;
    return tryNumber === 1 || tryNumber === 2 ? { agentId: AGENT, taskId: TASK, tryNumber } : null;
  });

function write(logs: TaskLogs, token: number, offset: number, text: string): Promise<AppendResult> {
  return logs.append(AGENT, {
    token: BigInt(token) as Token,
    taskId: TASK,
    offset: BigInt(offset),
    data: Buffer.from(text),
    stream: LogStream.STDOUT,
    at: new Date(0),
  });
}

async function read(logs: TaskLogs, tryNumber = 0): Promise<string> {
  let text = '';
  for await (const { data } of logs.read(TASK, tryNumber)) text += Buffer.from(data).toString();
  return text;
}

const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe('task output on disk', () => {
  test('that cannot be written is asked for again, and nothing behind the gap is taken', async () => {
    const folder = newFolder();
    const logs = open(folder);
    await write(logs, 11, 0, 'before ');
    const [file] = files(folder);
    await logs.close();
    // A device that is always full stands where the file was.
    renameSync(file as string, `${file}.kept`);
    symlinkSync('/dev/full', file as string);
    const full = open(folder);
    expect(await write(full, 11, 7, 'lost ')).toMatchObject({ closed: false, resend: true });
    expect(await write(full, 11, 12, 'later')).toMatchObject({ closed: false, resend: true });
    renameSync(`${file}.kept`, file as string);
    expect(await write(full, 11, 7, 'lost ')).toEqual({ nextOffset: 12, closed: false, resend: false });
    expect(await write(full, 11, 12, 'later')).toEqual({ nextOffset: 17, closed: false, resend: false });
    expect(await read(full, 1)).toBe('before lost later');
    await full.close();
  });

  test('tries are read in order and never mix', async () => {
    const logs = open(newFolder());
    await Promise.all([write(logs, 12, 0, 'second'), write(logs, 11, 0, 'first ')]);
    expect([await read(logs), await read(logs, 1), await read(logs, 2)]).toEqual([
      'first second',
      'first ',
      'second',
    ]);
    await logs.close();
  });

  test('goes on after a restart where it ended', async () => {
    const folder = newFolder();
    const before = open(folder);
    await write(before, 11, 0, 'one ');
    await before.close();
    const after = open(folder);
    expect(await write(after, 11, 0, 'one ')).toEqual({ nextOffset: 4, closed: false, resend: false });
    expect(await write(after, 11, 4, 'two')).toEqual({ nextOffset: 7, closed: false, resend: false });
    expect(await read(after)).toBe('one two');
    await after.close();
  });

  test('a torn end of a file is cut off, and written again', async () => {
    const folder = newFolder();
    const before = open(folder);
    await write(before, 11, 0, 'whole ');
    await before.close();
    for (const file of files(folder)) appendFileSync(file, Buffer.from([0, 0, 0, 200, 1]));
    const after = open(folder);
    expect(await read(after)).toBe('whole ');
    expect(await write(after, 11, 6, 'again')).toEqual({ nextOffset: 11, closed: false, resend: false });
    expect(await read(after)).toBe('whole again');
    await after.close();
  });

  test('of any length is read a piece at a time, every record whole', async () => {
    const logs = open(newFolder());
    const chunk = 'x'.repeat(LIMITS.logChunkBytes - 7);
    let offset = 0;
    for (let i = 0; i < 40; i++, offset += chunk.length) await write(logs, 11, offset, chunk);
    const sizes: number[] = [];
    let largest = 0;
    for await (const { data } of logs.read(TASK, 1)) {
      sizes.push(data.length);
      largest = Math.max(largest, data.buffer.byteLength);
    }
    expect(sizes).toEqual(Array.from({ length: 40 }, () => chunk.length));
    expect(largest).toBeLessThanOrEqual(4 * LIMITS.logChunkBytes);
    await logs.close();
  });

  test('of a task that was removed is gone, and another task keeps its own', async () => {
    const folder = newFolder();
    const logs = open(folder);
    await Promise.all([write(logs, 11, 0, 'one'), write(logs, 12, 0, 'two')]);
    expect(files(folder)).toHaveLength(2);
    await logs.remove(['other-task-1' as TaskId]);
    expect(await read(logs)).toBe('onetwo');
    await logs.remove([TASK]);
    expect(files(folder)).toEqual([]);
    expect(await read(logs)).toBe('');
    await logs.close();
  });

  test('what nobody was permitted makes no file', async () => {
    const folder = newFolder();
    const logs = open(folder);
    expect(await write(logs, 99, 0, 'x')).toEqual({ nextOffset: 0, closed: true, resend: false });
    expect(files(folder)).toEqual([]);
    await logs.close();
  });

  test('a gap is bridged: what comes after it is worth keeping', async () => {
    const logs = open(newFolder());
    expect(await write(logs, 11, 100, 'later')).toEqual({ nextOffset: 105, closed: false, resend: false });
    expect(await read(logs)).toBe('later');
    await logs.close();
  });

  test('followers are woken until they have had enough', async () => {
    const logs = open(newFolder());
    let woken = 0;
    const enough = logs.follow(TASK, () => void woken++);
    await write(logs, 11, 0, 'a');
    await write(logs, 11, 0, 'a');
    expect(woken).toBe(1);
    enough();
    await write(logs, 11, 1, 'b');
    expect(woken).toBe(1);
    await logs.close();
  });
});
