import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BundleChunk, Hello, SnapshotState } from '../../wire/gen/holdfast/v1/agent_service.js';
import { BundleSnapshot } from '../../wire/gen/holdfast/v1/dag_service.js';
import { check, Deviation } from './case.js';
import type { Stage } from './stage.js';
import type { Stream } from './stream.js';

/** Limits of the proto, in bytes. */
const CHUNK_BYTES = 256 * 1024;
const SNAPSHOT_BYTES = 64 * 1024 * 1024;

const { RECEIVING, IN_FORCE, REFUSED, NOT_HELD } = {
  RECEIVING: 1,
  IN_FORCE: 2,
  REFUSED: 3,
  NOT_HELD: 4,
} as const satisfies Record<string, SnapshotState>;

/** A whole snapshot as it came. */
export interface Received {
  readonly sequence: bigint;
  readonly sha256: Buffer;
  readonly chunks: number;
  readonly bytes: number;
  /** dag_id and file of each DAG, in order. */
  readonly dags: readonly { readonly file: string; readonly dagId: string }[];
  readonly importErrors: readonly { readonly file: string; readonly message: string }[];
  /** Index in what the stream has said, behind its last chunk. */
  readonly next: number;
}

/** Where the bundle's files are, and what a DAG processor says of them. */
export class Bundle {
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** Writes the file of a DAG: JSON, which is YAML as well. Each of its tasks may be as large as `padding` characters. */
  write(dagId: string, tasks = 1, padding = 0): void {
    const task = { command: ['true'], env: { PADDING: 'x'.repeat(padding) } };
    const named = Array.from({ length: tasks }, (_, i) => [`task-${i}`, task]);
    this.writeRaw(dagId, JSON.stringify({ dag_id: dagId, tasks: Object.fromEntries(named) }));
  }

  /** Writes DAGs of about 200 kB each. */
  writeLarge(...dagIds: readonly string[]): void {
    for (const dagId of dagIds) this.write(dagId, 4, 50_000);
  }

  /** Writes whatever it is as the file of a DAG. */
  writeRaw(dagId: string, text: string): void {
    writeFileSync(join(this.#stage.bundleDirectory, `${dagId}.dag.json`), text);
  }

  remove(dagId: string): void {
    rmSync(join(this.#stage.bundleDirectory, `${dagId}.dag.json`));
  }

  /** The name by which the agent says it knows the bundle. */
  nameOn({ hello }: Stream): string {
    const { bundles } = hello as Hello;
    const [name] = bundles;
    check(name !== undefined, 'the Hello names no bundle');
    return name;
  }

  /** Says who holds the bundle, and what is in force. */
  hold(stream: Stream, held: boolean, lastSha256: Uint8Array = new Uint8Array()): void {
    const value = { bundle: this.nameOn(stream), held, lastSha256: Buffer.from(lastSha256) };
    stream.send({ message: { $case: 'bundleHold', value } });
  }

  answer(stream: Stream, sequence: bigint, nextOffset: number, state: SnapshotState): void {
    const value = {
      bundle: this.nameOn(stream),
      sequence,
      nextOffset: BigInt(nextOffset),
      state,
      message: '',
    };
    stream.send({ message: { $case: 'bundleAck', value } });
  }

  inForce(stream: Stream, { sequence, bytes }: Received): void {
    this.answer(stream, sequence, bytes, IN_FORCE);
  }

  refuse(stream: Stream, { sequence, bytes }: Received): void {
    this.answer(stream, sequence, bytes, REFUSED);
  }

  notHeld(stream: Stream, sequence: bigint): void {
    this.answer(stream, sequence, 0, NOT_HELD);
  }

  /** Says that everything up to here has arrived. */
  progress(stream: Stream, sequence: bigint, nextOffset: number): void {
    this.answer(stream, sequence, nextOffset, RECEIVING);
  }

  /** The next chunk, and where the one after it will stand. */
  chunk(stream: Stream, from: number, within?: number): Promise<{ chunk: BundleChunk; next: number }> {
    let at = from;
    return stream.expect(
      'a chunk of a snapshot',
      (message) => {
        at++;
        return message.$case === 'bundleChunk' ? { chunk: message.value, next: at } : undefined;
      },
      { from, ...(within === undefined ? {} : { within }) },
    );
  }

  /** How many chunks were said from here on. */
  chunks(stream: Stream, from: number): number {
    return stream.said.slice(from).filter(({ message }) => message.$case === 'bundleChunk').length;
  }

  /** The next whole snapshot, its chunks acknowledged as they come. Throws Deviation when it is not put together well. */
  async receive(stream: Stream, from = 0): Promise<Received> {
    const name = this.nameOn(stream);
    let parts: Buffer[] = [];
    let received = 0;
    let sequence = 0n;
    for (let at = from; ; ) {
      const { chunk, next } = await this.chunk(stream, at);
      at = next;
      if (chunk.sequence !== sequence) {
        check(chunk.sequence > sequence, `sequence ${chunk.sequence} after ${sequence}`);
        [parts, received, sequence] = [[], 0, chunk.sequence];
      }
      checkChunk(chunk, name, received);
      parts.push(Buffer.from(chunk.data));
      received += chunk.data.length;
      this.progress(stream, sequence, received);
      if (received < Number(chunk.totalBytes)) continue;
      return wholeOf(chunk, parts, at);
    }
  }

  /** Receives the next snapshot and says that it is in force. */
  async accept(stream: Stream, from = 0): Promise<Received> {
    const snapshot = await this.receive(stream, from);
    this.inForce(stream, snapshot);
    return snapshot;
  }

  /** Receives until a snapshot holds exactly these DAGs: a processor may look at a folder that is half changed. */
  async accepted(stream: Stream, dagIds: readonly string[], from = 0): Promise<Received> {
    for (let at = from; ; ) {
      const snapshot = await this.accept(stream, at).catch((error: unknown) => {
        if (!(error instanceof Deviation) || at === from) throw error;
        throw new Deviation(`no snapshot holds ${dagIds.join(', ')}: ${error.message}`);
      });
      if (idsOf(snapshot).join() === [...dagIds].sort().join()) return snapshot;
      at = snapshot.next;
    }
  }
}

export const idsOf = ({ dags }: Received): string[] => dags.map(({ dagId }) => dagId).sort();

function checkChunk(chunk: BundleChunk, name: string, received: number): void {
  const { bundle, offset, data, totalBytes, sha256 } = chunk;
  check(bundle === name, `a chunk of bundle ${bundle}, the Hello names ${name}`);
  check(Number(offset) === received, `a chunk at offset ${offset}, and ${received} bytes came before it`);
  check(data.length <= CHUNK_BYTES, `a chunk of ${data.length} bytes`);
  check(Number(totalBytes) <= SNAPSHOT_BYTES, `a snapshot of ${totalBytes} bytes`);
  const end = received + data.length;
  check(end <= Number(totalBytes), `${end} bytes of a snapshot that says it has ${totalBytes}`);
  const isLast = end === Number(totalBytes);
  check(!isLast || sha256.length === 32, `the last chunk has a sha256 of ${sha256.length} bytes`);
}

function wholeOf(last: BundleChunk, parts: readonly Buffer[], next: number): Received {
  const bytes = Buffer.concat(parts);
  const digest = createHash('sha256').update(bytes).digest();
  const sha256 = Buffer.from(last.sha256);
  check(digest.equals(sha256), 'the sha256 of the last chunk is not that of the snapshot');
  const snapshot = decoded(bytes);
  const dags = snapshot.dags.map(({ file, dag }) => ({ file, dagId: dagIdOf(file, dag) }));
  const files = new Set([...snapshot.dags, ...snapshot.importErrors].map(({ file }) => file));
  check(!files.has(''), 'a DAG or an import error of the snapshot names no file');
  const { sequence } = last;
  const { importErrors } = snapshot;
  return { sequence, sha256, chunks: parts.length, bytes: bytes.length, dags, importErrors, next };
}

function decoded(bytes: Buffer): BundleSnapshot {
  try {
    return BundleSnapshot.decode(bytes);
  } catch (error) {
    throw new Deviation(`the bytes are no BundleSnapshot: ${(error as Error).message}`);
  }
}

function dagIdOf(file: string, dag: Uint8Array): string {
  try {
    const { dag_id: dagId } = JSON.parse(Buffer.from(dag).toString()) as { dag_id?: unknown };
    check(typeof dagId === 'string', `the DAG of ${file} has no dag_id`);
    return dagId;
  } catch (error) {
    if (error instanceof Deviation) throw error;
    throw new Deviation(`the DAG of ${file} is no JSON: ${(error as Error).message}`);
  }
}
