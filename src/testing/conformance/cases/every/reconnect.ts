import { status } from '@grpc/grpc-js';
import { HelloRefusal } from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Case, check, KINDS } from '../../case.js';
import { monoMs } from '../../clock.js';
import type { Stage } from '../../stage.js';

/** Long against a heartbeat interval, and against the agent's own jitter. */
const DELAY_MS = 1_500;

export const RECONNECT: readonly Case[] = [
  {
    id: 'reconnect.asked',
    rule: 'stream 5',
    level: 'must',
    kinds: KINDS,
    title: 'Reconnect ends a stream, never a session, and its delay is kept',
    play: async (stage) => {
      const first = await stage.session();
      const began = monoMs();
      first.reconnect(DELAY_MS);
      const second = await stage.resumed(first);
      const tookMs = monoMs() - began;
      check(second.hello?.instanceId === first.hello?.instanceId, 'it came back as another instance');
      check(
        tookMs >= DELAY_MS,
        `it came back after ${tookMs.toFixed(0)} ms, and was asked to wait ${DELAY_MS} ms`,
      );
      return `back after ${tookMs.toFixed(0)} ms; ${DELAY_MS} ms were asked`;
    },
  },
  {
    id: 'reconnect.addresses',
    rule: 'stream 5',
    level: 'should',
    kinds: KINDS,
    title: 'Reconnect sends an agent to another address',
    play: async (stage) => {
      const first = await stage.session();
      const { address, coordinator } = await stage.another();
      first.reconnect(0, [address]);
      const second = await stage.accept(stage.patienceMs, coordinator);
      check(second.hello?.instanceId === first.hello?.instanceId, 'another instance came to the new address');
      return `the next stream came to ${address}`;
    },
  },
  {
    id: 'reconnect.dead-address',
    rule: 'P9',
    level: 'must',
    kinds: KINDS,
    title: 'an agent that is sent to an address where nobody answers comes back to the one it was given',
    play: async (stage) => {
      const first = await stage.session();
      const { address, coordinator } = await stage.another();
      coordinator.close();
      first.reconnect(0, [address]);
      await stage.resumed(first);
      return 'came back to the address that it was started with';
    },
  },
  {
    id: 'refused.in-use',
    rule: 'P5',
    level: 'must',
    kinds: KINDS,
    title: 'an agent whose name is in use waits as long as it is told, and tries again',
    play: (stage) => refused(stage, HelloRefusal.IN_USE, status.ALREADY_EXISTS),
  },
  {
    id: 'refused.unsupported',
    rule: 'P9',
    level: 'must',
    kinds: KINDS,
    title: 'an agent whose version is refused waits as long as it is told, and tries again',
    play: (stage) => refused(stage, HelloRefusal.UNSUPPORTED, status.FAILED_PRECONDITION),
  },
  {
    id: 'refused.unknown-reason',
    rule: 'P9',
    level: 'must',
    kinds: KINDS,
    title: 'a refusal for a reason of a later version is waited out like any other',
    play: (stage) => refused(stage, 99 as HelloRefusal, status.UNAVAILABLE),
  },
];

async function refused(stage: Stage, reason: HelloRefusal, code: status): Promise<string> {
  stage.start();
  const first = await stage.accept(30_000);
  const began = monoMs();
  first.refuse(reason, code, DELAY_MS);
  const second = await stage.accept();
  const tookMs = monoMs() - began;
  check(
    tookMs >= DELAY_MS,
    `it tried again after ${tookMs.toFixed(0)} ms, and was asked to wait ${DELAY_MS} ms`,
  );
  second.welcome(stage.nextEpoch());
  await second.heartbeat({ from: 0 });
  return `tried again after ${tookMs.toFixed(0)} ms; ${DELAY_MS} ms were asked`;
}
