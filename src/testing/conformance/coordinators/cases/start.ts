import { VerdictKind } from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { TaskState } from '../../../../wire/gen/holdfast/v1/task_service.js';
import { check } from '../../case.js';
import type { CoordinatorCase } from '../case.js';

export const START: readonly CoordinatorCase[] = [
  {
    id: 'start.permit',
    rule: 'handshake',
    level: 'must',
    title:
      'an offered task that is asked for gets a permit of the session, and runs in the eyes of everybody',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const permit = await agent.start(taskId);
      check(
        permit.taskId === taskId && permit.tryNumber === 1,
        `the permit is for ${permit.taskId}, try ${permit.tryNumber}`,
      );
      check(permit.token > 0n, 'the permit has no token');
      check(permit.epoch === agent.welcome?.epoch, `the permit names epoch ${permit.epoch}`);
      check(permit.work?.work?.$case === 'command', 'the permit has no work');
      const task = await scene.task(taskId);
      check(task.state === TaskState.RUNNING, `the task is in state ${task.state} once the permit is out`);
      check(
        task.fencingToken === permit.token && task.agentId === agent.agentId,
        'the task shows another token or agent',
      );
      return `token ${permit.token} in epoch ${permit.epoch}`;
    },
  },
  {
    id: 'start.repeated',
    rule: 'handshake',
    level: 'must',
    title: 'the same start request again gets the same permit, and the task one token',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const first = await agent.start(taskId);
      const from = agent.stream.here();
      agent.say({
        startRequests: [
          { nonce: first.nonce, taskId },
          { nonce: first.nonce, taskId },
        ],
      });
      const { permit } = await agent.answered(first.nonce, from);
      check(
        permit?.token === first.token,
        `nonce ${first.nonce} got token ${first.token}, then ${permit?.token}`,
      );
      check((await scene.task(taskId)).fencingToken === first.token, 'the task has another token now');
      return `token ${first.token} each time`;
    },
  },
  {
    id: 'start.replayed',
    rule: 'P5, P13',
    level: 'must',
    title:
      'a permit that is lost with its stream is told again or ruled on, and never drawn anew for the same request',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      await agent.offered(taskId);
      const nonce = agent.nextNonce();
      agent.takesIn = false;
      agent.request(taskId, nonce);
      await scene.until('the permit to be durable', scene.patienceMs, async () => {
        return (await scene.task(taskId)).state === TaskState.RUNNING;
      });
      const { fencingToken } = await scene.task(taskId);
      agent.redial();
      agent.takesIn = true;
      const { verdicts } = await agent.greet();
      const ruling = verdicts.find((one) => one.nonce === nonce);
      check(ruling !== undefined, 'the start request in the Hello is not ruled on');
      if (ruling.kind === VerdictKind.NEVER_START) return 'ruled never start';
      agent.say({ startRequests: [{ nonce, taskId }] });
      const { permit } = await agent.answered(nonce);
      check(permit?.token === fencingToken, `token ${fencingToken}, then ${permit?.token} for one request`);
      return `kept, and told again with token ${fencingToken}`;
    },
  },
  {
    id: 'start.not-offered',
    rule: 'handshake',
    level: 'must',
    title:
      'a task that was not offered to the agent gets no permit: unknown, of another queue, or of another agent',
    play: async (scene) => {
      const thief = await scene.greeted({ queue: `${scene.name}-other` });
      const owner = await scene.greeted();
      const taskId = await scene.submit();
      await owner.offered(taskId);
      for (const wanted of [taskId, `${scene.name}-no-such-task`]) {
        const { permit } = await thief.ask(wanted);
        check(permit === null, `${wanted}, which was not offered to it, got token ${permit?.token}`);
      }
      const { token } = await owner.start(taskId);
      return `refused; token ${token} went to the one that it was offered to`;
    },
  },
  {
    id: 'start.late',
    rule: 'I3',
    level: 'must',
    title: 'a start request for a task that runs, was cancelled or has ended gets no permit',
    play: async (scene) => {
      const agent = await scene.greeted();
      const [done, gone, busy] = [await scene.submit(), await scene.submit(), await scene.submit()];
      const { token } = await agent.start(done);
      await agent.report(token, { taskId: done });
      await agent.offered(gone);
      await scene.cancel(gone);
      await agent.start(busy);
      for (const taskId of [done, gone, busy]) {
        const { permit } = await agent.ask(taskId);
        check(permit === null, `a late request got token ${permit?.token}`);
      }
      return 'three late requests refused';
    },
  },
  {
    id: 'start.slots',
    rule: 'I4',
    level: 'must',
    title: 'there are never more permits than slots, however much is asked for at once',
    play: async (scene) => {
      const agent = await scene.greeted({ slots: 2 });
      const taskIds = await Promise.all([1, 2, 3, 4].map(() => scene.submit()));
      await scene.watched.until('two offers', scene.patienceMs, () => agent.offers.size >= 2 || undefined);
      const from = agent.stream.here();
      const startRequests = taskIds.map((taskId) => ({ nonce: agent.nextNonce(), taskId }));
      for (const { nonce, taskId } of startRequests) agent.hold(nonce, taskId);
      agent.say({ startRequests, freeSlots: 4 });
      const answers = await Promise.all(startRequests.map(({ nonce }) => agent.answered(nonce, from)));
      const permits = answers.filter(({ permit }) => permit !== null).length;
      check(permits <= 2, `${permits} permits for 2 slots`);
      check(permits > 0, 'no permit at all for 2 free slots');
      return `${permits} permits for 2 slots and 4 requests`;
    },
  },
  {
    id: 'start.tokens',
    rule: 'I1',
    level: 'must',
    title: 'tokens increase from permit to permit, whichever task and agent they are for',
    play: async (scene) => {
      const agents = [
        await scene.greeted({ queue: `${scene.name}-a` }),
        await scene.greeted({ queue: `${scene.name}-b` }),
      ];
      const tokens: bigint[] = [];
      for (let i = 0; i < 6; i++) {
        const agent = agents[i % 2];
        if (agent === undefined) continue;
        const taskId = await scene.submit({ queue: agent.queue });
        const { token } = await agent.start(taskId);
        check(token > (tokens.at(-1) ?? 0n), `token ${token} after ${tokens.at(-1)}`);
        tokens.push(token);
        await agent.report(token, { taskId });
      }
      return tokens.join(' < ');
    },
  },
  {
    id: 'start.cordoned',
    rule: 'P6, I4',
    level: 'must',
    title: 'a cordoned agent gets no permit and is told so, while its heartbeats and reports count',
    play: async (scene) => {
      const agent = await scene.greeted();
      const [runs, waits] = [await scene.submit(), await scene.submit()];
      const { token } = await agent.start(runs);
      await scene.cordon(agent);
      await agent.ack('the cordon', ({ directive }) => (directive?.cordoned === true ? true : undefined));
      const { permit } = await agent.ask(waits);
      check(permit === null, `a cordoned agent got token ${permit?.token}`);
      const { disposition } = await agent.report(token, { taskId: runs });
      check(disposition === 1, `the report of its run is answered with ${disposition}`);
      return 'refused; its run was recorded';
    },
  },
];
