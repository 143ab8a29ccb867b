import { createHash } from 'node:crypto';
import type { Log } from '../kit/log.js';
import { BundleSnapshot } from '../wire/gen/holdfast/v1/dag_service.js';
import { LIMITS } from '../wire/limits.js';
import { realClock } from './clock.js';
import { type BundleTold, BundleUpload, type SnapshotBytes, type UploadNote } from './core/bundle-upload.js';
import {
  AgentLoop,
  identityOf,
  type LoopHost,
  type LoopOptions,
  type TakenState,
  takeState,
} from './loop.js';
import type { AgentEnd, RunningAgent } from './options.js';
import { SendWindow } from './send-window.js';

/** What a bundle holds at one moment, complete; both lists in the order of the files. */
export interface BundleContent {
  /** Each DAG as JSON text in the form of DAG files. */
  readonly dags: readonly { readonly file: string; readonly source: string }[];
  readonly importErrors: readonly { readonly file: string; readonly message: string }[];
}

/**
 * Reads a bundle now and whenever it changes, until it is closed. Handed in, so that the agents know nothing of files:
 * what reads DAGs brings a parser for each language, and a worker needs none.
 */
export type WatchBundle = (told: (content: BundleContent) => void) => { close(): Promise<void> };

/** What a DAG processor is started with. */
export interface DagProcessorOptions extends LoopOptions {
  /** Name of the bundle; processors of one name hold it one after the other. */
  readonly bundle: string;
  readonly watch: WatchBundle;
}

/** Starts a DAG processor: takes its state directory over, reads its bundle, dials. Throws when the directory is in use. */
export async function startDagProcessor(options: DagProcessorOptions): Promise<RunningAgent> {
  const processor = new DagProcessor(options, await takeState(options, [options.bundle]));
  processor.start();
  return processor;
}

/** A DAG processor's process: it reads its bundle whether there is a coordinator or not, and sends what is newest. */
class DagProcessor implements RunningAgent, LoopHost {
  readonly waitingBytes = 0;
  readonly #log: Log;
  readonly #options: DagProcessorOptions;
  readonly #loop: AgentLoop;
  readonly #upload: BundleUpload;
  #watch: { close(): Promise<void> } | null = null;

  constructor(options: DagProcessorOptions, taken: TakenState) {
    this.#options = options;
    this.#log = options.log;
    const identity = identityOf(options.agentId, taken, {
      ...{ kind: 'dag_processor', queues: [], slots: 0, handlers: [], labels: {} },
      ...{ bundles: [options.bundle], triggerKinds: [] },
    });
    this.#loop = new AgentLoop(options, identity, taken, this);
    this.#upload = new BundleUpload(options.bundle, new SendWindow(LIMITS.bundleWindowBytes));
  }

  start(): void {
    this.#watch = this.#options.watch((content) => this.#read(content));
    this.#loop.begin();
  }

  get ended(): Promise<AgentEnd> {
    return this.#loop.ended;
  }

  drain(timeoutMs: number | null): void {
    this.#loop.happened({ kind: 'drain', timeoutMs });
  }

  stop(): void {
    this.#loop.finish({ kind: 'stopped' });
  }

  #read(content: BundleContent): void {
    const { bundle } = this.#options;
    const snapshot = snapshotOf(content);
    const counts = { dags: content.dags.length, importErrors: content.importErrors.length };
    this.#log.info({ event: 'bundle_read', bundle, ...counts, hash: snapshot.hash }, 'the bundle was read');
    for (const { file, message } of content.importErrors)
      this.#log.warn({ event: 'import_error', bundle, file }, message);
    this.#upload.offer(snapshot);
    this.#send();
  }

  #send(): void {
    for (;;) {
      const chunk = this.#upload.next(realClock.monoMs());
      if (chunk === null) return;
      const { bundle, sequence, data, hash } = chunk;
      this.#loop.link.sendNewest({
        message: {
          $case: 'bundleChunk',
          value: {
            ...{ bundle, sequence, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength) },
            ...{ offset: BigInt(chunk.offset), totalBytes: BigInt(chunk.totalBytes) },
            sha256: hash === null ? Buffer.alloc(0) : Buffer.from(hash, 'hex'),
          },
        },
      });
    }
  }

  bundleTold(told: BundleTold): void {
    const note = this.#upload.told(told, realClock.monoMs());
    if (note !== null) this.#note(note);
    this.#send();
  }

  #note(note: UploadNote): void {
    const { bundle } = this.#options;
    const event = note.kind;
    switch (note.kind) {
      case 'bundle_held':
        return this.#log.info(
          { event, bundle, held: note.held },
          note.held
            ? 'this processor holds the bundle: what it reads comes into force'
            : 'another processor holds the bundle: this one stands by',
        );
      case 'snapshot_in_force':
        return this.#log.info({ event, bundle, bytes: note.bytes }, 'the snapshot is in force');
      case 'snapshot_refused':
        return this.#log.error(
          { event, bundle, code: 'SNAPSHOT_REFUSED' },
          `the snapshot is refused: ${note.message}; the one before stays in force`,
        );
    }
  }

  /** The Welcome says nothing of bundles: what does follows at once. */
  connected(): void {}

  /** It starts nothing that would wait. */
  draining(): void {}

  disconnected(): void {
    this.#upload.disconnected();
  }

  /** A processor asks for no task, so that none is ever confirmed to it. */
  perform(): void {}

  logAcknowledged(): void {}

  async close(): Promise<void> {
    await this.#watch?.close();
  }
}

function snapshotOf({ dags, importErrors }: BundleContent): SnapshotBytes {
  const bytes = BundleSnapshot.encode({
    dags: dags.map(({ file, source }) => ({ file, dag: Buffer.from(source) })),
    importErrors: importErrors.map(({ file, message }) => ({ file, message })),
  }).finish();
  return { bytes, hash: createHash('sha256').update(bytes).digest('hex') };
}
