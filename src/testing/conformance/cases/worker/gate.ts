import { type Case, check } from '../../case.js';

export const GATE: readonly Case[] = [
  {
    id: 'gate.closes',
    rule: 'P3',
    level: 'must',
    kinds: ['worker'],
    title: 'the gate closes when heartbeats are not acknowledged, and opens again when they are',
    play: async (stage) => {
      const stream = await stage.session();
      await stage.closeGate(stream);
      const taskId = stage.nextTask();
      const from = stream.here();
      stream.offer(taskId);
      await stage.talk(stream, 2);
      const asked = stream.find(
        (message) => message.$case === 'heartbeat' && message.value.startRequests.length > 0,
        from,
      );
      check(asked !== true, 'a start request was sent behind the closed gate');
      stream.acks = 'prompt';
      const run = await stage.run(stream);
      return `no request while closed; ${run.tag} started after the next acknowledgement`;
    },
  },
];
