import {
  ReportDisposition,
  ReportKind,
  StopReason,
  VerdictKind,
} from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Task, TaskState } from '../../../../wire/gen/holdfast/v1/task_service.js';
import { check } from '../../case.js';
import type { CoordinatorCase } from '../case.js';
import { reportOf, runEntry } from '../fake-agent.js';
import type { Scene } from '../scene.js';

const { RECORDED, ALREADY_RECORDED } = ReportDisposition;

function checkUntouched(task: Task, token: bigint, by: string): void {
  check(
    task.state === TaskState.RUNNING && task.fencingToken === token,
    `after ${by} the task is in state ${task.state} with token ${task.fencingToken}`,
  );
}

/** A run whose agent was failed, and which nobody has taken over. */
async function lostRun(scene: Scene) {
  const agent = await scene.greeted();
  const taskId = await scene.submit();
  const { token } = await agent.start(taskId);
  await agent.acknowledged();
  agent.close();
  await scene.until('the agent to be failed', 2 * agent.leaseMs + scene.patienceMs, () =>
    scene.isFailed(agent),
  );
  return { agent, taskId, token };
}

export const REPORT: readonly CoordinatorCase[] = [
  {
    id: 'report.recorded',
    rule: 'P10, I2',
    level: 'must',
    title:
      'a report under an open token is the outcome, recorded once; again, or otherwise, it changes nothing',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const { token } = await agent.start(taskId);
      const result = Buffer.from('{"answer":42}');
      const first = await agent.report(token, { taskId, result, resultType: 'application/json' });
      check(first.disposition === RECORDED, `the report is answered with ${first.disposition}`);
      const task = await scene.task(taskId);
      check(
        task.state === TaskState.SUCCESS && task.result.equals(result),
        'the acknowledged result is not to be seen',
      );
      const again = await agent.report(token, { taskId, result });
      check(
        again.disposition === ALREADY_RECORDED,
        `the same report again is answered with ${again.disposition}`,
      );
      const other = await agent.report(token, { taskId, kind: ReportKind.FAILED, reason: 'second_thoughts' });
      check(other.disposition !== RECORDED, 'a second, different outcome was recorded');
      check((await scene.task(taskId)).state === TaskState.SUCCESS, 'the outcome has changed');
      return 'recorded; then already recorded, twice';
    },
  },
  {
    id: 'report.foreign',
    rule: 'P10',
    level: 'must',
    title: "a report for another agent's run is refused, and its task untouched",
    play: async (scene) => {
      const owner = await scene.greeted();
      const taskId = await scene.submit();
      const { token } = await owner.start(taskId);
      const thief = await scene.greeted({ queue: `${scene.name}-other` });
      const { disposition } = await thief.report(token, { taskId });
      check(
        disposition !== RECORDED && disposition !== ALREADY_RECORDED,
        `it is answered with ${disposition}`,
      );
      checkUntouched(await scene.task(taskId), token, 'a report of another agent');
      const own = await owner.report(token, { taskId });
      check(own.disposition === RECORDED, `then the owner's report is answered with ${own.disposition}`);
      return `answered with ${disposition}; the owner's was recorded`;
    },
  },
  {
    id: 'report.wrong-token',
    rule: 'I10',
    level: 'must',
    title: 'a report under a token that was never drawn changes nothing, whatever task it names',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const { token } = await agent.start(taskId);
      const { disposition } = await agent.report(token + 1_000_000_000n, { taskId });
      check(
        disposition !== RECORDED && disposition !== ALREADY_RECORDED,
        `it is answered with ${disposition}`,
      );
      checkUntouched(await scene.task(taskId), token, 'a report under a token that nobody drew');
      return `answered with ${disposition}`;
    },
  },
  {
    id: 'report.never-started',
    rule: 'P13, I10',
    level: 'must',
    title: 'a permit that was never started gives its task back, and its token is closed for good',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const { token } = await agent.start(taskId);
      agent.offers.clear();
      const never = await agent.report(token, { taskId, kind: ReportKind.NEVER_STARTED });
      check(never.disposition === RECORDED, `never started is answered with ${never.disposition}`);
      const again = await agent.start(taskId);
      check(again.token > token, `token ${again.token} after ${token}`);
      check(again.tryNumber === 1, `try ${again.tryNumber}: a start that never was counts for nothing`);
      const late = await agent.report(token, { taskId });
      check(late.disposition !== RECORDED, 'a success under the closed token was recorded');
      checkUntouched(await scene.task(taskId), again.token, 'a report under the closed token');
      return `token ${again.token} after ${token}, which counts no more`;
    },
  },
  {
    id: 'report.refused-hello',
    rule: 'stream 2',
    level: 'must',
    title: 'the finished reports of a Hello that is refused are judged and acknowledged all the same',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const { token } = await agent.start(taskId);
      const other = scene.agent({ agentId: agent.agentId });
      const { acknowledgements } = await other.refused({
        inventory: [runEntry(token, 'finished')],
        reports: [reportOf(token, { taskId })],
      });
      const answer = acknowledgements.find((one) => one.token === token);
      check(answer !== undefined, 'the Refused acknowledges no report');
      check(answer.disposition === RECORDED, `the report is answered with ${answer.disposition}`);
      check((await scene.task(taskId)).state === TaskState.SUCCESS, 'the recorded result is not to be seen');
      return 'refused, and its result recorded';
    },
  },
  {
    id: 'report.cancelled',
    rule: 'P15',
    level: 'must',
    title:
      'the cancel of a run is a request: told to the agent, final when it reports; a finish that comes first wins',
    play: async (scene) => {
      const agent = await scene.greeted();
      const [stops, wins] = [await scene.submit(), await scene.submit()];
      const first = await agent.start(stops);
      const second = await agent.start(wins);
      for (const { token, taskId } of [first, second]) {
        await scene.cancel(taskId);
        await agent.ack(`the cancellation of ${taskId}`, ({ cancellations }) =>
          cancellations.find((one) => one.token === token),
        );
        checkUntouched(await scene.task(taskId), token, 'a cancel that the agent has not answered');
      }
      await agent.report(first.token, { taskId: stops, kind: ReportKind.KILLED, reason: 'cancelled' });
      check((await scene.task(stops)).state === TaskState.CANCELLED, 'the killed run is not cancelled');
      await agent.report(second.token, { taskId: wins });
      check(
        (await scene.task(wins)).state === TaskState.SUCCESS,
        'the run that finished first has not succeeded',
      );
      return 'one killed and cancelled, one finished first';
    },
  },
  {
    id: 'report.adopted',
    rule: 'P10',
    level: 'must',
    title:
      'a run that outlives its lease is kept when its agent returns, as long as nobody else has the task',
    play: async (scene) => {
      const { agent, taskId, token } = await lostRun(scene);
      agent.redial();
      const { verdicts } = await agent.greet();
      const verdict = verdicts.find((one) => one.token === token);
      check(verdict?.kind === VerdictKind.KEEP, `the run is ruled ${verdict?.kind}`);
      checkUntouched(await scene.task(taskId), token, 'the return of its agent');
      const { disposition } = await agent.report(token, { taskId });
      check(disposition === RECORDED, `its report is answered with ${disposition}`);
      return `token ${token} kept over the loss, its result recorded`;
    },
  },
  {
    id: 'report.superseded',
    rule: 'P10, I10',
    level: 'must',
    title:
      'a run that was lost and given to another agent is stopped when its agent returns, and what it reports is kept apart',
    play: async (scene) => {
      const { agent, taskId, token } = await lostRun(scene);
      // Where many agents were lost at once, their work may be held back for another lease (P8).
      await scene.until('the lost run to be queued again', 2 * agent.leaseMs + scene.patienceMs, async () => {
        return (await scene.task(taskId)).state === TaskState.QUEUED;
      });
      const other = await scene.greeted();
      const next = await other.start(taskId);
      check(next.token > token, `token ${next.token} after ${token}`);
      agent.redial();
      const { verdicts } = await agent.greet();
      const verdict = verdicts.find((one) => one.token === token);
      check(
        verdict?.kind === VerdictKind.STOP && verdict.reason === StopReason.SUPERSEDED,
        `the older run is ruled ${verdict?.kind} for reason ${verdict?.reason}`,
      );
      const { disposition } = await agent.report(token, { taskId });
      check(
        disposition !== RECORDED && disposition !== ALREADY_RECORDED,
        `its success is answered with ${disposition}`,
      );
      checkUntouched(await scene.task(taskId), next.token, 'the late report of the older run');
      const own = await other.report(next.token, { taskId });
      check(own.disposition === RECORDED, `the newer run's report is answered with ${own.disposition}`);
      return `token ${token} superseded by ${next.token}, which alone counts`;
    },
  },
];
