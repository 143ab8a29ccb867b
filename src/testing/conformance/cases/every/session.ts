import { status } from '@grpc/grpc-js';
import type { Hello } from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Case, check, KINDS } from '../../case.js';

export const SESSION: readonly Case[] = [
  {
    id: 'session.resume',
    rule: 'P5',
    level: 'must',
    kinds: KINDS,
    title: 'after a lost stream the same instance comes back with a higher stream_no',
    play: async (stage) => {
      const first = await stage.session();
      first.reset(status.UNAVAILABLE);
      const second = await stage.resumed(first);
      const [before, after] = [first.hello as Hello, second.hello as Hello];
      check(
        after.instanceId === before.instanceId,
        'the same process has another instance_id on its second stream',
      );
      check(after.streamNo > before.streamNo, `stream_no is ${after.streamNo} after ${before.streamNo}`);
      return `stream ${before.streamNo}, then ${after.streamNo}, of one instance`;
    },
  },
];
