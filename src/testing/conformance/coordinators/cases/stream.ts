import { status } from '@grpc/grpc-js';
import { TaskState } from '../../../../wire/gen/holdfast/v1/task_service.js';
import { check } from '../../case.js';
import { monoMs } from '../../clock.js';
import type { CoordinatorCase } from '../case.js';
import { reportOf } from '../fake-agent.js';
import type { Scene } from '../scene.js';

/** How long a well-behaved neighbour takes from the offer to the recorded report. */
async function neighbourMs(scene: Scene): Promise<number> {
  const queue = `${scene.name}-neighbour`;
  const neighbour = await scene.greeted({ queue });
  const taskId = await scene.submit({ queue });
  const began = monoMs();
  const { token } = await neighbour.start(taskId);
  await neighbour.report(token, { taskId });
  return monoMs() - began;
}

export const STREAM: readonly CoordinatorCase[] = [
  {
    id: 'stream.unknown',
    rule: 'skew',
    level: 'must',
    title: 'arms and fields of a later version are ignored, and the stream goes on',
    play: async (scene) => {
      const agent = await scene.greeted();
      // An arm of number 4000 with a text in it, no arm at all, and a heartbeat with a field 4000.
      agent.stream.sayRaw(Buffer.from('82fa010474657374', 'hex'));
      agent.stream.sayRaw(new Uint8Array());
      agent.silence();
      const seq = ++agent.seq;
      agent.stream.sayRaw(
        Buffer.from(`120${(7).toString(16)}08${seq.toString(16).padStart(2, '0')}100180fa0105`, 'hex'),
      );
      await agent.ack(
        'an acknowledgement of the heartbeat with an unknown field',
        (ack) => ack.received >= seq || undefined,
      );
      return 'ignored, the heartbeat behind them acknowledged';
    },
  },
  {
    id: 'stream.malformed',
    rule: 'stream 3',
    level: 'must',
    title:
      'a heartbeat out of turn, or bytes that are no message, end their stream with a status, and no session',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const { token, epoch } = await agent.start(taskId);
      const ends: string[] = [];
      for (const spoil of ['gap', 'bytes'] as const) {
        agent.silence();
        if (spoil === 'gap') agent.say({ seq: agent.seq + 10n });
        else agent.stream.sayRaw(Buffer.from('ffffffffff0102', 'hex'));
        const { code } = await agent.stream.ended();
        check(code !== status.OK, `a stream with ${spoil} ended with OK`);
        ends.push(status[code]);
        agent.redial();
        const welcome = await agent.greet();
        check(welcome.epoch === epoch, `epoch ${welcome.epoch} after ${epoch}`);
      }
      const { state, fencingToken } = await scene.task(taskId);
      check(state === TaskState.RUNNING && fencingToken === token, `its run is in state ${state}`);
      return `${ends.join(' and ')}; the session and its run went on`;
    },
  },
  {
    id: 'stream.flood-heartbeats',
    rule: 'limits',
    level: 'must',
    title: 'hundreds of heartbeats at once are all acknowledged, and no other agent waits for long',
    play: async (scene) => {
      const agent = await scene.greeted();
      agent.silence();
      for (let i = 0; i < 500; i++) agent.say();
      const took = await neighbourMs(scene);
      const last = agent.seq;
      await agent.ack(`an acknowledgement of heartbeat ${last}`, (ack) => ack.received >= last || undefined);
      check(took < agent.leaseMs, `a task of another agent took ${took.toFixed(0)} ms meanwhile`);
      return `500 heartbeats acknowledged; a task of another agent took ${took.toFixed(0)} ms`;
    },
  },
  {
    id: 'stream.flood-reports',
    rule: 'limits',
    level: 'must',
    title: 'a heartbeat with a thousand reports of nobody is answered for each of them',
    play: async (scene) => {
      const agent = await scene.greeted();
      const base = 1_000_000_000_000n;
      const tokens = Array.from({ length: 1_000 }, (_, i) => base + BigInt(i));
      for (const token of tokens) agent.show(token, 'finished');
      agent.say({ reports: tokens.map((token) => reportOf(token)) });
      const answered = new Set<bigint>();
      await scene.watched.until('an answer to each of 1000 reports', scene.patienceMs, () => {
        for (const ack of agent.stream.all('ack'))
          for (const { token } of ack.acknowledgements) answered.add(token);
        return answered.size >= tokens.length || undefined;
      });
      return `${answered.size} answers; a task of another agent took ${(await neighbourMs(scene)).toFixed(0)} ms`;
    },
  },
  {
    id: 'stream.flood-requests',
    rule: 'limits, I4',
    level: 'must',
    title: 'a thousand start requests for tasks of nobody are all refused',
    play: async (scene) => {
      const agent = await scene.greeted();
      const startRequests = Array.from({ length: 1_000 }, (_, i) => ({
        nonce: agent.nextNonce(),
        taskId: `${scene.name}-none-${i}`,
      }));
      for (const { nonce, taskId } of startRequests) agent.hold(nonce, taskId);
      agent.say({ startRequests });
      const refused = new Set<bigint>();
      await scene.watched.until('an answer to each of 1000 start requests', scene.patienceMs, () => {
        for (const ack of agent.stream.all('ack')) {
          check(ack.permits.length === 0, `a task that does not exist got token ${ack.permits[0]?.token}`);
          for (const { nonce } of ack.refusals) refused.add(nonce);
        }
        return refused.size >= startRequests.length || undefined;
      });
      return `${refused.size} refusals`;
    },
  },
];
