import { status } from '@grpc/grpc-js';
import {
  type Hello,
  HelloRefusal,
  InventoryPhase,
  ReportDisposition,
  ReportKind,
  VerdictKind,
} from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Case, check } from '../../case.js';
import type { Run, Stage } from '../../stage.js';
import type { Stream } from '../../stream.js';
import { commandOf } from '../../stub.js';
import { checkHeld, kindWords, reportIn } from '../../words.js';

const recorded = (token: bigint) => ({ token, disposition: ReportDisposition.RECORDED }) as const;

export const REPORT: readonly Case[] = [
  {
    id: 'report.repeated',
    rule: 'report',
    level: 'must',
    kinds: ['worker'],
    title: 'a report is repeated until it is acknowledged, and not after',
    play: async (stage) => {
      const stream = await stage.session();
      const { token } = await stage.finish(stream);
      await stage.intervals(4);
      const before = stream.reports(token);
      check(before >= 2, `the report came ${before} times in 4 intervals without an acknowledgement`);
      stream.record(token);
      await stream.applied();
      return notAgain(stage, stream, token, `${before} times without an acknowledgement`);
    },
  },
  {
    id: 'report.over-streams',
    rule: 'report',
    level: 'must',
    kinds: ['worker'],
    title: 'a report that was not acknowledged is in the next Hello, and its entry is finished',
    play: async (stage) => {
      const first = await stage.session();
      const { token } = await stage.finish(first);
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      return settledByWelcome(stage, second, first.epoch, token);
    },
  },
  {
    id: 'report.offline',
    rule: 'report',
    level: 'must',
    kinds: ['worker'],
    title: 'a run that ends while there is no stream is reported on the next one',
    play: async (stage) => {
      const first = await stage.session();
      const run = await stage.run(first, { seconds: 1 });
      stage.network.refuse();
      await stage.stub.noted(run.tag, 'end', stage.patienceMs);
      await stage.intervals(1);
      stage.network.heal();
      const second = await stage.accept();
      return settledByWelcome(stage, second, first.epoch, run.token);
    },
  },
  {
    id: 'report.over-restarts',
    rule: 'report',
    level: 'must',
    kinds: ['worker'],
    title: 'a report that was not acknowledged survives kill -9 of the agent',
    play: async (stage) => {
      const first = await stage.session();
      const { token } = await stage.finish(first);
      const second = await stage.restarted();
      return settledByWelcome(stage, second, stage.nextEpoch(), token);
    },
  },
  {
    id: 'report.forgotten',
    rule: 'report',
    level: 'must',
    kinds: ['worker'],
    title: 'what was acknowledged is not reported by the next process',
    play: async (stage) => {
      const first = await stage.session();
      const { token } = await stage.finish(first);
      first.record(token);
      await first.applied();
      await stage.intervals(1);
      const second = await stage.restarted();
      const { inventory, reports } = second.hello as Hello;
      check(inventory.length === 0, `the Hello of the next process holds ${inventory.length} entries`);
      check(reports.length === 0, `the Hello of the next process bears ${reports.length} reports`);
      return 'the next process holds nothing';
    },
  },
  {
    id: 'report.lost',
    rule: 'report',
    level: 'must',
    kinds: ['worker'],
    title: 'a run that died with its agent is reported as lost by the next process, and never started again',
    play: async (stage) => {
      const first = await stage.session();
      const run = await stage.run(first, { seconds: 600 });
      const second = await stage.restarted();
      const shown = second.hello?.inventory.some(({ token }) => token === run.token) === true;
      if (shown) checkHeld(second.hello ?? { inventory: [] }, run, InventoryPhase.LOST);
      second.welcome(stage.nextEpoch());
      const { kind } = await second.report(run.token);
      check(kind === ReportKind.LOST, `it is reported as ${kindWords(kind)}`);
      check(stage.stub.alive(run.tag).length === 0, 'the run lives, and was reported as lost');
      await stage.intervals(2);
      check(stage.stub.starts(run.tag) === 1, 'the next process started the run of the one before');
      return 'lost, and gone';
    },
  },
  {
    id: 'report.refused-hello',
    rule: 'stream 2',
    level: 'must',
    kinds: ['worker'],
    title: 'a Hello that is refused can have its reports acknowledged',
    play: async (stage) => {
      const first = await stage.session();
      const { token } = await stage.finish(first);
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      second.refuse(HelloRefusal.IN_USE, status.ALREADY_EXISTS, 0, [recorded(token)]);
      const third = await stage.accept();
      const isRepeated = third.said.some(({ message }) => reportIn(message, token) !== undefined);
      check(!isRepeated, 'the report was repeated after the refusal that acknowledged it');
      return 'not repeated in the next Hello';
    },
  },
  {
    id: 'report.any-disposition',
    rule: 'I10',
    level: 'must',
    kinds: ['worker'],
    title:
      'a report that is refused as stale, foreign or unknown, or in words of a later version, is forgotten as well',
    play: async (stage) => {
      const stream = await stage.session();
      const { STALE, FOREIGN, UNKNOWN } = ReportDisposition;
      const runs: Run[] = [];
      for (const disposition of [STALE, FOREIGN, UNKNOWN, 99 as ReportDisposition]) {
        const run = await stage.finish(stream);
        runs.push(run);
        stream.push({ acknowledgements: [{ token: run.token, disposition }] });
      }
      await stream.applied();
      for (const { token } of runs) await notAgain(stage, stream, token, '');
      return `${runs.length} dispositions, none repeated`;
    },
  },
  {
    id: 'report.exit-code',
    rule: 'report',
    level: 'must',
    kinds: ['worker'],
    title: 'a task that ends with another exit code than 0 is reported as failed, with it',
    play: async (stage) => {
      const stream = await stage.session();
      const { report } = await stage.finish(stream, { exitCode: 3 });
      check(report.kind === ReportKind.FAILED, `it is reported as ${kindWords(report.kind)}`);
      check(report.exitCode === 3, `exit_code is ${report.exitCode}, and was 3`);
      return 'failed, exit_code 3';
    },
  },
  {
    id: 'report.no-such-program',
    rule: 'report',
    level: 'must',
    kinds: ['worker'],
    title: 'a program that cannot be started is reported as failed, and the agent lives on',
    play: async (stage) => {
      const stream = await stage.session();
      const work = commandOf(['/no/such/program']);
      const run = stage.permitOf(stream, await stage.ask(stream), { permit: { work } });
      stream.permit(run.permit);
      const { kind, reason } = await stream.report(run.token);
      check(kind === ReportKind.FAILED, `it is reported as ${kindWords(kind)}`);
      return `failed, ${reason || 'without a reason'}`;
    },
  },
  {
    id: 'report.unknown-work',
    rule: 'compatibility',
    level: 'must',
    kinds: ['worker'],
    title: 'work of a kind that the agent does not know is reported as failed or never started',
    play: async (stage) => {
      const stream = await stage.session();
      const run = stage.permitOf(stream, await stage.ask(stream), { permit: { work: { work: undefined } } });
      stream.permit(run.permit);
      const { kind } = await stream.report(run.token);
      const { FAILED, NEVER_STARTED } = ReportKind;
      check(kind === FAILED || kind === NEVER_STARTED, `it is reported as ${kindWords(kind)}`);
      return kindWords(kind);
    },
  },
  {
    id: 'report.whole-group',
    rule: 'report',
    level: 'must',
    kinds: ['worker'],
    title: 'a run is reported once its whole process group is gone',
    play: async (stage) => {
      const stream = await stage.session();
      const run = await stage.run(stream, { mode: 'orphan', seconds: 2 });
      await stream.report(run.token);
      check(stage.stub.alive(run.tag).length === 0, 'a process of the group lives, and the run was reported');
      return 'the process that the task left behind was gone before the report';
    },
  },
  {
    id: 'report.result',
    rule: 'report',
    level: 'should',
    kinds: ['worker'],
    title: 'what the task writes to HOLDFAST_RESULT_FILE is in its report',
    play: async (stage) => {
      const stream = await stage.session();
      const { report } = await stage.finish(stream, { mode: 'result', word: 1_000 });
      check(report.result.length === 1_000, `the result has ${report.result.length} bytes of 1000`);
      return '1000 bytes';
    },
  },
];

/** The Hello shows the run as finished with its report; the Welcome records it, and it is said no more. */
async function settledByWelcome(stage: Stage, stream: Stream, epoch: bigint, token: bigint): Promise<string> {
  checkHeld(stream.hello ?? { inventory: [] }, { token }, InventoryPhase.FINISHED);
  const report = stream.hello?.reports.find((one) => one.token === token);
  check(report !== undefined, 'its report is not in the Hello');
  check(report.kind === ReportKind.SUCCESS, `it is reported as ${kindWords(report.kind)}`);
  const verdicts = [{ token, nonce: 0n, kind: VerdictKind.RECORDED, reason: 0 } as const];
  stream.welcome(epoch, { verdicts, acknowledgements: [recorded(token)] });
  await stream.heartbeat({ from: 0 });
  return notAgain(stage, stream, token, 'finished in the Hello, with its report');
}

async function notAgain(stage: Stage, stream: Stream, token: bigint, seen: string): Promise<string> {
  const from = stream.here();
  await stage.intervals(2.5);
  const after = stream.reports(token, from);
  check(after === 0, `the report came ${after} times more after its acknowledgement`);
  const held = stream.mirror.entries.some((entry) => 'token' in entry && entry.token === token);
  check(!held, 'its entry stays in the inventory');
  return `${seen}; not again once acknowledged`;
}
