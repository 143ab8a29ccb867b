import { status } from '@grpc/grpc-js';
import { durationOf } from '../../../../wire/time.js';
import { Beacon, eventOf, eventsOf, takeEvent } from '../../beacon.js';
import { type Case, check } from '../../case.js';
import type { Stage } from '../../stage.js';

/** Bytes of a payload, at most. */
const PAYLOAD_BYTES = 64 * 1024;

/** The event of an assignment that can come to nothing: its failure. */
async function refused(
  stage: Stage,
  what: string,
  change: { kind?: string; input?: Buffer },
): Promise<string> {
  return Beacon.with(stage, async (beacon) => {
    const stream = await stage.session();
    const start = beacon.start(stream, 'a', change);
    stream.push({ triggerStarts: [start] });
    const event = await eventOf(stream, 'a');
    check(event.token === start.token, `the event bears token ${event.token}, not ${start.token}`);
    check(event.failure !== undefined, `${what} has an event instead of a failure`);
    check(event.failure.reason !== '', 'the failure has no reason');
    await beacon.run(stream, 'b');
    return `failure ${event.failure.reason}; another trigger runs`;
  });
}

export const EVENT: readonly Case[] = [
  {
    id: 'event.repeated',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title: 'an event is repeated, the same each time, until it is acknowledged, and then no more',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        await beacon.run(stream, 'a');
        beacon.light('a');
        const event = await eventOf(stream, 'a');
        const again = await eventOf(stream, 'a', stream.here());
        check(
          again.eventId === event.eventId,
          `the same event bears id ${event.eventId}, then ${again.eventId}`,
        );
        check(again.token === event.token, `the same event bears token ${event.token}, then ${again.token}`);
        takeEvent(stream, event);
        await stream.applied();
        const from = stream.here();
        await stage.intervals(3);
        const said = eventsOf(stream, 'a', from).length;
        check(said === 0, `an acknowledged event was said ${said} times more`);
        return `event ${event.eventId} repeated until it was acknowledged`;
      }),
  },
  {
    id: 'event.reconnect',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title:
      'an event that was not acknowledged is repeated on the next stream, and its trigger does not run again',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const first = await stage.session();
        const start = await beacon.run(first, 'a');
        beacon.light('a');
        const event = await eventOf(first, 'a');
        first.reset(status.UNAVAILABLE);
        const second = await stage.resumed(first);
        const told = beacon.asks('a');
        second.push({ triggerStarts: [start] });
        const again = await eventOf(second, 'a');
        check(again.eventId === event.eventId, `the event bears id ${event.eventId}, then ${again.eventId}`);
        check(again.token === event.token, `the event bears token ${event.token}, then ${again.token}`);
        await stage.intervals(2);
        check(beacon.asks('a') === told, 'a trigger that has fired runs again under the same token');
        takeEvent(second, again);
        return `event ${event.eventId} on both streams`;
      }),
  },
  {
    id: 'event.new-session',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title: 'an event that was not acknowledged is repeated in the next session too',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const first = await stage.session();
        await beacon.run(first, 'a');
        beacon.light('a');
        const event = await eventOf(first, 'a');
        first.reset(status.UNAVAILABLE);
        const second = await stage.accept();
        second.welcome(stage.nextEpoch());
        const again = await eventOf(second, 'a');
        check(again.eventId === event.eventId, `the event bears id ${event.eventId}, then ${again.eventId}`);
        check(again.token === event.token, `the event bears token ${event.token}, then ${again.token}`);
        return `event ${event.eventId} in both sessions`;
      }),
  },
  {
    id: 'event.refused',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title: 'an event that is answered as not taken is forgotten like any other',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        await beacon.run(stream, 'a');
        beacon.light('a');
        takeEvent(stream, await eventOf(stream, 'a'), false);
        await stream.applied();
        const from = stream.here();
        await stage.intervals(3);
        const said = eventsOf(stream, 'a', from).length;
        check(said === 0, `a refused event was said ${said} times more`);
        return 'not repeated';
      }),
  },
  {
    id: 'event.unknown-kind',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title: 'a trigger of a kind that the triggerer does not have is answered with a failure',
    play: (stage) => refused(stage, 'a kind that nobody has', { kind: 'no-such-kind' }),
  },
  {
    id: 'event.invalid-input',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title: 'a trigger with an input of no use is answered with a failure',
    play: (stage) =>
      refused(stage, 'an input without a URL', { input: Buffer.from('{"poll_interval":"50ms"}') }),
  },
  {
    id: 'event.no-json',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title: 'a trigger whose input is no JSON is answered with a failure, and harms no other',
    play: (stage) => refused(stage, 'an input that is no JSON', { input: Buffer.from('{"url":') }),
  },
  {
    id: 'event.payload-limit',
    rule: 'limits',
    level: 'must',
    kinds: ['triggerer'],
    title: 'a payload of more than 64 KiB is not sent: the trigger fails',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        await beacon.run(stream, 'a');
        beacon.light('a', 'x'.repeat(PAYLOAD_BYTES + 1));
        const event = await eventOf(stream, 'a');
        check(event.payload.length <= PAYLOAD_BYTES, `a payload of ${event.payload.length} bytes was sent`);
        check(event.failure !== undefined, `an event of ${event.payload.length} bytes instead of a failure`);
        return `failure ${event.failure.reason}`;
      }),
  },
  {
    id: 'event.delay',
    rule: 'P16',
    level: 'should',
    kinds: ['triggerer'],
    title: 'a delay goes on where it was: the time waited already counts',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        if (stream.hello?.triggerKinds.includes('delta') !== true) return 'it has no kind delta';
        const input = Buffer.from(JSON.stringify({ for: '1h' }));
        const start = { kind: 'delta', input };
        const waited = durationOf(3_600_000 - stage.terms.heartbeatMs);
        const whole = beacon.start(stream, 'whole', { ...start, waited: undefined });
        stream.push({ triggerStarts: [beacon.start(stream, 'rest', { ...start, waited }), whole] });
        const event = await eventOf(stream, 'rest');
        check(event.failure === undefined, `it failed: ${event.failure?.message}`);
        check(eventsOf(stream, 'whole').length === 0, 'one that has waited for nothing yet fired as well');
        return 'an hour was over in half a second';
      }),
  },
];
