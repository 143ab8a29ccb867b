import { status } from '@grpc/grpc-js';
import {
  type InventoryEntry,
  InventoryPhase,
  VerdictKind,
} from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Case, check } from '../../case.js';
import type { Stream } from '../../stream.js';
import { checkHeld, checkNeverStarted } from '../../words.js';

const neverStart = (nonce: bigint) =>
  ({ nonce, token: 0n, kind: VerdictKind.NEVER_START, reason: 0 }) as const;
const keep = (token: bigint) => ({ nonce: 0n, token, kind: VerdictKind.KEEP, reason: 0 }) as const;

export const PERMIT: readonly Case[] = [
  {
    id: 'permit.lost',
    rule: 'P13',
    level: 'must',
    kinds: ['worker'],
    title: 'a permit that is lost with its stream is never started, however late it comes',
    play: async (stage) => {
      const first = await stage.session();
      const request = await stage.ask(first);
      const run = stage.permitOf(first, request);
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      checkHeld(second.hello ?? { inventory: [] }, request, InventoryPhase.ASKED);
      second.welcome(first.epoch, { verdicts: [neverStart(request.nonce)] });
      await second.heartbeat({ from: 0 });
      second.permit(run.permit);
      checkNeverStarted(await second.report(run.token));
      await stage.intervals(1);
      stage.stub.mustNotStart(run.tag, 'its request was ruled NEVER_START');
      return 'shown as asked, dropped by the verdict, the late permit answered never started';
    },
  },
  {
    id: 'permit.kept',
    rule: 'P5',
    level: 'must',
    kinds: ['worker'],
    title: 'a request that the Welcome keeps stays open, and its permit is started on the new stream',
    play: async (stage) => {
      const first = await stage.session();
      const request = await stage.ask(first);
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      const verdicts = [{ ...neverStart(request.nonce), kind: VerdictKind.KEEP }];
      second.welcome(first.epoch, { verdicts });
      const run = stage.permitOf(second, request);
      second.permit(run.permit);
      await stage.stub.noted(run.tag, 'start', stage.patienceMs);
      return 'started on the second stream';
    },
  },
  {
    id: 'permit.gate-closed',
    rule: 'P3',
    level: 'must',
    kinds: ['worker'],
    title: 'a permit that finds the gate closed is answered never started, and never started',
    play: async (stage) => {
      const stream = await stage.session();
      const request = await stage.ask(stream);
      await stage.closeGate(stream);
      const run = stage.permitOf(stream, request);
      stream.permit(run.permit);
      checkNeverStarted(await stream.report(run.token));
      stream.acks = 'prompt';
      stream.push({});
      await stage.intervals(2);
      stage.stub.mustNotStart(run.tag, 'its permit found the gate closed');
      return 'answered never started; not started when the gate was open again';
    },
  },
  {
    id: 'permit.other-session',
    rule: 'P10',
    level: 'must',
    kinds: ['worker'],
    title: 'a permit of another session is answered never started, and never started',
    play: async (stage) => {
      stage.nextEpoch();
      const stream = await stage.session();
      const request = await stage.ask(stream);
      const run = stage.permitOf(stream, request, { permit: { epoch: stream.epoch - 1n } });
      stream.permit(run.permit);
      checkNeverStarted(await stream.report(run.token));
      await stage.intervals(1);
      stage.stub.mustNotStart(
        run.tag,
        `its permit is of epoch ${stream.epoch - 1n}, the session's is ${stream.epoch}`,
      );
      return 'answered never started';
    },
  },
  {
    id: 'permit.not-asked',
    rule: 'handshake',
    level: 'must',
    kinds: ['worker'],
    title: 'a permit that nobody has asked for is answered never started, and never started',
    play: async (stage) => {
      const stream = await stage.session();
      const run = stage.permitOf(stream, { nonce: 4_711n, taskId: stage.nextTask() });
      stream.permit(run.permit);
      checkNeverStarted(await stream.report(run.token));
      await stage.intervals(1);
      stage.stub.mustNotStart(run.tag, 'nobody has asked for it');
      return 'answered never started';
    },
  },
  {
    id: 'permit.repeated',
    rule: 'handshake',
    level: 'must',
    kinds: ['worker'],
    title: 'a permit that is told again starts nothing again: at once, on the next stream, after the end',
    play: async (stage) => {
      const first = await stage.session();
      const run = await stage.run(first, { seconds: 2 });
      first.permit(run.permit, run.permit);
      await first.applied();
      first.reset(status.UNAVAILABLE);
      const second = await stage.resumed(first, { verdicts: [keep(run.token)] });
      second.permit(run.permit);
      await second.report(run.token);
      second.permit(run.permit);
      await second.applied();
      second.record(run.token);
      await second.applied();
      second.permit(run.permit);
      await second.applied();
      await stage.intervals(2);
      const starts = stage.stub.starts(run.tag);
      check(starts === 1, `one permit, told six times, was started ${starts} times`);
      return 'told six times, started once';
    },
  },
  {
    id: 'permit.older-stream',
    rule: 'P5',
    level: 'must',
    kinds: ['worker'],
    title: 'a permit that an older stream brings late is not started',
    play: async (stage) => {
      const first = await stage.session();
      const request = await stage.ask(first);
      stage.network.hold('down');
      const run = stage.permitOf(first, request);
      first.permit(run.permit);
      const second = await stage.accept();
      second.welcome(first.epoch, { verdicts: [{ ...neverStart(request.nonce), kind: VerdictKind.KEEP }] });
      await second.heartbeat({ from: 0 });
      stage.network.heal();
      await stage.intervals(3);
      stage.stub.mustNotStart(run.tag, 'its permit came on an older stream');
      check(second.end === null, 'the newer stream was given up');
      return 'not started when the older connection came back to life';
    },
  },
  {
    id: 'permit.void-token',
    rule: 'P13',
    level: 'must',
    kinds: ['worker'],
    title:
      'a void token that the agent does not hold is answered never started, and its permit is void from then on',
    play: async (stage) => {
      const stream = await stage.session();
      const request = await stage.ask(stream);
      const run = stage.permitOf(stream, request);
      stream.push({ voidTokens: [run.token] });
      checkNeverStarted(await stream.report(run.token));
      // Once it is acknowledged, nothing in the inventory speaks against the permit any more.
      stream.record(run.token);
      await stream.applied();
      stream.permit(run.permit);
      await stream.applied();
      await stage.intervals(2);
      stage.stub.mustNotStart(run.tag, 'it had been answered never started');
      return 'answered never started; the late permit started nothing';
    },
  },
  {
    id: 'permit.void-held',
    rule: 'P13',
    level: 'must',
    kinds: ['worker'],
    title: 'a void token that the agent holds is shown as held, and runs on',
    play: async (stage) => {
      const stream = await stage.session();
      const run = await stage.run(stream, { seconds: 600 });
      const from = stream.here();
      stream.push({ voidTokens: [run.token] });
      const shown = await stream.expect(
        `token ${run.token} in an inventory`,
        (message) => entryIn(message, run.token),
        { from },
      );
      checkHeld({ inventory: [shown] }, run, InventoryPhase.RUNNING);
      check(stage.stub.find(run.tag, 'term') === undefined, 'the run was stopped');
      return 'shown as running';
    },
  },
  {
    id: 'permit.parts',
    rule: 'stream 3',
    level: 'must',
    kinds: ['worker'],
    title: 'an acknowledgement in several parts is applied as one, when its last part is in',
    play: async (stage) => {
      const stream = await stage.session();
      const requests = [await stage.ask(stream), await stage.ask(stream)];
      const [one, two] = requests.map((request) => stage.permitOf(stream, request));
      if (one === undefined || two === undefined) throw new Error('two requests make two permits');
      // Nothing else may come between the parts.
      stream.acks = 'withheld';
      const from = stream.here();
      const number = stream.push({ permits: [one.permit], more: true });
      await stage.intervals(0.5);
      const early = stream.find(
        (message) => message.$case === 'heartbeat' && message.value.applied >= number,
        from,
      );
      check(early !== true, 'a part was named as applied before the last one was sent');
      stage.stub.mustNotStart(one.tag, 'the message that its permit is in was not complete');
      stream.push({ number, permits: [two.permit] });
      stream.acks = 'prompt';
      stream.push({});
      for (const { tag } of [one, two]) await stage.stub.noted(tag, 'start', stage.patienceMs);
      return 'both permits were started, once the second part was in';
    },
  },
];

/** What a heartbeat shows of a token: in a full inventory, or as a change. */
function entryIn(message: Stream['said'][number]['message'], token: bigint): InventoryEntry | undefined {
  if (message.$case !== 'heartbeat') return undefined;
  const { fullInventory, inventoryChanges } = message.value;
  return [...(fullInventory?.entries ?? []), ...inventoryChanges].find((entry) => entry.token === token);
}
