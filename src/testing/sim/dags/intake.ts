import type { UploadChunk } from '../../../agent/core/bundle-upload.js';
import type { Frame } from '../../../core/frames.js';
import type { Engine } from '../../../engine/engine.js';
import type { Timers } from '../../../engine/timers.js';
import type { StreamId } from '../../../kit/ids.js';
import { BundleIntake } from '../../../server/bundle-intake.js';
import type { Connection } from '../network.js';
import { Desk } from './desk.js';

/** The coordinator's end of the bundles' uploads: the real intake of each stream. */
export class Intake {
  readonly #desk: Desk;
  readonly #streams = new Map<StreamId, BundleIntake>();

  constructor(engine: Engine, timers: Timers) {
    this.#desk = new Desk(engine, timers);
  }

  /** Throws what the real coordinator would end the stream with. */
  receive(streamId: StreamId, wire: Connection, chunk: UploadChunk): void {
    this.#of(streamId, wire).receive({
      ...{ bundle: chunk.bundle, sequence: chunk.sequence },
      ...{ offset: BigInt(chunk.offset), totalBytes: BigInt(chunk.totalBytes) },
      data: Buffer.from(chunk.data),
      sha256: chunk.hash === null ? Buffer.alloc(0) : Buffer.from(chunk.hash, 'hex'),
    });
  }

  #of(streamId: StreamId, wire: Connection): BundleIntake {
    const known = this.#streams.get(streamId);
    if (known !== undefined) return known;
    const tell = (state: object) => wire.sendDown({ kind: 'bundle', told: { ...state, kind: 'upload' } });
    const intake = new BundleIntake(streamId, this.#desk, tell);
    this.#streams.set(streamId, intake);
    return intake;
  }

  decided({ streamId, answer }: Extract<Frame, { kind: 'bundle_answer' }>): void {
    this.#desk.decided(streamId, answer);
  }

  closed(streamId: StreamId): void {
    this.#streams.get(streamId)?.close();
    this.#streams.delete(streamId);
  }
}
