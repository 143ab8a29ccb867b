import { Bundle, idsOf } from '../../bundle.js';
import { type Case, check } from '../../case.js';

export const SNAPSHOT: readonly Case[] = [
  {
    id: 'snapshot.complete',
    rule: 'P17',
    level: 'must',
    kinds: ['dag-processor'],
    title:
      'a processor that holds its bundle sends one complete snapshot of it: chunks in order, digest, every file',
    play: async (stage) => {
      const bundle = new Bundle(stage);
      for (const dagId of ['a', 'b', 'c']) bundle.write(dagId);
      const stream = await stage.session();
      const from = stream.here();
      bundle.hold(stream, true);
      const snapshot = await bundle.receive(stream, from);
      const ids = idsOf(snapshot).join(', ');
      check(ids === 'a, b, c', `the snapshot holds ${ids || 'no DAG'}; the folder has a, b and c`);
      check(
        snapshot.importErrors.length === 0,
        `import errors of good files: ${snapshot.importErrors[0]?.message}`,
      );
      check(snapshot.sequence >= 1n, `sequence ${snapshot.sequence}: it counts from 1`);
      return `${snapshot.bytes} bytes in ${snapshot.chunks} chunks: ${ids}`;
    },
  },
  {
    id: 'snapshot.chunks',
    rule: 'P17',
    level: 'must',
    kinds: ['dag-processor'],
    title: 'a large snapshot comes in chunks of at most 256 KiB while heartbeats go on in between',
    play: async (stage) => {
      const bundle = new Bundle(stage);
      bundle.writeLarge('a', 'b', 'c', 'd', 'e', 'f');
      const stream = await stage.session();
      const from = stream.here();
      bundle.hold(stream, true);
      await bundle.chunk(stream, from);
      await stage.intervals(3);
      const beats = stream.said.slice(from).filter(({ message }) => message.$case === 'heartbeat').length;
      check(beats >= 2, `${beats} heartbeats in 3 intervals while chunks wait for their acknowledgement`);
      const snapshot = await bundle.receive(stream, from);
      check(idsOf(snapshot).length === 6, `the snapshot holds ${idsOf(snapshot).join(', ')}`);
      check(snapshot.chunks > 1, `${snapshot.bytes} bytes came in one chunk`);
      return `${snapshot.bytes} bytes in ${snapshot.chunks} chunks, ${beats} heartbeats meanwhile`;
    },
  },
  {
    id: 'snapshot.go-back',
    rule: 'P17',
    level: 'must',
    kinds: ['dag-processor'],
    title: 'a snapshot of which nothing has arrived is sent again from the byte that the coordinator names',
    play: async (stage) => {
      const bundle = new Bundle(stage);
      bundle.writeLarge('a', 'b', 'c');
      const stream = await stage.session();
      const from = stream.here();
      bundle.hold(stream, true);
      const { chunk } = await bundle.chunk(stream, from);
      await stage.intervals(1);
      const again = stream.here();
      bundle.progress(stream, chunk.sequence, 0);
      const second = await bundle.chunk(stream, again);
      check(second.chunk.offset === 0n, `told to go on from 0, it goes on from ${second.chunk.offset}`);
      const snapshot = await bundle.receive(stream, again);
      check(idsOf(snapshot).join() === 'a,b,c', `the snapshot holds ${idsOf(snapshot).join(', ')}`);
      return `begun again at 0, complete after ${snapshot.chunks} chunks`;
    },
  },
  {
    id: 'snapshot.changed',
    rule: 'P17',
    level: 'must',
    kinds: ['dag-processor'],
    title: 'a file that changes, comes or goes makes a new complete snapshot with a higher sequence',
    play: async (stage) => {
      const bundle = new Bundle(stage);
      for (const dagId of ['a', 'b']) bundle.write(dagId);
      const stream = await stage.session();
      const from = stream.here();
      bundle.hold(stream, true);
      const first = await bundle.accepted(stream, ['a', 'b'], from);
      bundle.write('c');
      const second = await bundle.accepted(stream, ['a', 'b', 'c'], first.next);
      bundle.remove('a');
      const third = await bundle.accepted(stream, ['b', 'c'], second.next);
      const sequences = [first, second, third].map(({ sequence }) => sequence);
      check(
        first.sequence < second.sequence && second.sequence < third.sequence,
        `the sequences are ${sequences.join(', ')}`,
      );
      return `sequences ${sequences.join(', ')}`;
    },
  },
  {
    id: 'snapshot.import-error',
    rule: 'P17',
    level: 'must',
    kinds: ['dag-processor'],
    title: 'a file that is broken travels as an import error with its name, beside the DAGs of the others',
    play: async (stage) => {
      const bundle = new Bundle(stage);
      bundle.write('good');
      bundle.writeRaw('bad', '{"dag_id": "bad", "tasks": {');
      const stream = await stage.session();
      const from = stream.here();
      bundle.hold(stream, true);
      const broken = await bundle.accepted(stream, ['good'], from);
      const [error] = broken.importErrors;
      check(error !== undefined, 'the snapshot has no import error of the broken file');
      check(error.file.endsWith('bad.dag.json'), `the import error is of ${error.file}`);
      check(error.message !== '', 'the import error has no message');
      bundle.write('bad');
      const mended = await bundle.accepted(stream, ['bad', 'good'], broken.next);
      check(
        mended.importErrors.length === 0,
        `the mended file still has an error: ${mended.importErrors[0]?.message}`,
      );
      return `told (${error.message.slice(0, 60)}), and gone with the mended file`;
    },
  },
  {
    id: 'snapshot.refused',
    rule: 'P17',
    level: 'should',
    kinds: ['dag-processor'],
    title: 'a snapshot that is refused is not sent again on the stream; the next change is',
    play: async (stage) => {
      const bundle = new Bundle(stage);
      bundle.write('a');
      const stream = await stage.session();
      const from = stream.here();
      bundle.hold(stream, true);
      const first = await bundle.receive(stream, from);
      bundle.refuse(stream, first);
      await stage.intervals(3);
      const more = bundle.chunks(stream, first.next);
      check(more === 0, `${more} chunks of a snapshot that was refused for ever`);
      bundle.write('b');
      await bundle.accepted(stream, ['a', 'b'], first.next);
      return 'not repeated; the change was sent';
    },
  },
];
