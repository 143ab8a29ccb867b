import { createHash } from 'node:crypto';
import type { Message } from './proto.js';
import type { Down, RawAgent } from './raw-agent.js';
import type { Stage } from './stage.js';

/** A field of wire type 2, as any protobuf library would write it. */
function field(number: number, value: Buffer): Buffer {
  const length: number[] = [];
  for (let left = value.length; ; left >>>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left);
    if (left <= 127) break;
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), value]);
}

const pair = (first: string, second: string | Buffer): Buffer =>
  Buffer.concat([field(1, Buffer.from(first)), field(2, Buffer.from(second))]);

/** The bytes of a BundleSnapshot, written by hand: files with their DAGs, and files with their import errors. */
export function snapshotOf(
  dags: Readonly<Record<string, object | string>>,
  errors: Readonly<Record<string, string>> = {},
): Buffer {
  return Buffer.concat([
    ...Object.entries(dags).map(([file, dag]) =>
      field(1, pair(file, typeof dag === 'string' ? dag : JSON.stringify(dag))),
    ),
    ...Object.entries(errors).map(([file, message]) => field(2, pair(file, message))),
  ]);
}

/** The smallest DAG. */
export const dagOf = (dagId: string, change: object = {}): object => ({
  dag_id: dagId,
  tasks: { a: { command: ['true'] } },
  ...change,
});

export const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

type BundleAck = Down['bundleAck'];

/** A DAG processor in the hands of a test: it says nothing by itself. */
export class RawProcessor {
  readonly agent: RawAgent;
  readonly #bundles: readonly string[];
  #sequence = 0;

  constructor(stage: Stage, agentId = 'processor', bundles: readonly string[] = ['main']) {
    this.agent = stage.agent({ agentId });
    this.#bundles = bundles;
  }

  /** Says Hello; gives what it is told of its first bundle. */
  async greet(): Promise<Down['bundleHold']> {
    const kind = { kind: 'AGENT_KIND_DAG_PROCESSOR', queues: [], slots: 0, bundles: this.#bundles };
    await this.agent.greet(kind);
    return this.agent.stream.next('bundleHold', ({ bundle }) => bundle === this.#bundles[0]);
  }

  chunk(change: Message): void {
    this.agent.stream.say({ bundleChunk: { bundle: this.#bundles[0], sequence: this.#sequence, ...change } });
  }

  /** Begins another snapshot; its chunks are said by `chunk`. */
  begin(): number {
    return ++this.#sequence;
  }

  /** Sends a snapshot as it should be, in chunks of this size; gives its last answer. */
  async send(bytes: Buffer, chunkBytes = 64 * 1024): Promise<BundleAck> {
    this.begin();
    for (let at = 0; at === 0 || at < bytes.length; at += chunkBytes) this.part(bytes, at, chunkBytes);
    return this.answer();
  }

  /** One chunk of a snapshot, the hash with the last. */
  part(bytes: Buffer, at: number, chunkBytes: number): void {
    const data = bytes.subarray(at, at + chunkBytes);
    const isLast = at + chunkBytes >= bytes.length;
    const hash = isLast ? { sha256: sha256(bytes) } : {};
    this.chunk({ offset: at, data, totalBytes: bytes.length, ...hash });
  }

  /** What has become of the snapshot. */
  answer(): Promise<BundleAck> {
    return this.ack((ack) => ack.state !== 'SNAPSHOT_STATE_RECEIVING');
  }

  ack(fits: (ack: BundleAck) => boolean = () => true): Promise<BundleAck> {
    return this.agent.stream.next('bundleAck', fits);
  }
}
