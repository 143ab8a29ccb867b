import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { AgentId, TaskId, Token } from '../../src/kit/ids.js';
import type { Places } from '../../src/server/log-pieces.js';
import { type AppendResult, TaskLogs } from '../../src/server/logs.js';
import { FULL_TRIES, type SegmentTerms, segmentTerms } from '../../src/server/try-log.js';
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
/** Token 11 is try 1, token 12 is try 2 and so on to 80; no other was ever permitted. */
const open = (folder: string, segments: SegmentTerms = segmentTerms(64 * 1024 ** 2)): TaskLogs =>
  new TaskLogs({
    directory: folder,
    findOwner: async (token) => {
      const tryNumber = Number(token) - 10;
      return tryNumber >= 1 && tryNumber <= 80 ? { agentId: AGENT, taskId: TASK, tryNumber } : null;
    },
    segments,
    complain: () => {},
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
    const logs = open(folder, { bytes: 20, count: 10 });
    await write(logs, 11, 0, 'before ');
    // A device that is always full stands where the next segment goes.
    const next = files(folder)[0]?.replace(/0\.log$/, '7.log') as string;
    symlinkSync('/dev/full', next);
    expect(await write(logs, 11, 7, 'lost ')).toMatchObject({ closed: false, resend: true });
    expect(await write(logs, 11, 12, 'later')).toMatchObject({ closed: false, resend: true });
    rmSync(next);
    expect(await write(logs, 11, 7, 'lost ')).toEqual({ nextOffset: 12, closed: false, resend: false });
    expect(await write(logs, 11, 12, 'later')).toEqual({ nextOffset: 17, closed: false, resend: false });
    expect(await read(logs, 1)).toBe('before lost later');
    await logs.close();
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

  test('a gap is bridged and said to be one: what comes after it is worth keeping', async () => {
    const logs = open(newFolder());
    expect(await write(logs, 11, 100, 'later')).toEqual({ nextOffset: 105, closed: false, resend: false });
    expect(await read(logs)).toBe('[holdfast: 100 bytes of output are missing here]\nlater');
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

/** Six records of ten bytes to a segment, ten segments to a run. */
const SMALL: SegmentTerms = { bytes: 6 * (13 + 10), count: 10 };
const line = (n: number): string => `${String(n).padStart(9, '0')}\n`;

async function writeLines(logs: TaskLogs, token: number, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await write(logs, token, 10 * n, line(n));
}

const sizes = (folder: string): number => files(folder).reduce((sum, path) => sum + statSync(path).size, 0);

describe('the output of a run that says more than its limit', () => {
  test('keeps its beginning and its newest, and says how much is missing between', async () => {
    const folder = newFolder();
    const logs = open(folder, SMALL);
    await writeLines(logs, 11, 200);
    expect(files(folder)).toHaveLength(10);
    expect(sizes(folder)).toBeLessThanOrEqual(SMALL.bytes * SMALL.count);
    // Segments begin at the lines 0, 6, 12 … 198: the first and the newest nine are left.
    const kept = Array.from({ length: 200 - 150 }, (_, i) => line(150 + i)).join('');
    const head = [0, 1, 2, 3, 4, 5].map(line).join('');
    expect(await read(logs)).toBe(`${head}[holdfast: 1440 bytes of output are missing here]\n${kept}`);
    await logs.close();
    const again = open(folder, SMALL);
    expect(await write(again, 11, 2_000, 'more')).toEqual({
      nextOffset: 2_004,
      closed: false,
      resend: false,
    });
    await again.close();
  });

  test('is followed by a slow reader to its end: what was dropped under it is said to be missing', async () => {
    const logs = open(newFolder(), SMALL);
    const places: Places = new Map();
    const next = async (): Promise<string> => {
      let text = '';
      for await (const { data } of logs.read(TASK, 0, places)) text += Buffer.from(data).toString();
      return text;
    };
    await writeLines(logs, 11, 8);
    expect(await next()).toBe(Array.from({ length: 8 }, (_, n) => line(n)).join(''));
    for (let n = 8; n < 200; n++) await write(logs, 11, 10 * n, line(n));
    const kept = Array.from({ length: 50 }, (_, i) => line(150 + i)).join('');
    expect(await next()).toBe(`[holdfast: 1420 bytes of output are missing here]\n${kept}`);
    expect(await next()).toBe('');
    await logs.close();
  });

  test('has a tail that is read from the end: earlier segments are not even opened', async () => {
    const folder = newFolder();
    const logs = open(folder, { ...SMALL, count: 100 });
    await writeLines(logs, 11, 60);
    await writeLines(logs, 12, 60);
    // Reading a directory fails: whoever touches another segment than the last two finds out.
    for (const path of files(folder).sort().slice(0, -2)) {
      rmSync(path);
      mkdirSync(path);
    }
    const places: Places = new Map();
    let skip = await logs.seekTail(TASK, 0, 75, places);
    let text = '';
    for await (const { data } of logs.read(TASK, 0, places)) {
      text += Buffer.from(data).subarray(skip).toString();
      skip = Math.max(0, skip - data.length);
    }
    expect(text).toBe(line(52).slice(5) + [53, 54, 55, 56, 57, 58, 59].map(line).join(''));
    await logs.close();
  });

  test('takes room from the oldest tries of its task once eight of them are full', async () => {
    const folder = newFolder();
    const logs = open(folder, SMALL);
    for (let tryNumber = 1; tryNumber <= 12; tryNumber++) await writeLines(logs, 10 + tryNumber, 60);
    expect(sizes(folder)).toBeLessThanOrEqual(FULL_TRIES * SMALL.bytes * SMALL.count);
    expect(await read(logs, 4)).toBe('');
    const whole = Array.from({ length: 60 }, (_, n) => line(n)).join('');
    expect([await read(logs, 5), await read(logs, 12)]).toEqual([whole, whole]);
    await logs.close();
  });
});

describe('the count of all output', () => {
  test('follows what is written, dropped and removed, over a restart as well', async () => {
    const folder = newFolder();
    const logs = open(folder, SMALL);
    await write(logs, 11, 0, 'before it was counted');
    for (const name of await logs.folders()) {
      for (const taskId of await logs.tasksIn(name)) await logs.countTask(taskId);
    }
    expect(logs.bytes).toBe(sizes(folder));
    await writeLines(logs, 12, 200);
    for (let token = 13; token < 30; token++) await writeLines(logs, token, 60);
    expect(logs.bytes).toBe(sizes(folder));
    await logs.remove([TASK]);
    expect([logs.bytes, sizes(folder)]).toEqual([0, 0]);
    await logs.close();
  });

  test('at its limit makes further output wait with its agent, and lets it in again', async () => {
    const logs = open(newFolder());
    await write(logs, 11, 0, 'one ');
    logs.full = true;
    expect(await write(logs, 11, 4, 'two ')).toEqual({ nextOffset: 4, closed: false, resend: true });
    expect(await write(logs, 11, 8, 'three')).toMatchObject({ resend: true });
    logs.full = false;
    expect(await write(logs, 11, 4, 'two ')).toEqual({ nextOffset: 8, closed: false, resend: false });
    await write(logs, 11, 8, 'three');
    expect(await read(logs)).toBe('one two three');
    await logs.close();
  });
});
