import { ReportKind } from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Case, check } from '../../case.js';

export const HANDSHAKE: readonly Case[] = [
  {
    id: 'handshake.start',
    rule: 'handshake',
    level: 'must',
    kinds: ['worker'],
    title: 'an offered task is asked for, started on its permit and reported',
    play: async (stage) => {
      const stream = await stage.session();
      const { token, tag, taskId, report } = await stage.finish(stream);
      check(
        report.kind === ReportKind.SUCCESS,
        `the report of a task that ended well is of kind ${report.kind}`,
      );
      check(report.taskId === taskId, `the report names task ${report.taskId}, not ${taskId}`);
      check(stage.stub.starts(tag) === 1, `the task was started ${stage.stub.starts(tag)} times`);
      stream.record(token);
      await stream.applied();
      return `asked, started once, reported as success`;
    },
  },
  {
    id: 'handshake.no-permit',
    rule: 'P3',
    level: 'must',
    kinds: ['worker'],
    title: 'without a permit nothing starts, and the same question is asked again',
    play: async (stage) => {
      const stream = await stage.session();
      const first = await stage.ask(stream);
      const again = await stream.asked(first.taskId, { from: stream.here() });
      check(again.nonce === first.nonce, `the same request bears nonce ${first.nonce}, then ${again.nonce}`);
      await stage.intervals(2);
      check(stage.stub.notes.length === 0, 'the task was started without a permit');
      return `nonce ${first.nonce} repeated, nothing started`;
    },
  },
];
