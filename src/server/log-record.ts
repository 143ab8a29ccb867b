import type { FileHandle } from 'node:fs/promises';
import { LogStream } from '../wire/gen/holdfast/v1/types.js';

/** A piece of a run's output as it was read by its agent. */
export interface LogRecord {
  readonly stream: LogStream;
  /** Agent's wall clock, milliseconds since 1970; for people. */
  readonly atMs: number;
  readonly data: Uint8Array;
}

/** A record on disk: stream (1 byte), time (8, float), length (4), data; little-endian. */
const HEADER = 13;

export function encodeRecord({ stream, atMs, data }: LogRecord): Uint8Array {
  const record = new Uint8Array(HEADER + data.length);
  const view = new DataView(record.buffer);
  view.setUint8(0, stream);
  view.setFloat64(1, atMs, true);
  view.setUint32(9, data.length, true);
  record.set(data, HEADER);
  return record;
}

/** The whole records from `start` on, and where they end: a torn one behind them was never acknowledged. */
export async function readRecords(
  file: FileHandle,
  start = 0,
): Promise<{ records: LogRecord[]; end: number }> {
  const bytes = new Uint8Array(Math.max(0, (await file.stat()).size - start));
  await file.read(bytes, 0, bytes.length, start);
  const view = new DataView(bytes.buffer);
  const records: LogRecord[] = [];
  let end = 0;
  while (end + HEADER <= bytes.length) {
    const length = view.getUint32(end + 9, true);
    const next = end + HEADER + length;
    if (next > bytes.length) break;
    records.push({
      stream: streamOf(view.getUint8(end)),
      atMs: view.getFloat64(end + 1, true),
      data: bytes.subarray(end + HEADER, next),
    });
    end = next;
  }
  return { records, end: start + end };
}

function streamOf(byte: number): LogStream {
  if (byte === LogStream.STDERR) return LogStream.STDERR;
  return byte === LogStream.SYSTEM ? LogStream.SYSTEM : LogStream.STDOUT;
}
