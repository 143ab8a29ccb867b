import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { DagRow } from '../../src/core/dag/rows.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { dagOf, RawProcessor, sha256, snapshotOf } from './support/snapshot.js';
import { Stage } from './support/stage.js';
import { eventually } from './support/wait.js';

const MIB = 1024 * 1024;
const IN_FORCE = 'SNAPSHOT_STATE_IN_FORCE';
const REFUSED = 'SNAPSHOT_STATE_REFUSED';
const RECEIVING = 'SNAPSHOT_STATE_RECEIVING';
const NOT_HELD = 'SNAPSHOT_STATE_NOT_HELD';

let store: MemoryStore;
let stage: Stage;
beforeEach(async () => {
  store = new MemoryStore();
  stage = await Stage.start({}, store);
});
afterEach(() => stage.close());

const dags = async (): Promise<DagRow[]> => [...(await store.load()).dags.dags];
const inForce = async (): Promise<string[]> =>
  (await dags()).filter(({ active }) => active).map(({ dagId }) => dagId);
const importErrors = async () => (await store.load()).dags.bundles.flatMap((bundle) => bundle.importErrors);

async function holder(agentId = 'processor', bundles?: readonly string[]): Promise<RawProcessor> {
  const processor = new RawProcessor(stage, agentId, bundles);
  await processor.greet();
  return processor;
}

/** A snapshot of about this many bytes. */
const large = (bytes: number): Buffer =>
  snapshotOf({ 'a.dag.yaml': dagOf('a'), ...padding(Math.ceil(bytes / 100_000)) });
const padding = (count: number): Record<string, object> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, n) => {
      const text = 'x'.repeat(1_000);
      const params = Object.fromEntries(
        Array.from({ length: 98 }, (_p, m) => [`p${m}`, { type: 'string', default: text }]),
      );
      return [`pad${n}.dag.yaml`, dagOf(`pad${n}`, { params })];
    }),
  );

describe('a snapshot', () => {
  test('is told to be in force once it is durable, and what is in force is told with the hold', async () => {
    const processor = new RawProcessor(stage);
    expect(await processor.greet()).toMatchObject({ held: true, lastSha256: Buffer.alloc(0) });
    const bytes = snapshotOf({ 'a.dag.yaml': dagOf('a'), 'b.dag.yaml': dagOf('b') });
    const answer = await processor.send(bytes);
    expect(answer).toEqual({
      ...{ bundle: 'main', sequence: '1', nextOffset: String(bytes.length), state: IN_FORCE, message: '' },
    });
    expect(await inForce()).toEqual(['a', 'b']);
    processor.agent.redial();
    expect(await processor.greet()).toMatchObject({ held: true, lastSha256: sha256(bytes) });
  });

  test('in many chunks is acknowledged by offset, chunk by chunk', async () => {
    const processor = await holder();
    const bytes = large(300_000);
    processor.begin();
    for (let at = 0; at < bytes.length; at += 64 * 1024) {
      processor.part(bytes, at, 64 * 1024);
      const next = Math.min(bytes.length, at + 64 * 1024);
      expect(await processor.ack()).toMatchObject({
        nextOffset: String(next),
        state: next === bytes.length ? IN_FORCE : RECEIVING,
      });
    }
  });

  test('of an empty bundle has no bytes, and removes what was there', async () => {
    const processor = await holder();
    await processor.send(snapshotOf({ 'a.dag.yaml': dagOf('a') }));
    expect(await processor.send(Buffer.alloc(0))).toMatchObject({ state: IN_FORCE });
    expect(await inForce()).toEqual([]);
  });

  test('whose chunks come again, whole or in part, is the same', async () => {
    const processor = await holder();
    const bytes = large(200_000);
    processor.begin();
    processor.part(bytes, 0, 50_000);
    processor.part(bytes, 0, 50_000);
    processor.part(bytes, 25_000, 50_000);
    expect((await processor.ack(({ nextOffset }) => nextOffset === '75000')).state).toBe(RECEIVING);
    for (let at = 75_000; at < bytes.length; at += 50_000) processor.part(bytes, at, 50_000);
    expect(await processor.answer()).toMatchObject({ state: IN_FORCE });
  });

  test('with chunks missing or out of order is told where to go on, and waits there', async () => {
    const processor = await holder();
    const bytes = large(200_000);
    processor.begin();
    processor.part(bytes, 50_000, 50_000);
    expect(await processor.ack()).toMatchObject({ nextOffset: '0', state: RECEIVING });
    processor.part(bytes, 0, 50_000);
    expect(await processor.ack()).toMatchObject({ nextOffset: '50000', state: RECEIVING });
    // Its last chunk alone does not make it whole.
    const last = bytes.length - 10;
    processor.part(bytes, last, 50_000);
    expect(await processor.ack()).toMatchObject({ nextOffset: '50000', state: RECEIVING });
    expect(await dags()).toEqual([]);
    for (let at = 50_000; at < bytes.length; at += 50_000) processor.part(bytes, at, 50_000);
    expect(await processor.answer()).toMatchObject({ state: IN_FORCE });
  });

  test('that is cut off half way leaves what was in force', async () => {
    const processor = await holder();
    await processor.send(snapshotOf({ 'a.dag.yaml': dagOf('a') }));
    processor.begin();
    processor.part(large(300_000), 0, 100_000);
    await processor.ack(({ sequence }) => sequence === '2');
    processor.agent.redial();
    await processor.greet();
    expect(await inForce()).toEqual(['a']);
  });

  test('with a higher sequence drops what has arrived of a lower one', async () => {
    const processor = await holder();
    processor.begin();
    processor.part(large(300_000), 0, 100_000);
    const answer = await processor.send(snapshotOf({ 'b.dag.yaml': dagOf('b') }));
    expect(answer).toMatchObject({ sequence: '2', state: IN_FORCE });
    processor.chunk({ sequence: 1, offset: 100_000, data: Buffer.alloc(10), totalBytes: 300_000 });
    expect(await processor.ack(({ sequence }) => sequence === '1')).toMatchObject({ state: RECEIVING });
    expect(await processor.ack(({ sequence }) => sequence === '1')).toMatchObject({
      ...{ state: REFUSED, message: 'snapshot 2 is newer' },
    });
    expect(await inForce()).toEqual(['b']);
  });

  test('that was answered is answered the same again', async () => {
    const processor = await holder();
    const bytes = snapshotOf({ 'a.dag.yaml': dagOf('a') });
    const first = await processor.send(bytes);
    processor.part(bytes, 0, bytes.length);
    expect(await processor.ack()).toEqual(first);
  });
});

describe('a snapshot is refused, and what was in force stays,', () => {
  const bytes = snapshotOf({ 'b.dag.yaml': dagOf('b') });
  const whole = { offset: 0, data: bytes, totalBytes: bytes.length, sha256: sha256(bytes) };

  test.each([
    ['when its hash is another one', { ...whole, sha256: Buffer.alloc(32) }, 'it is damaged'],
    [
      'when it is larger than 64 MiB',
      { ...whole, totalBytes: 64 * MIB + 1 },
      'it has 67108865 bytes, and at most 67108864 are taken',
    ],
    [
      'when a chunk is too large',
      { ...whole, data: Buffer.alloc(300_000), totalBytes: MIB },
      'a chunk has 300000',
    ],
    ['when a chunk ends beyond it', { ...whole, totalBytes: 5 }, 'a chunk ends beyond the 5 bytes'],
    [
      'when it is no BundleSnapshot',
      { offset: 0, data: Buffer.from([255, 255]), totalBytes: 2, sha256: sha256(Buffer.from([255, 255])) },
      'it is no BundleSnapshot',
    ],
    [
      'when a file has no name',
      (() => {
        const odd = snapshotOf({ '': dagOf('b') });
        return { offset: 0, data: odd, totalBytes: odd.length, sha256: sha256(odd) };
      })(),
      'the file "" is empty or longer than 1024',
    ],
  ])('%s', async (_name, chunk, words) => {
    const processor = await holder();
    await processor.send(snapshotOf({ 'a.dag.yaml': dagOf('a') }));
    processor.begin();
    processor.chunk(chunk);
    const answer = await processor.answer();
    expect(answer).toMatchObject({ sequence: '2', state: REFUSED, message: expect.stringContaining(words) });
    expect(await inForce()).toEqual(['a']);
    // Its processor may mend it: the stream goes on.
    expect(await processor.send(bytes)).toMatchObject({ state: IN_FORCE });
  });

  test('when its size changes on the way', async () => {
    const processor = await holder();
    processor.begin();
    processor.chunk({ offset: 0, data: Buffer.alloc(10), totalBytes: 100 });
    processor.chunk({ offset: 10, data: Buffer.alloc(10), totalBytes: 101 });
    expect(await processor.answer()).toMatchObject({
      ...{ state: REFUSED, message: 'total_bytes was 100 and is 101 now' },
    });
  });

  test('when its processor does not hold the bundle', async () => {
    const first = await holder();
    await first.send(snapshotOf({ 'a.dag.yaml': dagOf('a') }));
    const second = new RawProcessor(stage, 'second');
    expect(await second.greet()).toMatchObject({ held: false });
    expect(await second.send(bytes)).toMatchObject({ state: NOT_HELD });
    expect(await inForce()).toEqual(['a']);
    first.agent.stream.say({ goodbye: { endsSession: true, reason: 'test' } });
    expect(await second.agent.stream.next('bundleHold')).toMatchObject({ held: true });
    expect(await second.send(bytes)).toMatchObject({ state: IN_FORCE });
    expect(await inForce()).toEqual(['b']);
  });
});

test('a sequence that a session has used is refused on its next stream, too', async () => {
  const processor = await holder();
  await processor.send(snapshotOf({ 'a.dag.yaml': dagOf('a') }));
  processor.agent.redial();
  await processor.greet();
  const bytes = snapshotOf({ 'b.dag.yaml': dagOf('b') });
  processor.chunk({ sequence: 1, offset: 0, data: bytes, totalBytes: bytes.length, sha256: sha256(bytes) });
  expect(await processor.answer()).toMatchObject({
    ...{ state: REFUSED, message: 'snapshot 1 of this session is in force already: count the sequence up' },
  });
  expect(await inForce()).toEqual(['a']);
});

describe('a DAG within a snapshot', () => {
  test.each([
    ['is no JSON', '{', 'b.dag.yaml: the DAG is no JSON'],
    ['is no UTF-8', Buffer.from([0xff, 0xfe]).toString('latin1'), 'b.dag.yaml: the DAG is no JSON'],
    ['is no DAG', { dag_id: 'b' }, 'b.dag.yaml: '],
    ['has a cycle', dagOf('b', { tasks: { x: { needs: ['y'] }, y: { needs: ['x'] } } }), 'b.dag.yaml: '],
    ['is too large', 'x'.repeat(4 * MIB + 1), 'b.dag.yaml: the DAG has 4194305 bytes'],
  ])(
    'that %s is an import error of its file; the rest is in force, and what the file had stays',
    async (_n, dag, words) => {
      const processor = await holder();
      await processor.send(snapshotOf({ 'b.dag.yaml': dagOf('b') }));
      const answer = await processor.send(snapshotOf({ 'a.dag.yaml': dagOf('a'), 'b.dag.yaml': dag }));
      expect(answer).toMatchObject({ state: IN_FORCE });
      expect(await inForce()).toEqual(['a', 'b']);
      expect(await importErrors()).toMatchObject([
        { file: 'b.dag.yaml', message: expect.stringContaining(words) },
      ]);
    },
  );

  test('that was gone comes back as it was', async () => {
    const processor = await holder();
    for (const files of [{ 'a.dag.yaml': dagOf('a') }, {}, { 'a.dag.yaml': dagOf('a') }])
      expect(await processor.send(snapshotOf(files))).toMatchObject({ state: IN_FORCE });
    expect(await dags()).toMatchObject([{ dagId: 'a', active: true, definitionVersion: 1 }]);
  });

  test('that did not change is not checked again, and not written', async () => {
    const processor = await holder();
    await processor.send(snapshotOf({ 'a.dag.yaml': dagOf('a') }));
    const [before] = await dags();
    await processor.send(snapshotOf({ 'a.dag.yaml': dagOf('a'), 'b.dag.yaml': dagOf('b') }));
    expect((await dags())[0]).toEqual(before);
  });
});

describe('a stream ends with INVALID_ARGUMENT, and its neighbours go on, when a BundleChunk', () => {
  test.each([
    ['names a bundle that the Hello does not', { bundle: 'other' }, 'which the Hello does not name'],
    ['has no sequence', { sequence: 0 }, 'bundle_chunk.sequence is 0'],
    ['names no bundle', { bundle: '' }, 'bundle_chunk.bundle "" is not a name'],
  ])('%s', async (_name, change, words) => {
    const processor = await holder();
    processor.begin();
    processor.chunk({ offset: 0, data: Buffer.alloc(1), totalBytes: 1, ...change });
    const ended = await processor.agent.stream.ended;
    expect(ended).toEqual({ code: status.INVALID_ARGUMENT, details: expect.stringContaining(words) });
    await stage.serves();
  });

  test('comes from a worker', async () => {
    const worker = await stage.greeted();
    worker.stream.say({ bundleChunk: { bundle: 'main', sequence: 1, data: Buffer.alloc(1), totalBytes: 1 } });
    const ended = await worker.stream.ended;
    expect(ended).toEqual({ code: status.INVALID_ARGUMENT, details: 'a BundleChunk of a worker' });
  });
});

describe('memory for snapshots on their way', () => {
  test('is bounded over all processors: a further one waits before its first chunk, and is told when to begin', async () => {
    const [one, two, three] = [
      await holder('one', ['one']),
      await holder('two', ['two']),
      await holder('three', ['three']),
    ];
    const half = { offset: 0, data: Buffer.alloc(1_000), totalBytes: 60 * MIB };
    for (const processor of [one, two, three]) processor.begin();
    one.chunk(half);
    expect(await one.ack()).toMatchObject({ nextOffset: '1000' });
    two.chunk(half);
    expect(await two.ack()).toMatchObject({ nextOffset: '1000' });
    three.chunk(half);
    await three.agent.beat();
    await stage.serves();
    expect(three.agent.stream.unread.filter(({ message }) => message === 'bundleAck')).toEqual([]);
    one.agent.stream.close();
    expect(await three.ack()).toMatchObject({ nextOffset: '0', state: RECEIVING });
    const bytes = snapshotOf({ 'c.dag.yaml': dagOf('c') });
    expect(await three.send(bytes)).toMatchObject({ state: IN_FORCE });
  });
});

test('a snapshot renews no lease: a processor that sends chunks and no heartbeat is failed', async () => {
  await stage.close();
  store = new MemoryStore();
  stage = await Stage.start({ heartbeatIntervalMs: 200 }, store);
  const processor = await holder();
  const second = new RawProcessor(stage, 'second');
  await second.greet();
  processor.begin();
  let offset = 0;
  await eventually('the end of its lease', async () => {
    if (processor.agent.stream.over === null)
      processor.chunk({ offset: offset++, data: Buffer.alloc(1), totalBytes: MIB });
    if (second.agent.stream.over === null) second.agent.say();
    return (await store.load()).dags.bundles.some(({ agentId }) => agentId === 'second');
  });
  expect(offset).toBeGreaterThan(0);
});
