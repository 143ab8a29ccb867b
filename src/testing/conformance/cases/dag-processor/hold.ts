import { status } from '@grpc/grpc-js';
import { Bundle } from '../../bundle.js';
import { type Case, check } from '../../case.js';
import type { Stage } from '../../stage.js';
import type { Stream } from '../../stream.js';

/** Throws Deviation unless no chunk comes over so many intervals. */
async function noChunk(
  stage: Stage,
  stream: Stream,
  because: string,
  from: number,
  intervals = 3,
): Promise<void> {
  await stage.intervals(intervals);
  const chunks = new Bundle(stage).chunks(stream, from);
  check(chunks === 0, `${chunks} chunks of a snapshot although ${because}`);
}

export const HOLD: readonly Case[] = [
  {
    id: 'hold.standby',
    rule: 'P17',
    level: 'must',
    kinds: ['dag-processor'],
    title: 'a processor that does not hold its bundle sends nothing of it, until it is told that it does',
    play: async (stage) => {
      const bundle = new Bundle(stage);
      bundle.write('a');
      const stream = await stage.session();
      check(
        bundle.nameOn(stream) === 'conformance',
        `the bundle is ${bundle.nameOn(stream)}, not conformance`,
      );
      await noChunk(stage, stream, 'nobody has said who holds the bundle', 0);
      bundle.hold(stream, false);
      bundle.write('b');
      await noChunk(stage, stream, 'another processor holds the bundle', 0);
      const from = stream.here();
      bundle.hold(stream, true);
      await bundle.accepted(stream, ['a', 'b'], from);
      return 'silent while it stood by; the newest files once it held the bundle';
    },
  },
  {
    id: 'hold.in-force',
    rule: 'P17',
    level: 'should',
    kinds: ['dag-processor'],
    title: 'a snapshot that is in force already is not sent again',
    play: async (stage) => {
      const bundle = new Bundle(stage);
      bundle.write('a');
      const first = await stage.session();
      const from = first.here();
      bundle.hold(first, true);
      const { sha256 } = await bundle.accepted(first, ['a'], from);
      first.reset(status.UNAVAILABLE);
      const second = await stage.resumed(first);
      bundle.hold(second, true, sha256);
      await noChunk(stage, second, 'the coordinator has said that this very snapshot is in force', 0);
      bundle.write('b');
      await bundle.accepted(second, ['a', 'b']);
      return 'not sent on the next stream; the change was';
    },
  },
  {
    id: 'hold.reconnect',
    rule: 'loss',
    level: 'must',
    kinds: ['dag-processor'],
    title:
      'files that change while the processor is cut off are in the snapshot that it sends after reconnecting',
    play: async (stage) => {
      const bundle = new Bundle(stage);
      bundle.write('a');
      bundle.write('b');
      const first = await stage.session();
      const from = first.here();
      bundle.hold(first, true);
      const before = await bundle.accepted(first, ['a', 'b'], from);
      stage.network.refuse();
      bundle.write('c');
      bundle.remove('a');
      await stage.intervals(2);
      stage.network.heal();
      const second = await stage.resumed(first);
      bundle.hold(second, true, before.sha256);
      const after = await bundle.accepted(second, ['b', 'c']);
      check(
        after.sequence > before.sequence,
        `sequence ${after.sequence} after ${before.sequence}, in one session`,
      );
      return `sequence ${before.sequence}, then ${after.sequence} with what had changed meanwhile`;
    },
  },
  {
    id: 'hold.cut-upload',
    rule: 'P17',
    level: 'must',
    kinds: ['dag-processor'],
    title: 'a snapshot whose stream is lost half way is sent from its beginning on the next one',
    play: async (stage) => {
      const bundle = new Bundle(stage);
      bundle.writeLarge('a', 'b', 'c', 'd');
      const first = await stage.session();
      const from = first.here();
      bundle.hold(first, true);
      const { chunk } = await bundle.chunk(first, from);
      bundle.progress(first, chunk.sequence, chunk.data.length);
      stage.network.cut();
      const second = await stage.resumed(first);
      await noChunk(stage, second, 'the new stream has not said who holds the bundle', 0, 1);
      bundle.hold(second, true);
      const whole = await bundle.accepted(second, ['a', 'b', 'c', 'd']);
      return `begun again, ${whole.chunks} chunks`;
    },
  },
  {
    id: 'hold.lost',
    rule: 'P17',
    level: 'must',
    kinds: ['dag-processor'],
    title:
      'a processor that is told in between that it does not hold the bundle stops sending, and begins anew when it does',
    play: async (stage) => {
      const bundle = new Bundle(stage);
      bundle.write('a');
      const stream = await stage.session();
      const from = stream.here();
      bundle.hold(stream, true);
      const { sequence, next } = await bundle.receive(stream, from);
      bundle.notHeld(stream, sequence);
      bundle.write('b');
      await noChunk(stage, stream, 'it was told NOT_HELD', next);
      const again = stream.here();
      bundle.hold(stream, true);
      const snapshot = await bundle.accepted(stream, ['a', 'b'], again);
      check(snapshot.sequence > sequence, `sequence ${snapshot.sequence} after ${sequence}, in one session`);
      return `nothing while it was not held; sequence ${sequence}, then ${snapshot.sequence}`;
    },
  },
  {
    id: 'hold.new-session',
    rule: 'P17',
    level: 'must',
    kinds: ['dag-processor'],
    title: 'a hold ends with its session: in a new one nothing is sent until the coordinator says so again',
    play: async (stage) => {
      const bundle = new Bundle(stage);
      bundle.write('a');
      const first = await stage.session();
      const from = first.here();
      bundle.hold(first, true);
      await bundle.accepted(first, ['a'], from);
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      second.welcome(stage.nextEpoch());
      await second.heartbeat({ from: 0 });
      bundle.write('b');
      await noChunk(stage, second, 'the session in which it held the bundle is over', 0);
      bundle.hold(second, true);
      await bundle.accepted(second, ['a', 'b']);
      return 'silent in the new session until it was told';
    },
  },
];
