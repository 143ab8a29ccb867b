import type { Hello } from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Case, check, KINDS } from '../../case.js';
import type { Stage } from '../../stage.js';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export const HELLO: readonly Case[] = [
  {
    id: 'hello.first',
    rule: 'stream 1',
    level: 'must',
    kinds: KINDS,
    title: 'the first message of a stream is a Hello that says who the agent is',
    play: async (stage) => {
      stage.start();
      const stream = await stage.accept(30_000);
      const hello = stream.hello as Hello;
      check(
        stream.said[0]?.message.$case === 'hello',
        `the first message is ${stream.said[0]?.message.$case}`,
      );
      checkHello(stage, hello);
      return `${hello.software || 'an agent'} as ${hello.agentId}, instance ${hello.instanceId}`;
    },
  },
  {
    id: 'hello.heartbeats',
    rule: 'stream 3',
    level: 'must',
    kinds: KINDS,
    title: 'heartbeats come on the interval, numbered from 2, and name what was applied',
    play: async (stage) => {
      const stream = await stage.session();
      await stage.intervals(6);
      const beats = stream.said.flatMap(({ at, message }) =>
        message.$case === 'heartbeat' ? [{ at, beat: message.value }] : [],
      );
      beats.forEach(({ beat }, i) => {
        check(
          beat.seq === BigInt(i + 2),
          `heartbeat ${i + 1} of the stream bears seq ${beat.seq}, not ${i + 2}`,
        );
      });
      const gaps = beats.slice(1).map(({ at }, i) => at - (beats[i]?.at ?? 0));
      const longest = Math.max(...gaps);
      const { heartbeatMs } = stage.terms;
      check(beats.length >= 5, `${beats.length} heartbeats in 6 intervals`);
      check(
        longest < 1.5 * heartbeatMs,
        `${longest.toFixed(0)} ms without a heartbeat, at H = ${heartbeatMs} ms`,
      );
      const last = await stream.heartbeat();
      check(
        last.applied > 1n,
        `after ${stream.acknowledged} acknowledgements, applied is still ${last.applied}`,
      );
      return `${beats.length} heartbeats in 6 intervals, at most ${longest.toFixed(0)} ms apart`;
    },
  },
];

function checkHello(stage: Stage, hello: Hello): void {
  const { agentId, instanceId, streamNo, queues, slots, protocolVersion } = hello;
  check(
    agentId === stage.agentId,
    `agent_id is ${JSON.stringify(agentId)}, not ${stage.agentId} as it was told`,
  );
  check(
    NAME.test(instanceId) && instanceId.length >= 16,
    `instance_id is ${JSON.stringify(instanceId)}: 16 to 128 characters of A-Z a-z 0-9 . _ - are asked`,
  );
  check(streamNo >= 1n, `stream_no is ${streamNo}: it counts from 1`);
  check(protocolVersion >= 1, `protocol_version is ${protocolVersion}`);
  check(hello.inventory.length === 0, `a fresh agent holds ${hello.inventory.length} entries`);
  if (stage.kind !== 'worker') return;
  check(
    queues.length > 0 && queues.every((queue) => NAME.test(queue)),
    `queues are ${JSON.stringify(queues)}`,
  );
  check(slots >= 1, `slots are ${slots}`);
}
