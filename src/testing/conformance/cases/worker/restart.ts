import type { Hello } from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Case, check } from '../../case.js';

export const RESTART: readonly Case[] = [
  {
    id: 'restart.highest-token',
    rule: 'P18',
    level: 'must',
    kinds: ['worker'],
    title: 'a new process knows the highest token that the ones before have seen',
    play: async (stage) => {
      const first = await stage.session();
      const token = 2n ** 60n + 1n;
      const run = await stage.finish(first, { permit: { token } });
      first.record(run.token);
      await first.applied();
      const second = await stage.restarted();
      const { highestToken } = second.hello as Hello;
      check(highestToken === token, `highest_token is ${highestToken} after a run of token ${token}`);
      return `highest_token ${highestToken}`;
    },
  },
];
