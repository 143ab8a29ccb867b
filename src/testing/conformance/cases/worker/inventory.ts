import { status } from '@grpc/grpc-js';
import {
  ConnectRequest,
  type Hello,
  InventoryPhase,
  RefusalReason,
  StopReason,
  VerdictKind,
} from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Case, check } from '../../case.js';
import type { Run, Stage } from '../../stage.js';
import { LIMITS, type Stream } from '../../stream.js';
import { checkHeld } from '../../words.js';

/** Five results of this size do not fit into one message. */
const RESULT_BYTES = 240 * 1024;
const RESULTS = 5;
/** One of them fits, two do not. */
const LESS_BYTES = 400 * 1024;

export const INVENTORY: readonly Case[] = [
  {
    id: 'inventory.hash',
    rule: 'stream 3',
    level: 'must',
    kinds: ['worker'],
    title: 'count and hash in every heartbeat are those of what the agent has said and applied',
    play: async (stage) => {
      const stream = await stage.session();
      await stage.finish(stream);
      const refused = await stage.ask(stream);
      stream.push({ refusals: [{ nonce: refused.nonce, reason: RefusalReason.NOT_QUEUED }] });
      const stopped = await stage.run(stream, { seconds: 600 });
      stream.push({ stops: [{ token: stopped.token, reason: StopReason.SUPERSEDED }], voidTokens: [4_711n] });
      await stream.report(stopped.token);
      await stream.report(4_711n);
      stream.record(1n, stopped.token, 4_711n);
      await stream.applied();
      await stage.intervals(1);
      return same([stream]);
    },
  },
  {
    id: 'inventory.hash-of-hello',
    rule: 'stream 2',
    level: 'must',
    kinds: ['worker'],
    title: 'after a Hello, count and hash are those of its inventory under the verdicts of the Welcome',
    play: async (stage) => {
      const first = await stage.session();
      const finished = await stage.finish(first);
      const kept = await stage.run(first, { seconds: 600 });
      const stopped = await stage.run(first, { mode: 'stubborn' });
      const asked = await stage.ask(first);
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      const { KEEP, STOP, NEVER_START } = VerdictKind;
      const verdicts = [
        { token: finished.token, nonce: 0n, kind: VerdictKind.RECORDED, reason: 0 },
        { token: kept.token, nonce: 0n, kind: KEEP, reason: 0 },
        { token: stopped.token, nonce: 0n, kind: STOP, reason: StopReason.SUPERSEDED },
        { token: 0n, nonce: asked.nonce, kind: NEVER_START, reason: 0 },
      ] as const;
      second.welcome(first.epoch, {
        verdicts,
        acknowledgements: [{ token: finished.token, disposition: 1 }],
      });
      await stage.intervals(2);
      return same([first, second]);
    },
  },
  {
    id: 'inventory.full',
    rule: 'stream 3',
    level: 'must',
    kinds: ['worker'],
    title: 'a full inventory that is asked for is in the next heartbeat, with everything that is held',
    play: async (stage) => {
      const stream = await stage.session();
      const finished = await stage.finish(stream);
      const running = await stage.run(stream, { seconds: 600 });
      const asked = await stage.ask(stream);
      const from = stream.here();
      stream.push({ sendFullInventory: true });
      const { fullInventory } = await stream.heartbeat({
        from,
        wanted: (beat) => beat.fullInventory !== undefined,
      });
      const inventory = fullInventory?.entries ?? [];
      checkHeld({ inventory }, finished, InventoryPhase.FINISHED);
      checkHeld({ inventory }, running, InventoryPhase.RUNNING);
      checkHeld({ inventory }, asked, InventoryPhase.ASKED);
      check(inventory.length === 3, `it has ${inventory.length} entries, and three are held`);
      return same([stream]);
    },
  },
  {
    id: 'inventory.chunks',
    rule: 'stream 1',
    level: 'must',
    kinds: ['worker'],
    limitMs: 60_000,
    title:
      'no message is larger than the limit: a Hello with large reports comes in chunks, or leaves some to heartbeats',
    play: async (stage) => {
      const first = await stage.session();
      const runs: Run[] = [];
      for (let i = 0; i < RESULTS; i++) {
        runs.push(await stage.finish(first, { mode: 'result', word: RESULT_BYTES }));
      }
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      for (const run of runs) checkHeld(second.hello as Hello, run, InventoryPhase.FINISHED);
      second.welcome(first.epoch);
      for (const { token } of runs) await second.report(token);
      const bytes = runs.length * RESULT_BYTES;
      const chunks = second.said.filter(({ message }) => message.$case === 'inventoryChunk').length;
      return `${runs.length} reports of ${bytes} bytes together, ${chunks} chunks behind the Hello`;
    },
  },
  {
    id: 'inventory.limit',
    rule: 'stream 3',
    level: 'must',
    kinds: ['worker'],
    limitMs: 60_000,
    title:
      'what the Welcome says of the largest message bounds heartbeats: reports that do not fit wait for the next one',
    play: async (stage) => {
      const limits = { ...LIMITS, maxMessageBytes: LESS_BYTES };
      const stream = await stage.session({ limits });
      const runs: Run[] = [];
      for (let i = 0; i < RESULTS; i++) {
        runs.push(await stage.finish(stream, { mode: 'result', word: RESULT_BYTES }));
      }
      // None was acknowledged, so that each tick repeats them all.
      await stage.intervals(3);
      const sizes = stream.said.map(({ message }) => ConnectRequest.encode({ message }).finish().length);
      const most = Math.max(...sizes);
      check(most <= LESS_BYTES, `a message has ${most} bytes, and the Welcome said ${LESS_BYTES} at most`);
      for (const { token } of runs) {
        const times = stream.reports(token);
        check(times >= 2, `the report of token ${token} came ${times} times in 3 intervals`);
      }
      return `${most} bytes at most, of ${LESS_BYTES}`;
    },
  },
  {
    id: 'inventory.goodbye',
    rule: 'stream 5',
    level: 'must',
    kinds: ['worker'],
    title: 'no Goodbye ends the session while a report waits for its acknowledgement',
    play: async (stage) => {
      const stream = await stage.session();
      const { token } = await stage.finish(stream);
      stage.mayEnd();
      stage.agent.signal('SIGTERM');
      await stage.intervals(3);
      const early = stream.find(
        (message) => (message.$case === 'goodbye' && message.value.endsSession) || undefined,
      );
      check(early === undefined, 'the session was ended with a report that nobody has acknowledged');
      stream.record(token);
      return ends(stage, stream);
    },
  },
];

async function ends(stage: Stage, stream: Stream): Promise<string> {
  await stream.goodbye();
  stream.farewell();
  await stage.agent.ended(stage.patienceMs);
  return 'Goodbye once it was acknowledged';
}

function same(streams: readonly Stream[]): string {
  const compared = streams.reduce((sum, { mirror }) => sum + mirror.compared, 0);
  for (const { mirror } of streams) check(mirror.differences.length === 0, mirror.differences[0] ?? '');
  return `${compared} heartbeats compared`;
}
