import type { FileHandle } from 'node:fs/promises';
import { LogStream } from '../wire/gen/holdfast/v1/types.js';
import { LIMITS } from '../wire/limits.js';

/** A piece of a run's output as it was read by its agent. */
export interface LogRecord {
  readonly stream: LogStream;
  /** Agent's wall clock, milliseconds since 1970; for people. */
  readonly atMs: number;
  readonly data: Uint8Array;
}

/** A record on disk: stream (1 byte), time (8, float), length (4), data; little-endian. */
const HEADER = 13;

/** What stands before the data of a record; the data itself is written from where it is. */
export function recordHeader({ stream, atMs, data }: LogRecord): Uint8Array {
  const header = new Uint8Array(HEADER);
  const view = new DataView(header.buffer);
  view.setUint8(0, stream);
  view.setFloat64(1, atMs, true);
  view.setUint32(9, data.length, true);
  return header;
}

/** A record, and where the next one begins in the file. */
export interface PlacedRecord extends LogRecord {
  readonly end: number;
}

/** Bytes of a file in memory at once; the largest record fits in. */
const WINDOW = 4 * LIMITS.logChunkBytes;

/**
 * The whole records from `start` on, a piece of the file at a time. It ends before a torn one, which was never
 * acknowledged, and before one that no agent may have sent.
 */
export async function* readRecords(file: FileHandle, start = 0): AsyncGenerator<PlacedRecord> {
  const { size } = await file.stat();
  for (let place = start; place < size; ) {
    // New for each piece: whoever has records of the last one keeps them.
    const buffer = new Uint8Array(WINDOW);
    const { bytesRead } = await file.read(buffer, 0, Math.min(WINDOW, size - place), place);
    const view = new DataView(buffer.buffer);
    let at = 0;
    while (at + HEADER <= bytesRead) {
      const length = view.getUint32(at + 9, true);
      const next = at + HEADER + length;
      if (length > LIMITS.logChunkBytes) return;
      if (next > bytesRead) break;
      yield {
        stream: streamOf(view.getUint8(at)),
        atMs: view.getFloat64(at + 1, true),
        data: buffer.subarray(at + HEADER, next),
        end: place + next,
      };
      at = next;
    }
    if (at === 0) return;
    place += at;
  }
}

function streamOf(byte: number): LogStream {
  if (byte === LogStream.STDERR) return LogStream.STDERR;
  return byte === LogStream.SYSTEM ? LogStream.SYSTEM : LogStream.STDOUT;
}
