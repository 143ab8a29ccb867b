import { type FileHandle, mkdir, open } from 'node:fs/promises';
import type { AgentId, TaskId, Token } from '../kit/ids.js';
import { type LogRecord, readRecords, recordHeader } from './log-record.js';
import { bytesIn, listSegments, removeFile, type Segment, segmentPath } from './log-segments.js';

/** Whose output a token is: the agent that it was permitted to, and the try that it belongs to. */
export interface LogOwner {
  readonly agentId: AgentId;
  readonly taskId: TaskId;
  readonly tryNumber: number;
}

/** How one run's output is cut into files. */
export interface SegmentTerms {
  /** Bytes of one file; the next record begins another. */
  readonly bytes: number;
  /** Files of one run; beyond, the second one goes: what a run said first and last is what people look for. */
  readonly count: number;
}

const LARGEST_SEGMENT = 4 * 1024 * 1024;
/** The largest record fits in with room to spare. */
const SMALLEST_SEGMENT = 128 * 1024;
const SEGMENTS = 16;
/** Runs of one task that may be at their limit; then the oldest runs' output goes. */
export const FULL_TRIES = 8;

export function segmentTerms(perTryBytes: number): SegmentTerms {
  const bytes = Math.min(LARGEST_SEGMENT, Math.max(SMALLEST_SEGMENT, Math.floor(perTryBytes / SEGMENTS)));
  return { bytes, count: Math.max(2, Math.floor(perTryBytes / bytes)) };
}

/** The output of one run on disk, open for writing at its end. */
export class TryLog {
  readonly owner: LogOwner;
  readonly #directory: string;
  readonly #token: Token;
  readonly #terms: SegmentTerms;
  readonly #segments: Segment[];
  #file: FileHandle;
  /** Where the next record goes in the file. */
  #end: number;
  #next: number;
  /** A write has failed: what follows the gap is not taken until the gap is filled. */
  failed = false;

  private constructor(
    of: { readonly owner: LogOwner; readonly directory: string; readonly token: Token },
    terms: SegmentTerms,
    segments: Segment[],
    at: { readonly file: FileHandle; readonly end: number; readonly next: number },
  ) {
    this.owner = of.owner;
    this.#directory = of.directory;
    this.#token = of.token;
    this.#terms = terms;
    this.#segments = segments;
    this.#file = at.file;
    this.#end = at.end;
    this.#next = at.next;
  }

  /** Goes on where the last segment ends; a torn end, which was never acknowledged, is cut off first. */
  static async open(
    directory: string,
    owner: LogOwner,
    token: Token,
    terms: SegmentTerms,
  ): Promise<{ log: TryLog; removed: number }> {
    await mkdir(directory, { recursive: true });
    const all = await listSegments(directory);
    const segments = all.filter((segment) => segment.token === token);
    const first = { tryNumber: owner.tryNumber, token, start: 0 };
    const newest = segments.at(-1) ?? { ...first, path: segmentPath(directory, first) };
    if (segments.length === 0) segments.push(newest);
    const others = all.filter((segment) => segment.token !== token);
    const removed = await removeOldest(directory, others, (FULL_TRIES - 1) * terms.bytes * terms.count);
    const file = await openToWrite(newest.path);
    try {
      let next = newest.start;
      let end = 0;
      for await (const record of readRecords(file)) {
        next += record.data.length;
        end = record.end;
      }
      await file.truncate(end);
      return { log: new TryLog({ owner, directory, token }, terms, segments, { file, end, next }), removed };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Offset of the next byte of output. */
  get next(): number {
    return this.#next;
  }

  /** Whether a record of so many bytes is the first of a new segment; so is what follows a gap. */
  #beginsSegment(bytes: number, offset: number): boolean {
    return offset !== this.#next || (this.#end > 0 && this.#end + bytes > this.#terms.bytes);
  }

  /**
   * Writes a record whose output begins at `offset`: all of it, or nothing that counts, because a disk that fills up
   * takes a part and says so only by the count. Returns the bytes by which the run's files have changed. Throws when it
   * cannot be written, and stays where it was.
   */
  async write(record: LogRecord, offset: number): Promise<number> {
    const parts = [recordHeader(record), record.data];
    const length = bytesOf(parts);
    if (this.#beginsSegment(length, offset)) {
      const name = { tryNumber: this.owner.tryNumber, token: this.#token, start: offset };
      const segment = { ...name, path: segmentPath(this.#directory, name) };
      const file = await open(segment.path, 'w');
      try {
        await writeAll(file, parts, 0);
      } catch (error) {
        await file.close();
        throw error;
      }
      await this.#file.close();
      this.#file = file;
      this.#end = length;
      this.#segments.push(segment);
      this.#next = offset + record.data.length;
      return length - (await this.#dropMiddle());
    }
    await writeAll(this.#file, parts, this.#end);
    this.#end += length;
    this.#next = offset + record.data.length;
    return length;
  }

  /** The first segment stays: it says how the run began. Returns the bytes that have gone. */
  async #dropMiddle(): Promise<number> {
    let bytes = 0;
    while (this.#segments.length > this.#terms.count) {
      const [dropped] = this.#segments.splice(1, 1);
      if (dropped !== undefined) bytes += await removeFile(dropped.path);
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** For writing at a place, made when it is missing. */
async function openToWrite(path: string): Promise<FileHandle> {
  await (await open(path, 'a')).close();
  return open(path, 'r+');
}

async function writeAll(file: FileHandle, parts: readonly Uint8Array[], place: number): Promise<void> {
  let left = parts;
  for (let at = place; left.length > 0; ) {
    const { bytesWritten } = await file.writev(left, at);
    if (bytesWritten === 0) throw new Error('the disk took no more of a record');
    at += bytesWritten;
    left = behind(left, bytesWritten);
  }
}

/** What is left of the parts when so many bytes have gone. */
function behind(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let gone = bytes;
  return parts.flatMap((part) => {
    const rest = part.subarray(Math.min(gone, part.length));
    gone -= part.length - rest.length;
    return rest.length === 0 ? [] : [rest];
  });
}

const bytesOf = (parts: readonly Uint8Array[]): number => parts.reduce((sum, part) => sum + part.length, 0);

/** A task with many tries: the oldest runs' output goes until the rest fits. Returns the bytes that have gone. */
async function removeOldest(directory: string, segments: readonly Segment[], limit: number): Promise<number> {
  if (segments.length === 0) return 0;
  let excess = (await bytesIn(directory)) - limit;
  let removed = 0;
  for (const { path } of segments) {
    if (excess <= 0) break;
    const bytes = await removeFile(path);
    excess -= bytes;
    removed += bytes;
  }
  return removed;
}
