import { ReportKind } from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { durationOf } from '../../../../wire/time.js';
import { type Case, check } from '../../case.js';
import type { Stage } from '../../stage.js';
import type { Stream } from '../../stream.js';
import { checkNeverStarted, kindWords } from '../../words.js';

const UNCORDONED = { cordoned: false, draining: false, drainTimeout: undefined };

export const CORDON: readonly Case[] = [
  {
    id: 'cordon.running-goes-on',
    rule: 'P6',
    level: 'must',
    kinds: ['worker'],
    title: 'a cordoned agent asks for nothing, goes on with what it runs, and is back when the cordon is',
    play: async (stage) => {
      const stream = await stage.session();
      const run = await stage.run(stream, { seconds: 2 });
      stream.push({ directive: { ...UNCORDONED, cordoned: true } });
      await stream.applied();
      await asksNothing(stage, stream);
      const { kind } = await stream.report(run.token);
      check(kind === ReportKind.SUCCESS, `its run is reported as ${kindWords(kind)}`);
      stream.push({ directive: UNCORDONED });
      await stage.run(stream);
      return 'asked for nothing, ended its run, and started again';
    },
  },
  {
    id: 'cordon.welcome',
    rule: 'P6',
    level: 'must',
    kinds: ['worker'],
    title: 'a cordon in the Welcome counts as well',
    play: async (stage) => {
      const stream = await stage.session({ directive: { ...UNCORDONED, cordoned: true } });
      await asksNothing(stage, stream);
      return 'asked for nothing';
    },
  },
  {
    id: 'drain.run-finishes',
    rule: 'P6',
    level: 'must',
    kinds: ['worker'],
    title:
      'an agent that gets SIGTERM lets its run finish, heartbeating to the end, and asks for nothing new',
    play: async (stage) => {
      const stream = await stage.session();
      const run = await stage.run(stream, { seconds: 3 });
      stage.mayEnd();
      stage.agent.signal('SIGTERM');
      await stage.intervals(1);
      await asksNothing(stage, stream);
      const { kind } = await stream.report(run.token);
      check(kind === ReportKind.SUCCESS, `its run is reported as ${kindWords(kind)}`);
      check(stage.stub.find(run.tag, 'term') === undefined, 'its run was told to stop');
      stream.record(run.token);
      await stream.goodbye();
      stream.farewell();
      await stage.agent.ended(stage.patienceMs);
      return 'the run ended by itself; then Goodbye';
    },
  },
  {
    id: 'drain.late-permit',
    rule: 'P6',
    level: 'should',
    kinds: ['worker'],
    title: 'a permit that comes after SIGTERM is answered never started',
    play: async (stage) => {
      const stream = await stage.session();
      const request = await stage.ask(stream);
      stage.mayEnd();
      stage.agent.signal('SIGTERM');
      await stage.intervals(1);
      const late = stage.permitOf(stream, request);
      stream.permit(late.permit);
      checkNeverStarted(await stream.report(late.token));
      stage.stub.mustNotStart(late.tag, 'the agent was draining');
      return 'answered never started';
    },
  },
  {
    id: 'drain.deadline',
    rule: 'P6',
    level: 'must',
    kinds: ['worker'],
    title: 'a drain with a deadline stops what still runs then',
    play: async (stage) => {
      const stream = await stage.session();
      const run = await stage.run(stream, { seconds: 600 });
      stage.mayEnd();
      stream.push({ directive: { cordoned: false, draining: true, drainTimeout: durationOf(700) } });
      const { kind } = await stream.report(run.token);
      check(kind === ReportKind.KILLED, `its run is reported as ${kindWords(kind)}`);
      stream.record(run.token);
      await stream.goodbye();
      return 'stopped at the deadline; then Goodbye';
    },
  },
];

async function asksNothing(stage: Stage, stream: Stream): Promise<void> {
  const from = stream.here();
  const taskId = stage.nextTask();
  stream.offer(taskId);
  await stream.applied();
  await stage.intervals(1.5);
  const asked = stream.find(
    (message) =>
      (message.$case === 'heartbeat' && message.value.startRequests.some((one) => one.taskId === taskId)) ||
      undefined,
    from,
  );
  check(asked === undefined, 'it asked for an offered task');
  stream.push({ withdrawals: [taskId] });
}
