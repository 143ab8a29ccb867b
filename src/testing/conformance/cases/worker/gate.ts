import { PartitionPolicy } from '../../../../wire/gen/holdfast/v1/types.js';
import { durationOf } from '../../../../wire/time.js';
import { type Case, check } from '../../case.js';
import { monoMs } from '../../clock.js';
import type { Run, Stage } from '../../stage.js';
import type { Stream } from '../../stream.js';
import { checkNeverStarted } from '../../words.js';

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
      const from = stream.here();
      stream.offer('behind-the-gate');
      await stage.talk(stream, 2);
      check(!asksForAny(stream, from), 'a start request was sent behind the closed gate');
      stream.acks = 'prompt';
      const run = await stage.run(stream);
      return `nothing asked for while closed; ${run.taskId} started after the next acknowledgement`;
    },
  },
  {
    id: 'gate.from-send',
    rule: 'P2',
    level: 'must',
    kinds: ['worker'],
    title: 'the gate counts from the sending of a heartbeat, not from the receipt of its acknowledgement',
    play: async (stage) => {
      const stream = await stage.session();
      const request = await stage.ask(stream);
      stream.acks = 'withheld';
      const { seq } = await stream.heartbeat();
      const sentAt = monoMs();
      const { gateMs, heartbeatMs } = stage.terms;
      await stage.talk(stream, (0.8 * gateMs) / heartbeatMs);
      stream.acknowledged = seq;
      stream.push({});
      await stage.talk(stream, (sentAt + gateMs - monoMs()) / heartbeatMs + 0.3);
      const run = stage.permitOf(stream, request);
      stream.permit(run.permit);
      checkNeverStarted(await stream.report(run.token));
      stage.stub.mustNotStart(run.tag, 'La had passed since the sending of what was acknowledged last');
      return `an acknowledgement ${(0.8 * gateMs).toFixed(0)} ms late did not hold the gate open beyond ${gateMs} ms`;
    },
  },
  {
    id: 'gate.late-welcome',
    rule: 'P2',
    level: 'must',
    kinds: ['worker'],
    title: 'a Welcome that comes later than La after the Hello opens no gate',
    play: async (stage) => {
      stage.start();
      const stream = await stage.accept(30_000);
      stream.acks = 'withheld';
      const { gateMs, heartbeatMs } = stage.terms;
      await stage.intervals(gateMs / heartbeatMs + 0.3);
      stream.welcome(stage.nextEpoch());
      stream.offer('behind-the-gate');
      await stage.talk(stream, 1);
      check(
        !asksForAny(stream),
        'a start request was sent, La after the Hello that the Welcome acknowledges',
      );
      stream.acks = 'prompt';
      await stage.run(stream);
      return 'nothing asked for until a heartbeat was acknowledged';
    },
  },
  {
    id: 'gate.paused',
    rule: 'P2',
    level: 'must',
    kinds: ['worker'],
    title: 'an agent that was stopped for longer than La starts nothing on a permit from before',
    play: async (stage) => {
      const stream = await stage.session();
      const request = await stage.ask(stream);
      stage.agent.signal('SIGSTOP');
      const run = stage.permitOf(stream, request);
      stream.permit(run.permit);
      await stage.intervals(stage.terms.gateMs / stage.terms.heartbeatMs + 1);
      stage.agent.signal('SIGCONT');
      await stage.intervals(4);
      stage.stub.mustNotStart(run.tag, 'the agent was stopped for longer than La before it read the permit');
      return 'not started after SIGCONT';
    },
  },
  {
    id: 'gate.running-goes-on',
    rule: 'loss',
    level: 'must',
    kinds: ['worker'],
    title: 'with the gate closed a run of policy reassign goes on, and is reported afterwards',
    play: async (stage) => {
      const stream = await stage.session();
      const { gateMs } = stage.terms;
      const run = await stage.run(stream, { seconds: (gateMs * 2) / 1_000 });
      await stage.closeGate(stream);
      await stage.talk(stream, 3);
      await stage.stub.noted(run.tag, 'end', stage.patienceMs);
      check(stage.stub.find(run.tag, 'term') === undefined, 'the run was told to stop');
      stream.acks = 'prompt';
      await stream.report(run.token);
      return 'it ended by itself, and was reported';
    },
  },
  {
    id: 'single-run.gate',
    rule: 'P11',
    level: 'must',
    kinds: ['worker'],
    title: 'a run of policy single_run is over when the gate and its kill grace are',
    play: async (stage) => {
      const stream = await stage.session();
      const run = await guarded(stage, stream);
      if (run === null) return REFUSES;
      await stage.closeGate(stream);
      await stage.talk(stream, (GRACE_MS + SLACK_MS) / stage.terms.heartbeatMs);
      check(
        stage.stub.alive(run.tag).length === 0,
        `the task still runs ${GRACE_MS + SLACK_MS} ms after the end of the gate`,
      );
      stream.acks = 'prompt';
      await stream.report(run.token);
      return 'ended with the gate, and reported';
    },
  },
  {
    id: 'single-run.paused',
    rule: 'P11',
    level: 'must',
    kinds: ['worker'],
    title: 'a run of policy single_run ends with the gate even while its agent is stopped',
    play: async (stage) => {
      const stream = await stage.session();
      const run = await guarded(stage, stream);
      if (run === null) return REFUSES;
      stage.agent.signal('SIGSTOP');
      const { gateMs, heartbeatMs } = stage.terms;
      await stage.intervals((gateMs + GRACE_MS + SLACK_MS) / heartbeatMs);
      const alive = stage.stub.alive(run.tag).length;
      stage.agent.signal('SIGCONT');
      check(alive === 0, `the task still ran ${gateMs + GRACE_MS + SLACK_MS} ms after its agent was stopped`);
      return 'a guardian beside the run ended it';
    },
  },
  {
    id: 'single-run.killed',
    rule: 'P11',
    level: 'must',
    kinds: ['worker'],
    title: 'a run of policy single_run does not outlive its agent by more than the gate',
    play: async (stage) => {
      const stream = await stage.session();
      const run = await guarded(stage, stream);
      if (run === null) return REFUSES;
      await stage.agent.kill();
      const began = monoMs();
      const { gateMs } = stage.terms;
      await stage.stub.gone(run.tag, gateMs + GRACE_MS + SLACK_MS);
      return `gone ${(monoMs() - began).toFixed(0)} ms after kill -9 of the agent`;
    },
  },
];

/** Ignores SIGTERM, so that only a kill ends it. */
const ENDLESS = { mode: 'stubborn' } as const;
const GRACE_MS = 300;
/** Beyond gate and grace: signals, scheduling, and looking. */
const SLACK_MS = 700;
const SINGLE_RUN = { partitionPolicy: PartitionPolicy.SINGLE_RUN, killGrace: durationOf(GRACE_MS) };

const REFUSES = 'it starts no work of this policy at all';

/** A run of policy single_run; null when the agent, without a guardian, does not start such work. */
async function guarded(stage: Stage, stream: Stream): Promise<Run | null> {
  const choice = { ...ENDLESS, permit: SINGLE_RUN };
  const run = stage.permitOf(stream, await stage.ask(stream), choice);
  stream.permit(run.permit);
  return stage.watched.until('the start of a single_run task, or its report', stage.patienceMs, () => {
    if (stage.stub.starts(run.tag) > 0) return run;
    return stream.reports(run.token) > 0 ? null : undefined;
  });
}

const asksForAny = ({ said }: Stream, from = 0): boolean =>
  said
    .slice(from)
    .some(({ message }) => message.$case === 'heartbeat' && message.value.startRequests.length > 0);
