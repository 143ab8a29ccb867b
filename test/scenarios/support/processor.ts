import { createHash } from 'node:crypto';
import { type BundleTold, BundleUpload, type UploadWindow } from '../../../src/agent/core/bundle-upload.js';
import { readText } from '../../../src/dag/read.js';
import { BundleSnapshot } from '../../../src/wire/gen/holdfast/v1/dag_service.js';
import type { Agent, Trade } from './agent.js';

export const BUNDLE = 'main';
/** Small, so that a snapshot travels in several pieces. */
const CHUNK_BYTES = 160;

/** Parses DAG files as they are written, connected or not, and sends what is newest with the real core of a processor. */
export class ProcessorTrade implements Trade {
  readonly #agent: Agent;
  readonly #upload = new BundleUpload(BUNDLE, new Window());
  readonly #files = new Map<string, string>();

  constructor(agent: Agent) {
    this.#agent = agent;
  }

  /** Somebody has written DAG files; read at once, all together. */
  write(files: Readonly<Record<string, string>>): void {
    for (const [file, text] of Object.entries(files)) this.#files.set(file, text);
    this.#read();
  }

  remove(file: string): void {
    this.#files.delete(file);
    this.#read();
  }

  #read(): void {
    const read = [...this.#files].map(([file, text]) => ({ file, found: readText(file, text, 'yaml') }));
    const bytes = BundleSnapshot.encode({
      dags: read.flatMap(({ file, found }) =>
        found.ok ? found.dags.map(({ source }) => ({ file, dag: Buffer.from(source) })) : [],
      ),
      importErrors: read.flatMap(({ file, found }) =>
        found.ok ? [] : [{ file, message: found.errors.join('\n') }],
      ),
    }).finish();
    this.#upload.offer({ bytes, hash: createHash('sha256').update(bytes).digest('hex') });
    this.#agent.tell(`has read ${[...this.#files.keys()].join(' and ')}`);
    this.#send();
  }

  bundleTold(told: BundleTold): void {
    this.#upload.told(told, 0);
    this.#send();
  }

  #send(): void {
    for (let chunk = this.#upload.next(0); chunk !== null; chunk = this.#upload.next(0)) {
      const { bundle, sequence, data, hash, offset, totalBytes } = chunk;
      this.#agent.tell(
        `sends snapshot ${sequence}, bytes ${offset} to ${offset + data.length} of ${totalBytes}`,
      );
      this.#agent.send({
        kind: 'chunk',
        chunk: {
          ...{
            bundle,
            sequence,
            data: Buffer.from(data),
            offset: BigInt(offset),
            totalBytes: BigInt(totalBytes),
          },
          sha256: hash === null ? Buffer.alloc(0) : Buffer.from(hash, 'hex'),
        },
      });
    }
  }

  disconnected(): void {
    this.#upload.disconnected();
  }

  perform(): void {}
  die(): void {}
}

/** One piece under way at a time. */
class Window implements UploadWindow {
  open = true;
  readonly chunkBytes = CHUNK_BYTES;

  reset(): void {
    this.open = true;
  }

  sent(): void {
    this.open = false;
  }

  acknowledged(): void {
    this.open = true;
  }
}
