import { existsSync } from 'node:fs';
import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { TaskId, Token } from '../kit/ids.js';

/** A stretch of one run's output: a file, named by try, token and the offset of its first byte. */
export interface Segment {
  readonly path: string;
  readonly tryNumber: number;
  readonly token: Token;
  /** Offset in the run's output of the first byte in it. */
  readonly start: number;
}

/** The folder of the folders: by the end of the id, which is random, so that none grows with the number of tasks. */
export const folderOf = (taskId: TaskId): string => taskId.slice(-2);

export const taskDirectory = (root: string, taskId: TaskId): string => join(root, folderOf(taskId), taskId);

export function segmentPath(directory: string, { tryNumber, token, start }: Omit<Segment, 'path'>): string {
  const parts = [
    String(tryNumber).padStart(6, '0'),
    String(token).padStart(20, '0'),
    String(start).padStart(16, '0'),
  ];
  return join(directory, `${parts.join('-')}.log`);
}

const NAME = /^(\d{6,})-(\d{20})-(\d{16})\.log$/;

/** All segments of a task: oldest try first, each run's in the order of its output. */
export async function listSegments(directory: string): Promise<Segment[]> {
  const segments: Segment[] = [];
  for (const name of await namesIn(directory)) {
    const match = NAME.exec(name);
    if (match === null) continue;
    const [, tryNumber, token, start] = match;
    segments.push({
      path: join(directory, name),
      tryNumber: Number(tryNumber),
      token: BigInt(token ?? 0) as Token,
      start: Number(start),
    });
  }
  return segments.sort(inOrder);
}

function inOrder(a: Segment, b: Segment): number {
  if (a.tryNumber !== b.tryNumber) return a.tryNumber - b.tryNumber;
  if (a.token !== b.token) return a.token < b.token ? -1 : 1;
  return a.start - b.start;
}

/** What is in a directory; nothing when it is not there. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Removes a file. Returns its bytes; 0 when somebody else was faster. */
export async function removeFile(path: string): Promise<number> {
  try {
    const { size } = await stat(path);
    await rm(path);
    return size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}

/** Removes a task's directory with all that is in it. Returns the bytes that were. */
export async function removeDirectory(directory: string): Promise<number> {
  // Most tasks say nothing, and this look costs a twentieth of a promise: retention asks for thousands a second.
  if (!existsSync(directory)) return 0;
  let bytes = 0;
  for (const name of await namesIn(directory)) bytes += await removeFile(join(directory, name));
  try {
    await rmdir(directory);
  } catch (error) {
    // Retention and upkeep may both have been told to, and output may have come late.
    if (!isMissing(error) && (error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
  return bytes;
}

/** Bytes of the files in a task's directory. */
export async function bytesIn(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await namesIn(directory)) {
    const found = await stat(join(directory, name)).catch(() => null);
    bytes += found?.size ?? 0;
  }
  return bytes;
}

export const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';
