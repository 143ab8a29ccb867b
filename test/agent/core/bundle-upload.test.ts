import { describe, expect, test } from '@jest/globals';
import { BundleUpload, type SnapshotBytes, type UploadChunk } from '../../../src/agent/core/bundle-upload.js';
import { SendWindow } from '../../../src/agent/send-window.js';
import { seededRandom } from '../../../src/kit/random.js';

const KIB = 1024;

/** Content that its hash stands for. */
function snapshot(hash: string, kib = 0): SnapshotBytes {
  return { hash, bytes: Uint8Array.from({ length: kib * KIB }, (_, n) => n % 251) };
}

function processor() {
  const upload = new BundleUpload('main', new SendWindow(256 * KIB));
  const hold = (held: boolean, hash = '') => upload.told({ kind: 'hold', bundle: 'main', held, hash }, 0);
  const say = (sequence: bigint, state: 'receiving' | 'in_force' | 'refused' | 'not_held', nextOffset = 0) =>
    upload.told({ kind: 'upload', bundle: 'main', sequence, nextOffset, state, message: 'why' }, 1);
  return { upload, hold, say };
}

/** All chunks that it sends before it waits for an answer. */
function sent(upload: BundleUpload): UploadChunk[] {
  const chunks: UploadChunk[] = [];
  for (let chunk = upload.next(0); chunk !== null; chunk = upload.next(0)) chunks.push(chunk);
  return chunks;
}

describe('a DAG processor sends its newest snapshot', () => {
  test('once it is told to hold the bundle, and not before', () => {
    const { upload, hold } = processor();
    upload.offer(snapshot('a', 1));
    expect(sent(upload)).toEqual([]);
    expect(hold(true)).toEqual({ kind: 'bundle_held', held: true });
    expect(sent(upload)).toMatchObject([
      { bundle: 'main', sequence: 1n, offset: 0, totalBytes: KIB, hash: 'a' },
    ]);
  });

  test('not while it stands by, and at once when it takes over', () => {
    const { upload, hold } = processor();
    upload.offer(snapshot('a', 1));
    hold(false);
    expect(sent(upload)).toEqual([]);
    hold(true);
    expect(sent(upload)).toHaveLength(1);
  });

  test('not when it is the one in force', () => {
    const { upload, hold } = processor();
    upload.offer(snapshot('a', 1));
    hold(true, 'a');
    expect(sent(upload)).toEqual([]);
    upload.offer(snapshot('b', 1));
    expect(sent(upload)).toMatchObject([{ hash: 'b' }]);
  });

  test('again when it is told to hold the bundle with nothing in force', () => {
    const { upload, hold, say } = processor();
    upload.offer(snapshot('a', 1));
    hold(true);
    sent(upload);
    expect(say(1n, 'in_force')).toEqual({ kind: 'snapshot_in_force', bytes: KIB });
    expect(sent(upload)).toEqual([]);
    expect(hold(true)).toBeNull();
    expect(sent(upload)).toMatchObject([{ sequence: 2n, hash: 'a' }]);
  });

  test('in chunks within the window, the hash with the last', () => {
    const { upload, hold, say } = processor();
    upload.offer(snapshot('a', 100));
    hold(true);
    const first = sent(upload);
    expect(first.reduce((sum, { data }) => sum + data.length, 0)).toBe(64 * KIB);
    expect(first.every(({ hash }) => hash === null)).toBe(true);
    say(1n, 'receiving', 64 * KIB);
    const rest = sent(upload);
    expect(rest[0]?.offset).toBe(64 * KIB);
    expect(rest.at(-1)?.hash).toBe('a');
  });

  test('an empty bundle is one chunk without bytes', () => {
    const { upload, hold } = processor();
    upload.offer(snapshot('nothing'));
    hold(true);
    expect(sent(upload)).toMatchObject([{ offset: 0, totalBytes: 0, hash: 'nothing' }]);
  });

  test('after the one under way, and none of those between', () => {
    const { upload, hold, say } = processor();
    upload.offer(snapshot('a', 100));
    hold(true);
    sent(upload);
    for (const hash of ['b', 'c', 'd']) upload.offer(snapshot(hash, 1));
    expect(sent(upload)).toEqual([]);
    say(1n, 'receiving', 64 * KIB);
    sent(upload);
    say(1n, 'in_force', 100 * KIB);
    expect(sent(upload)).toMatchObject([{ sequence: 2n, hash: 'd' }]);
  });

  test('from the beginning on a new stream, with a higher sequence', () => {
    const { upload, hold, say } = processor();
    upload.offer(snapshot('a', 100));
    hold(true);
    sent(upload);
    say(1n, 'receiving', 16 * KIB);
    upload.disconnected();
    expect(sent(upload)).toEqual([]);
    hold(true);
    expect(sent(upload)[0]).toMatchObject({ sequence: 2n, offset: 0 });
    // What the old stream still says is of an upload that is over.
    expect(say(1n, 'in_force')).toBeNull();
  });

  test('of changes while it was cut off only the last one', () => {
    const { upload, hold } = processor();
    hold(true, 'a');
    upload.disconnected();
    for (const hash of ['b', 'c']) upload.offer(snapshot(hash, 1));
    hold(true, 'a');
    expect(sent(upload)).toMatchObject([{ hash: 'c' }]);
  });
});

describe('an answer', () => {
  test('that nothing has arrived makes it go back, once for all chunks that were under way', () => {
    const { upload, hold, say } = processor();
    upload.offer(snapshot('a', 100));
    hold(true);
    sent(upload);
    say(1n, 'receiving', 16 * KIB);
    sent(upload);
    say(1n, 'receiving', 16 * KIB);
    expect(sent(upload)[0]?.offset).toBe(16 * KIB);
    say(1n, 'receiving', 16 * KIB);
    say(1n, 'receiving', 16 * KIB);
    expect(sent(upload)).toEqual([]);
  });

  test('that it may begin, after there was no room, makes it begin again', () => {
    const { upload, hold, say } = processor();
    upload.offer(snapshot('nothing'));
    hold(true);
    expect(sent(upload)).toHaveLength(1);
    say(1n, 'receiving', 0);
    expect(sent(upload)).toHaveLength(1);
  });

  test('that a snapshot is refused ends it, until something changes or the session does', () => {
    const { upload, hold, say } = processor();
    upload.offer(snapshot('a', 1));
    hold(true);
    sent(upload);
    expect(say(1n, 'refused')).toEqual({ kind: 'snapshot_refused', message: 'why' });
    upload.offer(snapshot('a', 1));
    expect(sent(upload)).toEqual([]);
    upload.offer(snapshot('b', 1));
    expect(sent(upload)).toMatchObject([{ hash: 'b' }]);
    upload.disconnected();
    hold(true);
    expect(sent(upload)).toHaveLength(1);
  });

  test('that another holds the bundle makes it stand by', () => {
    const { upload, hold, say } = processor();
    upload.offer(snapshot('a', 1));
    hold(true);
    sent(upload);
    say(1n, 'not_held');
    expect(sent(upload)).toEqual([]);
    hold(true);
    expect(sent(upload)).toMatchObject([{ sequence: 2n }]);
  });

  test('about another bundle is not meant', () => {
    const { upload, hold } = processor();
    upload.offer(snapshot('a', 1));
    upload.told({ kind: 'hold', bundle: 'other', held: true, hash: '' }, 0);
    expect(sent(upload)).toEqual([]);
    hold(true);
    expect(sent(upload)).toHaveLength(1);
  });
});

/** A coordinator that takes chunks as it should, on a stream that ends at any moment. */
test.each(Array.from({ length: 50 }, (_, seed) => seed))(
  'whatever the stream does, all of it arrives in the end, in order and once (seed %i)',
  (seed) => {
    const random = seededRandom(seed + 1);
    const { upload, hold } = processor();
    const whole = snapshot('whole', Math.floor(random() * 300));
    upload.offer(whole);
    const bytes = Buffer.alloc(whole.bytes.length);
    let arrived = 0;
    let sequence = 0n;
    let inForce = '';
    let down: (() => void)[] = [];
    const take = (chunk: UploadChunk): void => {
      if (chunk.sequence > sequence) {
        sequence = chunk.sequence;
        arrived = 0;
      }
      expect(chunk.sequence).toBe(sequence);
      if (chunk.offset === arrived) {
        bytes.set(chunk.data, arrived);
        arrived += chunk.data.length;
      }
      const isWhole = chunk.hash !== null && arrived === chunk.totalBytes;
      if (isWhole) inForce = chunk.hash ?? '';
      const nextOffset = arrived;
      const state = isWhole ? ('in_force' as const) : ('receiving' as const);
      down.push(() =>
        upload.told(
          { kind: 'upload', bundle: 'main', sequence: chunk.sequence, nextOffset, state, message: '' },
          1,
        ),
      );
    };
    hold(true);
    for (let turn = 0; inForce !== 'whole'; turn++) {
      expect(turn).toBeLessThan(1_000);
      for (const chunk of sent(upload)) {
        // Room is taken back in the middle of it.
        if (random() < 0.02) arrived = 0;
        take(chunk);
      }
      // The stream ends: what was on its way down is lost.
      if (turn < 20 && random() < 0.1) {
        down = [];
        upload.disconnected();
        hold(true, inForce);
      }
      for (const tell of down.splice(0)) tell();
    }
    expect(Buffer.compare(bytes, whole.bytes)).toBe(0);
  },
);
