import { ackWithUnknownField, UNKNOWN_ARM } from '../../bytes.js';
import { type Case, check, KINDS } from '../../case.js';
import { EMPTY_ACK } from '../../stream.js';

export const SKEW: readonly Case[] = [
  {
    id: 'skew.unknown-arm',
    rule: 'compatibility',
    level: 'must',
    kinds: KINDS,
    title: 'a message of a kind that the agent does not know is ignored',
    play: async (stage) => {
      const stream = await stage.session();
      stream.sendRaw(UNKNOWN_ARM);
      await stage.intervals(3);
      check(stream.end === null, 'the agent gave the stream up');
      const beat = await stream.heartbeat();
      return `heartbeat ${beat.seq} on the same stream`;
    },
  },
  {
    id: 'skew.unknown-field',
    rule: 'compatibility',
    level: 'must',
    kinds: KINDS,
    title: 'a field that the agent does not know is ignored, and the rest of its message is not',
    play: async (stage) => {
      const stream = await stage.session();
      // Nothing else may be applied in its place.
      stream.acks = 'withheld';
      const number = stream.nextNumber();
      stream.sendRaw(ackWithUnknownField({ ...EMPTY_ACK, number, received: stream.seq }));
      await stream.applied(number);
      return 'the message was applied';
    },
  },
  {
    id: 'skew.capabilities',
    rule: 'compatibility',
    level: 'must',
    kinds: KINDS,
    title: 'a Welcome with capabilities, limits and a version of its own time is accepted',
    play: async (stage) => {
      const stream = await stage.session({ capabilities: ['from-a-later-version'], limits: undefined });
      await stage.intervals(2);
      check(stream.end === null, 'the agent gave the stream up');
      return 'the session goes on';
    },
  },
];
