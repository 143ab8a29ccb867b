import {
  type BundleTold,
  BundleUpload,
  type UploadChunk,
  type UploadWindow,
} from '../../../agent/core/bundle-upload.js';
import type { AgentId } from '../../../kit/ids.js';
import type { Auditor } from '../auditor.js';
import type { Process } from '../host.js';
import type { Bundle } from './bundle.js';
import type { Duty } from './duty.js';

/** What a processor needs of its agent and of the world. */
export interface ProcessorPorts {
  readonly agentId: AgentId;
  readonly auditor: Auditor;
  readonly bundle: Bundle;
  readonly random: () => number;
  /** On the newest stream, beside the heartbeats. */
  send(chunk: UploadChunk): void;
}

/** How long a processor takes to notice a change and to parse it, at most, in milliseconds. */
const READ_MS = 3_000;
/** Small, so that a stream may end in the middle of a snapshot. */
const CHUNK_BYTES = 900;
const CHUNKS_UNDER_WAY = 3;

/** A DAG processor's upload, which is the real one; the folder that it reads is simulated. */
export class Processor implements Duty {
  readonly #process: Process;
  readonly #ports: ProcessorPorts;
  readonly #upload: BundleUpload;

  constructor(process: Process, ports: ProcessorPorts) {
    this.#process = process;
    this.#ports = ports;
    this.#upload = new BundleUpload(ports.bundle.name, new FewChunks());
    this.changed();
  }

  /** The folder has changed: it reads it, connected or not. */
  changed(): void {
    this.#process.timer(this.#ports.random() * READ_MS, () => {
      this.#upload.offer(this.#ports.bundle.snapshot());
      this.#send();
    });
  }

  /** All that its agent is asked concerns triggers. */
  perform(): void {}

  disconnected(): void {
    this.#upload.disconnected();
  }

  told(told: BundleTold): void {
    const note = this.#upload.told(told, this.#mono);
    if (note !== null) this.#ports.auditor.count(`bundle.${note.kind}`);
    this.#send();
  }

  #send(): void {
    for (;;) {
      const chunk = this.#upload.next(this.#mono);
      if (chunk === null) return;
      this.#ports.send(chunk);
    }
  }

  get #mono(): number {
    return this.#process.host.mono();
  }
}

class FewChunks implements UploadWindow {
  readonly chunkBytes = CHUNK_BYTES;
  #bytes = 0;

  get open(): boolean {
    return this.#bytes < CHUNKS_UNDER_WAY * CHUNK_BYTES;
  }

  reset(): void {
    this.#bytes = 0;
  }

  sent(bytes: number): void {
    this.#bytes += bytes;
  }

  acknowledged(bytes: number): void {
    this.#bytes = Math.max(0, this.#bytes - bytes);
  }
}
