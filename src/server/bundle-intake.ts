import { createHash } from 'node:crypto';
import type { SnapshotAnswer } from '../core/dag/draft.js';
import type { Engine } from '../engine/engine.js';
import type { Timers } from '../engine/timers.js';
import type { StreamId } from '../kit/ids.js';
import type { BundleChunk } from '../wire/gen/holdfast/v1/agent_service.js';
import { LIMITS } from '../wire/limits.js';
import { Malformed, nameOf } from './fields.js';

/** What a processor is told of a snapshot. */
export interface UploadState {
  readonly bundle: string;
  readonly sequence: bigint;
  readonly nextOffset: number;
  readonly state: 'receiving' | SnapshotAnswer['state'];
  readonly message: string;
}

/** A whole snapshot that waits to be checked and decided. */
export interface WholeSnapshot {
  readonly streamId: StreamId;
  readonly bundle: string;
  readonly sequence: bigint;
  readonly hash: string;
  readonly bytes: Uint8Array;
  /** False once a newer one, or the end of its stream, has made it useless. */
  readonly isWanted: () => boolean;
  /** Told once, if it is still wanted. */
  answer(answer: Pick<SnapshotAnswer, 'state' | 'message'>): void;
}

/** Where whole snapshots go, and what streams share on the way there. */
export interface IntakeDesk {
  readonly engine: Pick<Engine, 'state'>;
  readonly timers: Timers;
  /** Takes room for a snapshot; `granted` is called when there is some, at once or later. */
  takeRoom(bytes: number, granted: () => void): { giveBack(): void };
  put(snapshot: WholeSnapshot): void;
  /** The engine has decided a snapshot of the stream, or, with null, the stream is gone. */
  decided(streamId: StreamId, answer: SnapshotAnswer | null): void;
}

/** A snapshot on its way. */
interface Upload {
  readonly bundle: string;
  readonly sequence: bigint;
  readonly total: number;
  room: { giveBack(): void };
  /** Null until there is room for it. */
  bytes: Buffer | null;
  received: number;
  idle: { cancel(): void };
  /** All of it is here. */
  whole: boolean;
}

type Verdict = Pick<UploadState, 'state' | 'message'>;

/**
 * The snapshots that come in on one stream, one at a time for each bundle, in chunks and in order. Nothing here renews a
 * lease, and nothing is told to be in force before it is durable.
 */
export class BundleIntake {
  readonly #streamId: StreamId;
  readonly #desk: IntakeDesk;
  readonly #tell: (state: UploadState) => void;
  readonly #uploads = new Map<string, Upload>();
  /** How the newest snapshot of each bundle has ended. */
  readonly #answered = new Map<string, UploadState>();

  constructor(streamId: StreamId, desk: IntakeDesk, tell: (state: UploadState) => void) {
    this.#streamId = streamId;
    this.#desk = desk;
    this.#tell = tell;
  }

  /** Takes a chunk in. Throws Malformed when it makes no sense on this stream. */
  receive(chunk: BundleChunk): void {
    const bundle = nameOf('bundle_chunk.bundle', chunk.bundle);
    const { state } = this.#desk.engine;
    const presence = state.presenceOfStream(this.#streamId);
    const session = presence && state.sessions.get(presence.epoch);
    // The session is over, or on a newer stream: what this one says counts no more.
    if (presence === undefined || session === undefined) return;
    if (session.kind !== 'dag_processor') throw new Malformed(`a BundleChunk of a ${session.kind}`);
    if (!session.bundles.includes(bundle))
      throw new Malformed(`a BundleChunk of ${bundle}, which the Hello does not name`);
    if (chunk.sequence < 1n) throw new Malformed('bundle_chunk.sequence is 0: count from 1');
    const answered = this.#answered.get(bundle);
    if (answered?.sequence === chunk.sequence) return this.#tell(answered);
    const upload = this.#uploads.get(bundle);
    const newest = upload?.sequence ?? answered?.sequence ?? 0n;
    if (chunk.sequence < newest) {
      const message = `snapshot ${newest} is newer`;
      return this.#tell({ bundle, sequence: chunk.sequence, nextOffset: 0, state: 'refused', message });
    }
    if (upload !== undefined && upload.sequence === chunk.sequence) return this.#append(upload, chunk);
    this.#begin(bundle, chunk, state.dags.bundles.get(bundle)?.epoch === presence.epoch);
  }

  /** A first chunk: a higher sequence drops what has arrived of a lower one. */
  #begin(bundle: string, chunk: BundleChunk, held: boolean): void {
    const older = this.#uploads.get(bundle);
    if (older !== undefined) this.#drop(older);
    const { sequence } = chunk;
    const total = Number(chunk.totalBytes);
    const verdict = verdictOnSize(total, held);
    const empty = { bundle, sequence, total, bytes: null, received: 0, whole: false };
    const nothing = { room: { giveBack: () => {} }, idle: { cancel: () => {} } };
    const upload: Upload = { ...empty, ...nothing };
    if (verdict !== null) return this.#end(upload, verdict);
    this.#uploads.set(bundle, upload);
    let waited = false;
    upload.room = this.#desk.takeRoom(total, () => {
      upload.bytes = Buffer.allocUnsafe(total);
      // What was sent while there was no room was let go: its processor begins again once there is.
      if (waited) this.#progress(upload);
    });
    waited = true;
    if (upload.bytes !== null) this.#append(upload, chunk);
  }

  #append(upload: Upload, chunk: BundleChunk): void {
    const { bytes } = upload;
    if (bytes === null || upload.whole) return;
    const fault = chunkFault(upload, chunk);
    if (fault !== null) return this.#end(upload, { state: 'refused', message: fault });
    const offset = Number(chunk.offset);
    // Missing before it: told where to go on. Repeated: only what is new of it counts.
    const fresh = offset > upload.received ? 0 : offset + chunk.data.length - upload.received;
    if (fresh > 0) {
      bytes.set(chunk.data.subarray(chunk.data.length - fresh), upload.received);
      upload.received += fresh;
    }
    if (upload.received === upload.total && offset <= upload.received && chunk.sha256.length > 0)
      return this.#complete(upload, bytes, chunk.sha256);
    this.#progress(upload);
  }

  #complete(upload: Upload, bytes: Buffer, sha256: Uint8Array): void {
    const hash = createHash('sha256').update(bytes).digest('hex');
    if (hash !== Buffer.from(sha256).toString('hex'))
      return this.#end(upload, { state: 'refused', message: 'it is damaged: its sha256 is another one' });
    upload.whole = true;
    upload.idle.cancel();
    const { bundle, sequence } = upload;
    this.#desk.put({
      ...{ streamId: this.#streamId, bundle, sequence, hash, bytes },
      isWanted: () => this.#uploads.get(bundle) === upload,
      answer: (answer) => this.#end(upload, answer),
    });
  }

  /** How far it has come; whoever stops half way gives its room back after a while. */
  #progress(upload: Upload): void {
    const { bundle, sequence, received } = upload;
    upload.idle.cancel();
    upload.idle = this.#desk.timers.after(LIMITS.bundleIdleMs, () => this.#drop(upload));
    this.#tell({ bundle, sequence, nextOffset: received, state: 'receiving', message: '' });
  }

  #end(upload: Upload, { state, message }: Verdict): void {
    const { bundle, sequence, total } = upload;
    this.#drop(upload);
    const told = { bundle, sequence, nextOffset: upload.whole ? total : upload.received, state, message };
    this.#answered.set(bundle, told);
    this.#tell(told);
  }

  #drop(upload: Upload): void {
    upload.idle.cancel();
    if (this.#uploads.get(upload.bundle) === upload) this.#uploads.delete(upload.bundle);
    upload.bytes = null;
    upload.room.giveBack();
  }

  /** The stream is over: what has arrived of anything is let go. */
  close(): void {
    for (const upload of [...this.#uploads.values()]) this.#drop(upload);
    this.#desk.decided(this.#streamId, null);
  }
}

function verdictOnSize(total: number, held: boolean): Verdict | null {
  if (!held) return { state: 'not_held', message: 'another DAG processor holds the bundle' };
  if (total <= LIMITS.snapshotBytes) return null;
  const message = `it has ${total} bytes, and at most ${LIMITS.snapshotBytes} are taken: divide the bundle`;
  return { state: 'refused', message };
}

function chunkFault({ total }: Upload, { data, offset, totalBytes }: BundleChunk): string | null {
  if (Number(totalBytes) !== total) return `total_bytes was ${total} and is ${totalBytes} now`;
  if (data.length > LIMITS.bundleChunkBytes)
    return `a chunk has ${data.length} bytes, and at most ${LIMITS.bundleChunkBytes} are taken`;
  if (Number(offset) + data.length > total) return `a chunk ends beyond the ${total} bytes of the snapshot`;
  return null;
}
