import { type FileHandle, open } from 'node:fs/promises';
import type { Token } from '../kit/ids.js';
import { LogStream } from '../wire/gen/holdfast/v1/types.js';
import { type LogRecord, readRecords } from './log-record.js';
import { isMissing, type Segment } from './log-segments.js';

/** A piece of output with the run that it belongs to. */
export interface LogPiece extends LogRecord {
  readonly tryNumber: number;
  readonly token: Token;
  /** It is not the run's own: a word of ours about what is missing. */
  readonly isMark: boolean;
}

/** Where a reader left a run's output. */
interface Place {
  /** The segment, by its start, and the place in its file. */
  readonly start: number;
  readonly position: number;
  /** Offset of the next byte of output. */
  readonly offset: number;
}

/** Where a reader left each run: reading on costs only what is new. */
export type Places = Map<Token, Place>;

const BEGINNING: Place = { start: -1, position: 0, offset: 0 };

/** The output in these segments, from where it was left. What lies between two of them and is gone is said to be. */
export async function* readPieces(segments: readonly Segment[], places: Places): AsyncGenerator<LogPiece> {
  for (const { path, start, tryNumber, token } of segments) {
    const left = places.get(token) ?? BEGINNING;
    if (start < left.start) continue;
    const file = await openToRead(path);
    if (file === null) continue;
    try {
      let { offset } = left;
      for await (const record of readRecords(file, start === left.start ? left.position : 0)) {
        if (start > offset) yield { ...missing(start - offset, record.atMs), tryNumber, token };
        offset = Math.max(offset, start) + record.data.length;
        places.set(token, { start, position: record.end, offset });
        yield { ...record, tryNumber, token, isMark: false };
      }
    } finally {
      await file.close();
    }
  }
}

function missing(bytes: number, atMs: number): LogRecord & { isMark: true } {
  const text = `[holdfast: ${bytes} bytes of output are missing here]\n`;
  return { stream: LogStream.SYSTEM, atMs, data: new TextEncoder().encode(text), isMark: true };
}

/**
 * Puts `places` where the last `bytes` of output begin, or a little before: returns how much of what follows is still to
 * be left out. Reads from the end, and no more segments than the tail lies in.
 */
export async function seekTail(segments: readonly Segment[], bytes: number, places: Places): Promise<number> {
  let found = 0;
  for (const { path, start, token } of [...segments].reverse()) {
    if (found >= bytes) {
      // Of a run that lies before the tail altogether, nothing is wanted.
      if (!places.has(token)) places.set(token, { ...BEGINNING, start: Number.POSITIVE_INFINITY });
      continue;
    }
    const file = await openToRead(path);
    if (file === null) continue;
    try {
      for await (const { data } of readRecords(file)) found += data.length;
      places.set(token, { start, position: 0, offset: start });
    } finally {
      await file.close();
    }
  }
  return Math.max(0, found - bytes);
}

/** Null when retention was faster. */
async function openToRead(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
