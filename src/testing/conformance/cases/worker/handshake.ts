import { status } from '@grpc/grpc-js';
import {
  type Hello,
  RefusalReason,
  ReportKind,
  type StartRequest,
  VerdictKind,
} from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Case, check } from '../../case.js';
import { monoMs } from '../../clock.js';
import type { Stage } from '../../stage.js';
import type { Stream } from '../../stream.js';
import { kindWords } from '../../words.js';

export const HANDSHAKE: readonly Case[] = [
  {
    id: 'handshake.start',
    rule: 'handshake',
    level: 'must',
    kinds: ['worker'],
    title: 'an offered task is asked for, started once on its permit, and reported',
    play: async (stage) => {
      const stream = await stage.session();
      const { token, tag, taskId, report } = await stage.finish(stream);
      check(
        report.kind === ReportKind.SUCCESS,
        `a task that ended well is reported as ${kindWords(report.kind)}`,
      );
      check(report.taskId === taskId, `the report names task ${report.taskId}, not ${taskId}`);
      check(stage.stub.starts(tag) === 1, `the task was started ${stage.stub.starts(tag)} times`);
      stream.record(token);
      await stream.applied();
      return 'asked for, started once, reported as success';
    },
  },
  {
    id: 'handshake.no-permit',
    rule: 'P3',
    level: 'must',
    kinds: ['worker'],
    title: 'without a permit nothing starts',
    play: async (stage) => {
      const stream = await stage.session();
      const { nonce } = await stage.ask(stream);
      check(nonce > 0n, `the nonce of the start request is ${nonce}`);
      await stage.intervals(3);
      check(stage.stub.notes.length === 0, 'the task was started without a permit');
      return 'asked for, and not started in 3 intervals';
    },
  },
  {
    id: 'handshake.asks-again',
    rule: 'handshake',
    level: 'should',
    kinds: ['worker'],
    title: 'a start request without an answer is repeated, with the same nonce',
    play: async (stage) => {
      const stream = await stage.session();
      const first = await stage.ask(stream);
      const again = await stream.asked(first.taskId, { from: stream.here() });
      check(again.nonce === first.nonce, `the same request bears nonce ${first.nonce}, then ${again.nonce}`);
      return `nonce ${first.nonce} came again`;
    },
  },
  {
    id: 'handshake.at-once',
    rule: 'stream 3',
    level: 'should',
    kinds: ['worker'],
    title: 'a start request goes out at once, not on the tick',
    play: async (stage) => {
      const stream = await stage.session();
      const times: number[] = [];
      for (let i = 0; i < 3; i++) {
        // Right behind a tick: the next one is an interval away.
        await stream.heartbeat();
        const began = monoMs();
        await stage.ask(stream);
        times.push(monoMs() - began);
      }
      const least = Math.min(...times);
      check(
        least < stage.terms.heartbeatMs / 2,
        `${least.toFixed(0)} ms from offer to start request, at best of three`,
      );
      return `${least.toFixed(0)} ms from offer to start request`;
    },
  },
  {
    id: 'handshake.delayed-permit',
    rule: 'handshake',
    level: 'must',
    kinds: ['worker'],
    title: 'a permit that is late, behind an open gate, is started all the same',
    play: async (stage) => {
      const stream = await stage.session();
      const request = await stage.ask(stream);
      await stage.intervals(5);
      const run = stage.permitOf(stream, request);
      stream.permit(run.permit);
      await stage.stub.noted(run.tag, 'start', stage.patienceMs);
      return 'started 5 intervals after it was asked for';
    },
  },
  {
    id: 'handshake.refused',
    rule: 'handshake',
    level: 'must',
    kinds: ['worker'],
    title: 'a refusal ends a start request, and gives its slot back',
    play: async (stage) => {
      const stream = await stage.session();
      const requests = await fillSlots(stage, stream);
      const refused = requests[0] as StartRequest;
      const from = stream.here();
      stream.push({
        refusals: [{ nonce: refused.nonce, reason: 99 as RefusalReason }],
        offers: [{ taskId: 'next', queue: stream.queue }],
      });
      const next = await stream.asked('next', { from });
      check(next.nonce !== refused.nonce, `two requests bear nonce ${next.nonce}`);
      // Its own heartbeat may have crossed the refusal.
      await stream.applied();
      const later = stream.here();
      await stage.intervals(3);
      const isRepeated = stream.find((message) => asks(message, refused.nonce), later) !== undefined;
      check(!isRepeated, 'the refused request is repeated');
      return `nonce ${refused.nonce} refused for a reason of a later version, its slot asked for again`;
    },
  },
  {
    id: 'handshake.slots',
    rule: 'I4',
    level: 'must',
    kinds: ['worker'],
    title: 'no more tasks are asked for than there are free slots',
    play: async (stage) => {
      const stream = await stage.session();
      await fillSlots(stage, stream);
      stream.offer('one-more');
      await stage.intervals(2);
      const { slots } = stream.hello as Hello;
      const nonces = noncesOf(stream);
      check(nonces.size <= slots, `${nonces.size} start requests at ${slots} slots`);
      const beat = await stream.heartbeat();
      check(beat.freeSlots === 0, `free_slots is ${beat.freeSlots} while every slot is asked for`);
      return `${nonces.size} start requests at ${slots} slots, free_slots 0`;
    },
  },
  {
    id: 'handshake.nonces',
    rule: 'handshake',
    level: 'must',
    kinds: ['worker'],
    title: 'an instance never uses a nonce again, over streams and sessions',
    play: async (stage) => {
      const first = await stage.session();
      const before = await stage.ask(first);
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      const verdicts = [
        { nonce: before.nonce, token: 0n, kind: VerdictKind.NEVER_START, reason: 0 } as const,
      ];
      second.welcome(stage.nextEpoch(), { verdicts });
      const after = await stage.ask(second);
      check(after.nonce !== before.nonce, `nonce ${before.nonce} was used again in the next session`);
      return `nonces ${before.nonce} and ${after.nonce}`;
    },
  },
  {
    id: 'offer.withdrawn',
    rule: 'offer',
    level: 'should',
    kinds: ['worker'],
    title: 'what was withdrawn before there was a slot for it is not asked for',
    play: async (stage) => {
      const stream = await stage.session();
      const [request] = await fillSlots(stage, stream);
      stream.offer('withdrawn');
      stream.push({ withdrawals: ['withdrawn'] });
      stream.push({ refusals: [{ nonce: request?.nonce ?? 0n, reason: RefusalReason.NOT_OFFERED }] });
      await stream.applied();
      await stage.intervals(2);
      check(noncesOf(stream).size === (await slotsOf(stream)), 'a withdrawn task was asked for');
      return 'a slot became free, and it was not asked for';
    },
  },
  {
    id: 'offer.dropped',
    rule: 'offer',
    level: 'should',
    kinds: ['worker'],
    title: 'a new stream drops what was offered on the one before',
    play: async (stage) => {
      const first = await stage.session();
      const requests = await fillSlots(stage, first);
      first.offer('of-the-first-stream');
      first.push({});
      await first.applied();
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      const verdicts = requests.map(
        ({ nonce }) => ({ nonce, token: 0n, kind: VerdictKind.NEVER_START, reason: 0 }) as const,
      );
      second.welcome(first.epoch, { verdicts });
      await second.heartbeat({ from: 0 });
      await stage.intervals(3);
      check(noncesOf(second).size === 0, 'a task was asked for that was not offered on this stream');
      return 'slots became free with the new stream, and nothing was asked for';
    },
  },
];

const slotsOf = async (stream: Stream): Promise<number> => stream.hello?.slots ?? 0;

/** Offers as many tasks as there are slots, and waits until all are asked for. */
async function fillSlots(stage: Stage, stream: Stream): Promise<StartRequest[]> {
  const taskIds = Array.from({ length: await slotsOf(stream) }, () => stage.nextTask());
  stream.offer(...taskIds);
  return Promise.all(taskIds.map((taskId) => stream.asked(taskId)));
}

type Message = Stream['said'][number]['message'];

function asks(message: Message, nonce: bigint): true | undefined {
  const isAsked =
    message.$case === 'heartbeat' && message.value.startRequests.some((one) => one.nonce === nonce);
  return isAsked || undefined;
}

/** Every start request that was made on a stream. */
function noncesOf(stream: Stream): Set<bigint> {
  const requests = stream.said.flatMap(({ message }) =>
    message.$case === 'heartbeat' ? message.value.startRequests : [],
  );
  return new Set(requests.map(({ nonce }) => nonce));
}
