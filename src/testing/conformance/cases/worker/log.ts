import type { LogChunk } from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Case, check } from '../../case.js';
import type { Stream } from '../../stream.js';

const LINES = 200;

export const LOG: readonly Case[] = [
  {
    id: 'log.offsets',
    rule: 'stream 4',
    level: 'should',
    kinds: ['worker'],
    title: 'the output of a run comes whole, by offset, in chunks of 64 KiB at most',
    play: async (stage) => {
      const stream = await stage.session();
      const { tag, token } = await stage.finish(stream, { mode: 'talk', word: LINES });
      await stage.intervals(1);
      const chunks = chunksOf(stream, token);
      let end = 0n;
      for (const { offset, data } of chunks) {
        check(offset === end, `a chunk begins at ${offset}, and the one before ended at ${end}`);
        check(data.length <= 64 * 1024, `a chunk has ${data.length} bytes`);
        end = offset + BigInt(data.length);
      }
      const text = Buffer.concat(chunks.map(({ data }) => data)).toString();
      for (const i of [0, LINES - 1])
        check(text.includes(`line ${i} of ${tag}\n`), `line ${i} is not in the output`);
      return `${end} bytes in ${chunks.length} chunks`;
    },
  },
  {
    id: 'log.resend',
    rule: 'stream 4',
    level: 'should',
    kinds: ['worker'],
    title: 'output that could not be kept is sent again when it is asked for',
    play: async (stage) => {
      const stream = await stage.session();
      stream.logs = 'withheld';
      const { token } = await stage.finish(stream, { mode: 'talk', word: LINES, seconds: 3 });
      check(chunksOf(stream, token).length > 0, 'no output came');
      const from = stream.here();
      stream.send({
        message: { $case: 'logAck', value: { token, nextOffset: 0n, closed: false, resend: true } },
      });
      await stream.expect(
        'the output from its beginning',
        (message) => (message.$case === 'logChunk' && message.value.offset === 0n) || undefined,
        { from },
      );
      return 'sent again from offset 0';
    },
  },
];

function chunksOf({ said }: Stream, token: bigint): LogChunk[] {
  return said.flatMap(({ message }) =>
    message.$case === 'logChunk' && message.value.token === token ? [message.value] : [],
  );
}
