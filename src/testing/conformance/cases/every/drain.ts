import { type Case, check, KINDS } from '../../case.js';
import { exitWords } from '../../process.js';
import type { Stage } from '../../stage.js';
import type { Stream } from '../../stream.js';

export const DRAIN: readonly Case[] = [
  {
    id: 'drain.sigterm',
    rule: 'P6',
    level: 'must',
    kinds: KINDS,
    title:
      'an agent that holds nothing and gets SIGTERM ends its session with a Goodbye, and itself after the Farewell',
    play: async (stage) => {
      const stream = await stage.session();
      stage.mayEnd();
      stage.agent.signal('SIGTERM');
      return ends(stage, stream);
    },
  },
  {
    id: 'drain.directive',
    rule: 'P6',
    level: 'must',
    kinds: KINDS,
    title: 'an agent that the coordinator drains ends in the same way',
    play: async (stage) => {
      const stream = await stage.session();
      stage.mayEnd();
      stream.push({ directive: { cordoned: false, draining: true, drainTimeout: undefined } });
      return ends(stage, stream);
    },
  },
  {
    id: 'drain.exit-code',
    rule: 'P6',
    level: 'should',
    kinds: KINDS,
    title: 'a drained agent ends with exit code 0',
    play: async (stage) => {
      const stream = await stage.session();
      stage.mayEnd();
      stage.agent.signal('SIGTERM');
      await stream.goodbye();
      stream.farewell();
      const exit = await stage.agent.ended(stage.patienceMs);
      check(exit.code === 0, exitWords(exit));
      return exitWords(exit);
    },
  },
];

async function ends(stage: Stage, stream: Stream): Promise<string> {
  const { endsSession } = await stream.goodbye();
  check(endsSession, 'the Goodbye of an agent that holds nothing does not end its session');
  stream.farewell();
  const exit = await stage.agent.ended(stage.patienceMs);
  return `Goodbye, Farewell, ${exitWords(exit)}`;
}
