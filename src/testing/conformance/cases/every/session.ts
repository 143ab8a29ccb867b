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
      check(after.instanceId === before.instanceId, 'one process has two instance_ids on two streams');
      check(after.streamNo > before.streamNo, `stream_no is ${after.streamNo} after ${before.streamNo}`);
      return `stream ${before.streamNo}, then ${after.streamNo}, of one instance`;
    },
  },
  {
    id: 'session.new-epoch',
    rule: 'P5',
    level: 'must',
    kinds: KINDS,
    title: 'an agent that was failed goes on in a new session of a new epoch',
    play: async (stage) => {
      const first = await stage.session();
      first.reset(status.ABORTED);
      const second = await stage.accept();
      second.welcome(stage.nextEpoch());
      await second.heartbeat({ from: 0 });
      await stage.intervals(3);
      check(second.end === null, 'the agent gave the stream of the new session up');
      check(second.seq >= 3n, `${second.seq - 1n} heartbeats in 3 intervals of the new session`);
      return `epoch ${first.epoch}, then ${second.epoch}`;
    },
  },
  {
    id: 'session.restart',
    rule: 'stream 1',
    level: 'must',
    kinds: KINDS,
    title: 'a new process is another instance, and knows the highest epoch that the one before has seen',
    play: async (stage) => {
      const first = await stage.session();
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      // Beyond what a floating point number can tell from its neighbour.
      const epoch = 2n ** 53n + 1n;
      second.welcome(epoch);
      await second.heartbeat({ from: 0 });
      const third = await stage.restarted();
      const [before, after] = [second.hello as Hello, third.hello as Hello];
      check(after.instanceId !== before.instanceId, 'two processes have the same instance_id');
      check(
        after.highestEpoch === epoch,
        `highest_epoch is ${after.highestEpoch} after a session of epoch ${epoch}`,
      );
      return `another instance, highest_epoch ${after.highestEpoch}`;
    },
  },
  {
    id: 'session.proof',
    rule: 'P5',
    level: 'should',
    kinds: KINDS,
    title: 'a new process with the same state directory proves that the one before is dead',
    play: async (stage) => {
      const first = await stage.session();
      const second = await stage.restarted();
      const { process: before, instanceId } = first.hello as Hello;
      const { proof } = second.hello as Hello;
      check(proof !== undefined, 'the Hello bears no proof');
      check(
        proof.instanceId === instanceId,
        `the proof is about ${proof.instanceId}, the one before was ${instanceId}`,
      );
      const isSame = proof.bootId === before?.bootId && proof.lockInode === before.lockInode;
      check(
        isSame && proof.bootId !== '',
        'the proof names another boot or lock than the Hello of the one before',
      );
      return 'proof with boot id and lock of the one before';
    },
  },
];
