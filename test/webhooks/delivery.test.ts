import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { REAL_CLOCK } from '../../src/engine/clock.js';
import type { Timers } from '../../src/engine/timers.js';
import { REAL_TIMERS } from '../../src/engine/timers.js';
import type { Log } from '../../src/kit/log.js';
import type { MonoMs, ServiceMs } from '../../src/kit/time.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import type { WebhookOptions } from '../../src/webhooks/endpoint.js';
import { BOUNDS, type Bounds } from '../../src/webhooks/queue.js';
import { keysOf, signatureOf } from '../../src/webhooks/sign.js';
import { startWebhooks, type Webhooks } from '../../src/webhooks/start.js';
import { notification, puts } from '../store/rows.js';
import { eventually } from '../wire/support/wait.js';
import { type Received, Receiver } from './support/receiver.js';

const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
/** Time runs so much faster: waits of minutes take seconds, and a receiver that hangs is given up soon. */
const FASTER = 20;
const timers: Timers = {
  ...REAL_TIMERS,
  every: (ms, task) => REAL_TIMERS.every(ms / FASTER, task),
  after: (ms, task) => REAL_TIMERS.after(ms / FASTER, task),
};
const clock = { ...REAL_CLOCK, mono: () => (REAL_CLOCK.mono() * FASTER) as MonoMs };

let store: MemoryStore;
let receiver: Receiver;
let lines: string[];
let service: ServiceMs;
const running: Webhooks[] = [];

beforeEach(async () => {
  store = new MemoryStore();
  receiver = await new Receiver().start();
  lines = [];
  service = 0 as ServiceMs;
});
afterEach(async () => {
  for (const webhooks of running.splice(0)) await webhooks.stop();
  await receiver.stop();
});

const start = async (
  webhooks?: readonly WebhookOptions[],
  bounds: Partial<Bounds> = {},
): Promise<Webhooks> => {
  const say = (_fields: object, message: string) => void lines.push(message);
  const log: Log = { debug: say, info: say, warn: say, error: say };
  const host = { store, clock, timers, random: () => 0, log, serviceNow: () => service };
  const one = await startWebhooks(webhooks ?? [{ url: receiver.url, secret: SECRET }], host, {
    ...BOUNDS,
    ...bounds,
  });
  running.push(one);
  return one;
};
const write = async (...ids: string[]) =>
  store.commit(puts({ notifications: ids.map((id) => notification(id, { subject: `task:${id[0]}` })) }));
/** Each once, by its first coming: a slow moment of this machine may bring one twice, which is allowed. */
const ids = (of: readonly { readonly id: string }[]) => [...new Set(of.map(({ id }) => id))];

describe('a webhook', () => {
  test('is signed over its id, time and body, and says what happened', async () => {
    const webhooks = await start();
    await write('a1');
    webhooks.notified();
    await receiver.has(1);
    const [first] = receiver.received;
    const { headers, body } = first as Received;
    const keys = keysOf(SECRET) as Buffer[];
    const timestamp = Number(headers['webhook-timestamp']);
    expect(headers['webhook-signature']).toBe(signatureOf(keys, 'a1', timestamp, body));
    expect(JSON.parse(body)).toEqual({
      type: 'task.failed',
      timestamp: '2023-11-14T22:13:20.000Z',
      data: { taskId: 't1', exitCode: null, tryNumber: 2, agentIds: ['a', 'b'] },
    });
  });

  test('comes again until it is accepted, whatever goes wrong meanwhile', async () => {
    const troubles = [500, 'die', 503, 429, 'hang', 404] as const;
    receiver.answer = (_message, count) => troubles[count - 1] ?? 200;
    const webhooks = await start();
    await write('a1', 'a2', 'b1');
    webhooks.notified();
    await receiver.has(3);
    const order = ids(receiver.accepted);
    expect(order.indexOf('a1')).toBeLessThan(order.indexOf('a2'));
    expect(receiver.received.length).toBeGreaterThanOrEqual(3 + troubles.length);
    expect(lines).toEqual([
      'a webhook endpoint takes nothing; notifications wait for it',
      'a webhook endpoint takes notifications again',
    ]);
  });

  test('waits for a receiver that is away, and comes when it is back', async () => {
    await receiver.stop();
    const webhooks = await start();
    await write('a1');
    webhooks.notified();
    await eventually('the endpoint is seen to be away', () => webhooks.failing);
    await receiver.start();
    await receiver.has(1);
    await eventually('the endpoint is seen to be back', () => !webhooks.failing);
    expect(ids(receiver.accepted)).toEqual(['a1']);
  });

  test('comes no sooner than a receiver that is overloaded has asked for', async () => {
    receiver.retryAfter = '60';
    receiver.answer = (_message, count) => (count === 1 ? 429 : 200);
    const webhooks = await start();
    await write('a1');
    const before = clock.mono();
    webhooks.notified();
    await receiver.has(1);
    expect(clock.mono() - before).toBeGreaterThanOrEqual(60_000);
  });

  test('never follows a redirect', async () => {
    const other = await new Receiver().start();
    receiver.location = other.url;
    receiver.answer = (_message, count) => (count < 3 ? 307 : 200);
    const webhooks = await start();
    await write('a1');
    webhooks.notified();
    await receiver.has(1);
    expect(other.received).toEqual([]);
    await other.stop();
  });

  test('that the receiver refuses holds back its own task alone', async () => {
    receiver.answer = ({ id }, count) => (id === 'a1' && count < 6 ? 422 : 200);
    const webhooks = await start();
    await write('a1', 'a2', 'b1', 'b2');
    webhooks.notified();
    await receiver.has(4);
    expect(ids(receiver.accepted).sort()).toEqual(['a1', 'a2', 'b1', 'b2']);
    expect(ids(receiver.accepted).indexOf('b2')).toBeLessThan(ids(receiver.accepted).indexOf('a1'));
    expect(ids(receiver.accepted).indexOf('a1')).toBeLessThan(ids(receiver.accepted).indexOf('a2'));
  });
});

describe('several endpoints', () => {
  test('get the events that each has asked for, and none waits for another', async () => {
    const other = await new Receiver().start();
    receiver.answer = () => 'hang';
    const webhooks = await start([
      { url: receiver.url, secret: SECRET },
      { url: other.url, secret: SECRET, events: ['agent.failed'] },
    ]);
    await store.commit(
      puts({
        notifications: [notification('t'), notification('g', { event: 'agent.failed', subject: 'agent:g' })],
      }),
    );
    webhooks.notified();
    await other.has(1);
    expect(ids(other.received)).toEqual(['g']);
    await other.stop();
  });
});

describe('over a restart', () => {
  test('deliveries go on where they were left, and what is new to an endpoint begins now', async () => {
    const first = await start();
    await write('a1', 'b1');
    first.notified();
    await receiver.has(2);
    await first.stop();
    await write('a2');
    const other = await new Receiver().start();
    await start([
      { url: receiver.url, secret: SECRET },
      { url: other.url, secret: SECRET },
    ]);
    await receiver.has(3);
    expect(ids(receiver.accepted).at(-1)).toBe('a2');
    expect(other.received).toEqual([]);
    await other.stop();
  });

  test('what was sent and not noted is sent again with the same id', async () => {
    const first = await start();
    await first.stop();
    await write('a1');
    const before = store.fork();
    await start();
    await receiver.has(1);
    // The store as a crash left it: the delivery was not written yet.
    store = before;
    await start();
    await eventually('it comes again', () => receiver.received.length >= 2);
    expect(ids(receiver.received)).toEqual(['a1']);
  });
});

describe('what cannot be delivered', () => {
  test('is bounded: the oldest are missed, and the endpoint is told how many', async () => {
    await start().then((webhooks) => webhooks.stop());
    const many = Array.from({ length: 60 }, (_, i) => `${String.fromCharCode(97 + (i % 20))}${i}`);
    await write(...many);
    await start(undefined, { waiting: 10, window: 16 });
    await receiver.has(11);
    const [missed] = receiver.accepted.filter(({ type }) => type === 'notifications.missed');
    expect(missed?.data).toMatchObject({ count: 50 });
    expect(
      ids(receiver.accepted)
        .filter((id) => many.includes(id))
        .sort(),
    ).toEqual(many.slice(50).sort());
    expect(lines).toContain('notifications were given up');
  });

  test('is given up after a day of service, and leaves the store', async () => {
    const webhooks = await start();
    await webhooks.stop();
    await write('a1');
    service = (BOUNDS.ageMs + 13) as ServiceMs;
    await start();
    await receiver.has(1);
    expect(receiver.received[0]?.type).toBe('notifications.missed');
    await eventually('the store lets it go', async () => (await store.readNotifications(0, 1)).length === 0);
  });
});
