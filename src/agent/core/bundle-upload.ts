/** Everything that a bundle holds at one moment, as it travels. */
export interface SnapshotBytes {
  /** SHA-256, hex. */
  readonly hash: string;
  readonly bytes: Uint8Array;
}

export interface UploadChunk {
  readonly bundle: string;
  readonly sequence: bigint;
  readonly offset: number;
  readonly data: Uint8Array;
  readonly totalBytes: number;
  /** With the last chunk. */
  readonly hash: string | null;
}

/** What the coordinator says of a snapshot, and of who holds a bundle. */
export type BundleTold =
  | {
      readonly kind: 'upload';
      readonly bundle: string;
      readonly sequence: bigint;
      readonly nextOffset: number;
      readonly state: 'receiving' | 'in_force' | 'refused' | 'not_held';
      readonly message: string;
    }
  | { readonly kind: 'hold'; readonly bundle: string; readonly held: boolean; readonly hash: string };

/** What people should hear of. */
export type UploadNote =
  | { readonly kind: 'bundle_held'; readonly held: boolean }
  | { readonly kind: 'snapshot_in_force'; readonly bytes: number }
  | { readonly kind: 'snapshot_refused'; readonly message: string };

/** How much may be under way, so that no heartbeat waits behind it for long. */
export interface UploadWindow {
  readonly open: boolean;
  readonly chunkBytes: number;
  reset(): void;
  sent(bytes: number): void;
  acknowledged(bytes: number, tookMs: number): void;
}

interface Upload {
  readonly sequence: bigint;
  readonly snapshot: SnapshotBytes;
  /** Bytes that have arrived for sure, and bytes that were sent. */
  arrived: number;
  sent: number;
  begun: boolean;
  /** Chunks under way, oldest first. */
  readonly underWay: { readonly end: number; readonly bytes: number; readonly atMs: number }[];
  /** Where it was gone back to; the same word again is of chunks that were under way then. */
  backAt: number;
}

/**
 * The newest snapshot of one bundle on its way to the coordinator, without I/O or clock. What is under way is finished
 * before a newer one is begun: a bundle that changes all the time would never arrive else.
 */
export class BundleUpload {
  readonly #bundle: string;
  readonly #window: UploadWindow;
  #newest: SnapshotBytes | null = null;
  #upload: Upload | null = null;
  #sequence = 0n;
  /** Null while nobody has said so on this stream. */
  #held: boolean | null = null;
  #inForce = '';
  #refused = '';

  constructor(bundle: string, window: UploadWindow) {
    this.#bundle = bundle;
    this.#window = window;
  }

  /** A newer snapshot; older ones that were not begun are never sent. */
  offer(snapshot: SnapshotBytes): void {
    this.#newest = snapshot;
  }

  /** The stream is gone: the next one says who holds the bundle, and what is in force. */
  disconnected(): void {
    this.#held = null;
    this.#stop();
  }

  told(told: BundleTold, nowMs: number): UploadNote | null {
    if (told.bundle !== this.#bundle) return null;
    if (told.kind === 'hold') return this.#hold(told.held, told.hash);
    const upload = this.#upload;
    // Of an upload that was given up.
    if (upload === null || told.sequence !== upload.sequence) return null;
    switch (told.state) {
      case 'receiving':
        this.#goOn(upload, told.nextOffset, nowMs);
        return null;
      case 'in_force':
        this.#inForce = upload.snapshot.hash;
        this.#stop();
        return { kind: 'snapshot_in_force', bytes: upload.snapshot.bytes.length };
      case 'refused':
        // It would be refused again: what changes is sent, and this one once more to the next session.
        this.#refused = upload.snapshot.hash;
        this.#stop();
        return { kind: 'snapshot_refused', message: told.message };
      case 'not_held':
        this.#held = false;
        this.#stop();
        return null;
    }
  }

  #hold(held: boolean, hash: string): UploadNote | null {
    const isNews = this.#held !== held;
    this.#held = held;
    this.#inForce = hash;
    this.#refused = '';
    if (!held) this.#stop();
    return isNews ? { kind: 'bundle_held', held } : null;
  }

  #goOn(upload: Upload, nextOffset: number, nowMs: number): void {
    if (nextOffset > upload.arrived) {
      upload.backAt = -1;
      upload.arrived = Math.min(nextOffset, upload.sent);
      while (upload.underWay[0] !== undefined && upload.underWay[0].end <= nextOffset) {
        const { bytes, atMs } = upload.underWay.shift() as Upload['underWay'][number];
        this.#window.acknowledged(bytes, nowMs - atMs);
      }
      return;
    }
    // Nothing new has arrived: there was no room for it, or something is missing.
    if (nextOffset === upload.backAt) return;
    upload.backAt = nextOffset;
    upload.arrived = nextOffset;
    upload.sent = nextOffset;
    upload.begun = false;
    upload.underWay.splice(0);
    this.#window.reset();
  }

  #stop(): void {
    this.#upload = null;
    this.#window.reset();
  }

  /** The next chunk to send now; null when there is none, or when enough is under way. */
  next(nowMs: number): UploadChunk | null {
    const upload = this.#upload ?? this.#begin();
    if (upload === null || !this.#window.open) return null;
    const { bytes, hash } = upload.snapshot;
    // An empty bundle has no bytes, and is said in one chunk all the same.
    if (upload.begun && upload.sent === bytes.length) return null;
    const offset = upload.sent;
    const data = bytes.subarray(offset, offset + this.#window.chunkBytes);
    upload.begun = true;
    upload.sent += data.length;
    upload.underWay.push({ end: upload.sent, bytes: data.length, atMs: nowMs });
    this.#window.sent(data.length);
    const isLast = upload.sent === bytes.length;
    const { sequence } = upload;
    return {
      ...{ bundle: this.#bundle, sequence, offset, data },
      ...{ totalBytes: bytes.length, hash: isLast ? hash : null },
    };
  }

  #begin(): Upload | null {
    const snapshot = this.#newest;
    if (this.#held !== true || snapshot === null) return null;
    if (snapshot.hash === this.#inForce || snapshot.hash === this.#refused) return null;
    this.#sequence++;
    const upload = { sequence: this.#sequence, snapshot, arrived: 0, sent: 0, begun: false };
    this.#upload = { ...upload, underWay: [], backAt: -1 };
    return this.#upload;
  }
}
