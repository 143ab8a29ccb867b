import { status } from '@grpc/grpc-js';
import { HelloRefusal } from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Case, check, KINDS } from '../../case.js';
import { monoMs } from '../../clock.js';
import type { Stage } from '../../stage.js';

const DENIED = [status.PERMISSION_DENIED, status.UNAUTHENTICATED];
const CODES = Object.values(status).filter(
  (code): code is status => typeof code === 'number' && !DENIED.includes(code),
);

/** Dials a second that nobody would call patient: five times what full jitter from 250 ms makes. */
const FRANTIC = 40;

export const STREAM: readonly Case[] = [
  {
    id: 'stream.any-status',
    rule: 'P9',
    level: 'must',
    kinds: KINDS,
    limitMs: 120_000,
    title: 'whatever status ends a stream, the agent dials again',
    play: async (stage) => {
      let stream = await stage.session();
      for (const code of CODES) {
        stream.reset(code);
        stream = await stage.resumed(stream);
      }
      return `came back after each of ${CODES.length} statuses`;
    },
  },
  {
    id: 'stream.denied',
    rule: 'P9',
    level: 'must',
    kinds: KINDS,
    title: 'a refused credential ends no agent',
    play: async (stage) => {
      const first = await stage.session();
      first.reset(status.UNAUTHENTICATED);
      await stage.intervals(3);
      const second = await stage.restarted();
      second.reset(status.PERMISSION_DENIED);
      await stage.intervals(3);
      const third = await stage.restarted();
      third.refuse(HelloRefusal.DENIED, status.PERMISSION_DENIED, 0);
      await stage.intervals(3);
      return 'the process lives on after UNAUTHENTICATED, PERMISSION_DENIED, and Refused as DENIED';
    },
  },
  {
    id: 'stream.denied-slowly',
    rule: 'P9',
    level: 'should',
    kinds: KINDS,
    title: 'a refused credential is tried again slowly',
    play: async (stage) => {
      const stream = await stage.session();
      stream.reset(status.PERMISSION_DENIED);
      const tries = await deniedFor(stage, 6 * stage.terms.heartbeatMs);
      check(tries <= 1, `${tries} more tries within 6 intervals`);
      return `${tries} more tries within 6 intervals`;
    },
  },
  {
    id: 'stream.silent',
    rule: 'P4',
    level: 'must',
    kinds: KINDS,
    title: 'a stream on which nothing is heard for 1.5 H is given up, and the agent dials again',
    play: async (stage) => {
      const stream = await stage.session();
      stream.acks = 'withheld';
      const { at } = await stream.givenUp();
      const silentMs = at - stream.toldAt;
      const { heartbeatMs, leaseMs } = stage.terms;
      check(
        silentMs > heartbeatMs,
        `it was given up after ${silentMs.toFixed(0)} ms, at H = ${heartbeatMs} ms`,
      );
      check(silentMs < leaseMs, `it was given up only after ${silentMs.toFixed(0)} ms, at L = ${leaseMs} ms`);
      await stage.resumed(stream);
      return `given up after ${silentMs.toFixed(0)} ms of silence, at H = ${heartbeatMs} ms`;
    },
  },
  {
    id: 'stream.black-hole',
    rule: 'P4',
    level: 'must',
    kinds: KINDS,
    title: 'an agent whose connection swallows everything opens another one',
    play: async (stage) => {
      const first = await stage.session();
      const began = monoMs();
      stage.network.hold('up', 'down');
      const second = await stage.resumed(first);
      const tookMs = monoMs() - began;
      stage.network.heal();
      await stage.intervals(3);
      check(second.end === null, 'the new stream was given up when the old connection came back to life');
      return `another connection after ${tookMs.toFixed(0)} ms`;
    },
  },
  {
    id: 'stream.refused-connections',
    rule: 'P9',
    level: 'must',
    kinds: KINDS,
    title: 'an agent that cannot connect goes on trying, and not in a tight loop',
    play: async (stage) => {
      const first = await stage.session();
      const before = stage.network.dials;
      stage.network.refuse();
      await stage.intervals(6);
      const seconds = (6 * stage.terms.heartbeatMs) / 1_000;
      const dials = stage.network.dials - before;
      check(dials > 0, `no try in ${seconds} s`);
      check(dials < FRANTIC * seconds, `${dials} tries in ${seconds} s`);
      stage.network.heal();
      await stage.resumed(first);
      return `${dials} tries in ${seconds} s, and back when it could`;
    },
  },
  {
    id: 'stream.cut-connection',
    rule: 'P9',
    level: 'must',
    kinds: KINDS,
    title: 'a connection that ends without a word is replaced',
    play: async (stage) => {
      const first = await stage.session();
      stage.network.cut();
      await stage.resumed(first);
      return 'dialled again';
    },
  },
];

/** Denies every stream for a while; how many there were. */
async function deniedFor(stage: Stage, ms: number): Promise<number> {
  const endMs = monoMs() + ms;
  for (let tries = 0; ; tries++) {
    const stream = await stage.accept(Math.max(0, endMs - monoMs())).catch(() => null);
    if (stream === null) return tries;
    stream.reset(status.PERMISSION_DENIED);
  }
}
