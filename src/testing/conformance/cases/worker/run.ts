import { status } from '@grpc/grpc-js';
import {
  InventoryPhase,
  ReportKind,
  StopReason,
  type Verdict,
  VerdictKind,
} from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { durationOf } from '../../../../wire/time.js';
import { type Case, check } from '../../case.js';
import type { Run, Stage } from '../../stage.js';
import type { Stream } from '../../stream.js';
import { checkHeld, kindWords, phaseWords } from '../../words.js';

/** Throws when a process that is none of the agent's is gone. */
function spared(stage: Stage, tag: string, because: string): void {
  const said = `a process of another agent with the same token was ended when ${because}`;
  check(stage.stub.alive(tag).length === 1, said);
}

const verdict = (token: bigint, kind: VerdictKind, reason: StopReason = 0): Verdict => ({
  nonce: 0n,
  token,
  kind,
  reason,
});

export const RUN: readonly Case[] = [
  {
    id: 'run.token',
    rule: 'words',
    level: 'must',
    kinds: ['worker'],
    title: 'the task is told its token, all 64 bits of it, in HOLDFAST_FENCING_TOKEN, and so is the report',
    play: async (stage) => {
      const stream = await stage.session();
      // Neither the number nor its neighbours survive as a floating point number.
      const token = 2n ** 63n - 25n;
      const run = await stage.run(stream, { permit: { token } });
      const told = stage.stub.find(run.tag, 'start')?.token ?? '';
      check(told === String(token), `the task of token ${token} was told ${told === '' ? 'nothing' : told}`);
      await stream.report(token);
      return `told and reported as ${token}`;
    },
  },
  {
    id: 'run.variables',
    rule: 'words',
    level: 'should',
    kinds: ['worker'],
    title: 'the task is told HOLDFAST_TASK_ID and HOLDFAST_AGENT_ID',
    play: async (stage) => {
      const stream = await stage.session();
      const run = await stage.run(stream);
      const note = stage.stub.find(run.tag, 'start');
      check(
        note?.word === run.taskId,
        `HOLDFAST_TASK_ID is ${JSON.stringify(note?.word)}, not ${run.taskId}`,
      );
      check(
        note.agent === stage.agentId,
        `HOLDFAST_AGENT_ID is ${JSON.stringify(note.agent)}, not ${stage.agentId}`,
      );
      return `told ${note.word} and ${note.agent}`;
    },
  },
  {
    id: 'run.bystander',
    rule: 'words',
    level: 'must',
    kinds: ['worker'],
    title:
      'a process of another agent on the machine, which has the same token from another coordinator, is left alone',
    play: async (stage) => {
      const first = await stage.session();
      const ended = await stage.run(first, { seconds: 0.5 });
      const one = stage.stub.bystander(ended.token);
      await first.report(ended.token);
      spared(stage, one, 'the run had ended');
      first.record(ended.token);
      await first.applied();
      const left = await stage.run(first, { seconds: 600 });
      const other = stage.stub.bystander(left.token);
      const second = await stage.restarted();
      second.welcome(stage.nextEpoch());
      await second.report(left.token);
      spared(stage, other, 'the next process ended what was left of the run');
      return 'alive after the end of the run, and after the death of the agent';
    },
  },
  {
    id: 'run.kept',
    rule: 'P10',
    level: 'must',
    kinds: ['worker'],
    title: 'a run goes on while the stream is lost, is shown as running, and is reported on the next one',
    play: (stage) => keptOver(stage, (before) => before.epoch),
  },
  {
    id: 'run.adopted',
    rule: 'P10',
    level: 'must',
    kinds: ['worker'],
    title: 'a run that the new session of a failed agent keeps goes on',
    play: (stage) => keptOver(stage, () => stage.nextEpoch()),
  },
  {
    id: 'run.superseded',
    rule: 'P10',
    level: 'must',
    kinds: ['worker'],
    title: 'a run that has lost its token is stopped by the Welcome, and reported as killed',
    play: async (stage) => {
      const first = await stage.session();
      const run = await stage.run(first, { seconds: 600 });
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      const verdicts = [verdict(run.token, VerdictKind.STOP, StopReason.SUPERSEDED)];
      second.welcome(stage.nextEpoch(), { verdicts });
      return stopped(stage, second, run);
    },
  },
  {
    id: 'run.unknown-verdict',
    rule: 'compatibility',
    level: 'must',
    kinds: ['worker'],
    title: 'a verdict of a later version keeps a run, and forbids a request',
    play: async (stage) => {
      const first = await stage.session();
      const run = await stage.run(first, { seconds: 1 });
      const request = await stage.ask(first);
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      const kind = 99 as VerdictKind;
      const verdicts = [verdict(run.token, kind), { ...verdict(0n, kind), nonce: request.nonce }];
      second.welcome(first.epoch, { verdicts });
      await second.heartbeat({ from: 0 });
      const forbidden = stage.permitOf(second, request);
      second.permit(forbidden.permit);
      const { kind: how } = await second.report(run.token);
      check(how === ReportKind.SUCCESS, `the run is reported as ${kindWords(how)}`);
      stage.stub.mustNotStart(forbidden.tag, 'its request got a verdict that nobody knows');
      return 'the run ended by itself, the request was dropped';
    },
  },
  {
    id: 'stop.superseded',
    rule: 'P10',
    level: 'must',
    kinds: ['worker'],
    title: 'a run that is told to stop on the stream is stopped, shown as stopping, and reported as killed',
    play: async (stage) => {
      const stream = await stage.session();
      const run = await stage.run(stream, { seconds: 600 });
      stream.push({ stops: [{ token: run.token, reason: StopReason.SUPERSEDED }] });
      return stopped(stage, stream, run);
    },
  },
  {
    id: 'stop.cancelled',
    rule: 'P15',
    level: 'must',
    kinds: ['worker'],
    title: 'a run that is cancelled is stopped, and reported as killed',
    play: async (stage) => {
      const stream = await stage.session();
      const run = await stage.run(stream, { seconds: 600 });
      stream.push({ cancellations: [{ token: run.token, reason: StopReason.CANCELLED }] });
      return stopped(stage, stream, run);
    },
  },
  {
    id: 'stop.unknown-reason',
    rule: 'compatibility',
    level: 'must',
    kinds: ['worker'],
    title: 'a stop for a reason of a later version is a stop',
    play: async (stage) => {
      const stream = await stage.session();
      const run = await stage.run(stream, { seconds: 600 });
      stream.push({ stops: [{ token: run.token, reason: 99 as StopReason }] });
      return stopped(stage, stream, run);
    },
  },
  {
    id: 'stop.not-held',
    rule: 'P15',
    level: 'must',
    kinds: ['worker'],
    title: 'a stop of a run that the agent does not hold changes nothing',
    play: async (stage) => {
      const stream = await stage.session();
      const stop = { token: 4_711n, reason: StopReason.SUPERSEDED };
      stream.push({ stops: [stop], cancellations: [stop] });
      await stream.applied();
      const run = await stage.run(stream);
      await stream.report(run.token);
      check(stream.reports(stop.token) === 0, 'a token that it never held was reported');
      return 'the agent goes on';
    },
  },
  {
    id: 'stop.stubborn',
    rule: 'P10',
    level: 'must',
    kinds: ['worker'],
    title: 'a run that ignores SIGTERM is killed after its grace, and not before',
    play: async (stage) => {
      const stream = await stage.session();
      const permit = { killGrace: durationOf(GRACE_MS) };
      const run = await stage.run(stream, { mode: 'stubborn', permit });
      stream.push({ stops: [{ token: run.token, reason: StopReason.SUPERSEDED }] });
      await stage.stub.noted(run.tag, 'term', stage.patienceMs);
      await stage.intervals((0.5 * GRACE_MS) / stage.terms.heartbeatMs);
      check(stage.stub.alive(run.tag).length > 0, `it was killed less than ${GRACE_MS / 2} ms after SIGTERM`);
      check(stream.reports(run.token) === 0, 'it was reported while it still ran');
      const { kind } = await stream.report(run.token);
      check(kind === ReportKind.KILLED, `it is reported as ${kindWords(kind)}`);
      check(stage.stub.alive(run.tag).length === 0, 'it lives after its report');
      return 'SIGTERM, grace, SIGKILL, report';
    },
  },
  {
    id: 'stop.execution-timeout',
    rule: 'P15',
    level: 'must',
    kinds: ['worker'],
    title: 'a run that exceeds its execution timeout is stopped, and reported as failed',
    play: async (stage) => {
      const stream = await stage.session();
      const permit = { executionTimeout: durationOf(500) };
      const run = await stage.run(stream, { seconds: 600, permit });
      const { kind, reason } = await stream.report(run.token);
      check(kind === ReportKind.FAILED, `it is reported as ${kindWords(kind)}`);
      check(stage.stub.alive(run.tag).length === 0, 'it was reported while it still ran');
      return `failed, ${reason}`;
    },
  },
];

const GRACE_MS = 1_000;

async function keptOver(stage: Stage, epochAfter: (before: Stream) => bigint): Promise<string> {
  const first = await stage.session();
  const run = await stage.run(first, { seconds: 2 });
  first.reset(status.UNAVAILABLE);
  const second = await stage.accept();
  checkHeld(second.hello ?? { inventory: [] }, run, InventoryPhase.RUNNING);
  second.welcome(epochAfter(first), { verdicts: [verdict(run.token, VerdictKind.KEEP)] });
  const { kind } = await second.report(run.token);
  check(kind === ReportKind.SUCCESS, `it is reported as ${kindWords(kind)}`);
  check(stage.stub.starts(run.tag) === 1, `the task was started ${stage.stub.starts(run.tag)} times`);
  await stage.stub.noted(run.tag, 'end', stage.patienceMs);
  return 'shown as running, ended by itself, reported as success';
}

async function stopped(stage: Stage, stream: Stream, run: Run): Promise<string> {
  await stage.stub.noted(run.tag, 'term', stage.patienceMs);
  const { kind } = await stream.report(run.token);
  check(kind === ReportKind.KILLED, `it is reported as ${kindWords(kind)}`);
  check(stage.stub.alive(run.tag).length === 0, 'it was reported while it still ran');
  const phases = stream.said.flatMap(({ message }) => {
    const entries = message.$case === 'heartbeat' ? message.value.inventoryChanges : [];
    return entries.filter(({ token }) => token === run.token).map(({ phase }) => phase);
  });
  const odd = phases.find((phase) => phase !== InventoryPhase.STOPPING);
  check(odd === undefined, `a run that was told to stop is shown as ${phaseWords(odd ?? 0)}`);
  return 'SIGTERM, then reported as killed';
}
