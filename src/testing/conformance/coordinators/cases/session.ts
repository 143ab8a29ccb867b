import { status } from '@grpc/grpc-js';
import { HelloRefusal, VerdictKind } from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { TaskState } from '../../../../wire/gen/holdfast/v1/task_service.js';
import { millisOf } from '../../../../wire/time.js';
import { check } from '../../case.js';
import type { CoordinatorCase } from '../case.js';
import { runEntry } from '../fake-agent.js';

/** Longest time after a lease's end until its agent is failed, in milliseconds (I5), and what a busy machine may add. */
const FAIL_WITHIN_MS = 1_000 + 1_000;

export const SESSION: readonly CoordinatorCase[] = [
  {
    id: 'session.terms',
    rule: 'stream 2',
    level: 'must',
    title: 'the Welcome dictates L = 3 H and a gate of 5/6 L, and rules on every entry of the inventory',
    play: async (scene) => {
      const agent = scene.agent();
      const inventory = [1n, 2n, 3n].map((n) => runEntry(UNKNOWN + n));
      const welcome = await agent.greet({ inventory });
      const [H, L, La] = [welcome.heartbeatInterval, welcome.lease, welcome.gate].map(
        (one) => millisOf(one) ?? 0,
      );
      check(H !== undefined && H > 0 && L === 3 * H, `H is ${H} ms and L is ${L} ms`);
      check(Math.abs((La ?? 0) - (5 / 6) * L) <= 1, `the gate is ${La} ms at a lease of ${L} ms`);
      check(welcome.epoch > 0n, `the epoch is ${welcome.epoch}`);
      const ruled = welcome.verdicts.map(({ token }) => token - UNKNOWN).sort((a, b) => (a < b ? -1 : 1));
      check(ruled.join() === '1,2,3', `${welcome.verdicts.length} verdicts on 3 entries`);
      check(
        welcome.verdicts.every(({ kind }) => kind === VerdictKind.STOP),
        'a run under a token that was never drawn is not told to stop',
      );
      return `H ${H} ms, L ${L} ms, gate ${La} ms; three runs nobody permitted are to be stopped`;
    },
  },
  {
    id: 'session.acknowledged',
    rule: 'stream 3',
    level: 'must',
    title: 'every heartbeat is acknowledged, in messages that are numbered from 2 without a gap',
    play: async (scene) => {
      const agent = await scene.greeted();
      for (let i = 0; i < 5; i++) await agent.acknowledged();
      const numbers = agent.stream.all('ack').map(({ number }) => number);
      const wanted = numbers.map((_, i) => BigInt(i + 2));
      check(numbers.join() === wanted.join(), `the numbers are ${numbers.join(', ')}`);
      return `${numbers.length} acknowledgements, numbered 2 to ${numbers.at(-1)}`;
    },
  },
  {
    id: 'session.resumed',
    rule: 'P5',
    level: 'must',
    title: 'a new stream of the same instance goes on with its session, and keeps its run',
    play: async (scene) => {
      const agent = await scene.greeted();
      const { token, epoch } = await agent.start(await scene.submit());
      agent.redial();
      const welcome = await agent.greet();
      check(welcome.epoch === epoch, `epoch ${welcome.epoch} after ${epoch}, under a live lease`);
      const verdict = welcome.verdicts.find((one) => one.token === token);
      check(verdict?.kind === VerdictKind.KEEP, `the run is ruled ${verdict?.kind}`);
      return `epoch ${epoch} on both streams, the run kept`;
    },
  },
  {
    id: 'session.in-use',
    rule: 'P5',
    level: 'must',
    title: 'another instance of a live agent is refused as ALREADY_EXISTS, and harms nothing',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const { token } = await agent.start(taskId);
      const other = scene.agent({ agentId: agent.agentId });
      const { reason, status: code, delay } = await other.refused();
      check(reason === HelloRefusal.IN_USE, `it is refused with reason ${reason}`);
      check(code === status.ALREADY_EXISTS, `the call ends with ${status[code]}`);
      const delayMs = millisOf(delay) ?? 0;
      check(delayMs > 0, 'no delay is told');
      await agent.acknowledged();
      check((await scene.task(taskId)).fencingToken === token, 'its run has another token now');
      return `refused, to come again after ${Math.round(delayMs)} ms`;
    },
  },
  {
    id: 'session.old-stream',
    rule: 'P5',
    level: 'must',
    title: 'a Hello with a lower stream_no is refused, and the newer stream goes on',
    play: async (scene) => {
      const agent = scene.agent();
      agent.streamNo = 10n;
      await agent.greet();
      const late = scene.agent({ agentId: agent.agentId, instanceId: agent.instanceId });
      late.streamNo = 3n;
      const { reason, status: code } = await late.refused();
      check(reason === HelloRefusal.OLD_STREAM, `it is refused with reason ${reason}`);
      check(code === status.ABORTED, `the call ends with ${status[code]}`);
      await agent.acknowledged();
      return 'stream 4 refused after 11, which goes on';
    },
  },
  {
    id: 'session.old-stream-says',
    rule: 'P5',
    level: 'must',
    title: 'what an older stream says once a newer one is attached changes nothing',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      await agent.offered(taskId);
      const seq = agent.seq + 1n;
      const old = agent.redial(true);
      await agent.greet();
      const from = old.here();
      const late = scene.agent({ agentId: agent.agentId, instanceId: agent.instanceId });
      late.stream.close();
      late.stream = old;
      late.seq = seq - 1n;
      late.request(taskId, 77n);
      await agent.acknowledged();
      await scene.pass(agent.heartbeatMs / 2);
      const permits = old.all('ack', from).flatMap((ack) => ack.permits);
      check(permits.length === 0, `a start request on the older stream got token ${permits[0]?.token}`);
      check((await scene.task(taskId)).state === TaskState.QUEUED, 'the task was given to the older stream');
      old.close();
      return 'a start request on it got no permit';
    },
  },
  {
    id: 'session.half-closed',
    rule: 'stream 5',
    level: 'must',
    title: 'the end of a stream is no goodbye, and neither is a Goodbye that does not end the session',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const { token, epoch } = await agent.start(taskId);
      for (const leave of ['half-close', 'Goodbye', 'Goodbye that lies'] as const) {
        const endsSession = leave === 'Goodbye that lies';
        if (leave !== 'half-close')
          agent.stream.say({ $case: 'goodbye', value: { endsSession, reason: 'conformance' } });
        agent.stream.halfClose();
        await scene.pass(agent.heartbeatMs / 2);
        const { state, fencingToken } = await scene.task(taskId);
        check(
          state === TaskState.RUNNING && fencingToken === token,
          `after a ${leave} with a run the task is in state ${state}`,
        );
        agent.redial();
        const welcome = await agent.greet();
        check(
          welcome.epoch === epoch,
          `after a ${leave} with a run the epoch is ${welcome.epoch}, not ${epoch}`,
        );
      }
      return `three such ends, still epoch ${epoch} and token ${token}`;
    },
  },
  {
    id: 'session.goodbye',
    rule: 'stream 5',
    level: 'must',
    title:
      'a Goodbye with an empty inventory ends the session at once, with a Farewell; the next has a new epoch',
    play: async (scene) => {
      const agent = await scene.greeted();
      const epoch = agent.welcome?.epoch ?? 0n;
      agent.silence();
      agent.stream.say({ $case: 'goodbye', value: { endsSession: true, reason: 'conformance' } });
      await agent.stream.expect('a Farewell', 'farewell', (value) => value);
      const { code } = await agent.stream.ended();
      check(code === status.OK, `the call ends with ${status[code]}`);
      agent.redial();
      const { epoch: next } = await agent.greet();
      check(next > epoch, `epoch ${next} after ${epoch}`);
      return `Farewell, then epoch ${next} after ${epoch}`;
    },
  },
  {
    id: 'session.lease',
    rule: 'P1, I5',
    level: 'must',
    title:
      'an agent that is silent is failed when its lease has ended and not before, and comes back with a new epoch',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const { epoch } = await agent.start(taskId);
      await agent.acknowledged();
      agent.close();
      // Half an interval before the end: the clock of the lease has begun before ours.
      await scene.pass(agent.leaseMs - agent.heartbeatMs / 2);
      // A run that is held back is running still, and says that it is lost.
      const isLost = async (): Promise<boolean> => {
        const { state, lost } = await scene.task(taskId);
        return state !== TaskState.RUNNING || lost !== undefined;
      };
      check(!(await isLost()), 'its run was lost before the lease had ended');
      const within = agent.heartbeatMs / 2 + FAIL_WITHIN_MS;
      await scene.until(`the run to be lost within ${within} ms of the lease's end`, within, isLost);
      agent.redial();
      const { epoch: next } = await agent.greet();
      check(next > epoch, `epoch ${next} after ${epoch} has failed`);
      return `failed after L = ${agent.leaseMs} ms; epoch ${next} after ${epoch}`;
    },
  },
  {
    id: 'session.bulk',
    rule: 'stream 4',
    level: 'must',
    title: 'task output and progress renew no lease',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const { token } = await agent.start(taskId);
      await agent.acknowledged();
      agent.silence();
      let offset = 0n;
      await scene.until(
        'an agent that sends nothing but output to be failed',
        2 * agent.leaseMs,
        async () => {
          const data = Buffer.from('.');
          const of = { token, taskId, stream: 1, at: undefined } as const;
          agent.stream.say({ $case: 'logChunk', value: { ...of, offset, data } });
          agent.stream.say({ $case: 'progress', value: { token, message: 'on and on', at: undefined } });
          offset++;
          return scene.isFailed(agent);
        },
      );
      return `failed although it sent ${offset} chunks`;
    },
  },
];

/** Tokens of this kit that no coordinator has drawn, and none will soon. */
const UNKNOWN = 1_000_000_000_000n;
