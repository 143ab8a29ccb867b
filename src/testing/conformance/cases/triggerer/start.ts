import { Beacon, eventOf, eventsOf, takeEvent } from '../../beacon.js';
import { type Case, check } from '../../case.js';

export const START: readonly Case[] = [
  {
    id: 'trigger.start',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title: 'a trigger runs once it is told to, and its event names it, its token and an id',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        const { token, triggerId } = await beacon.run(stream, 'a');
        check(eventsOf(stream, 'a').length === 0, 'it has an event before what it waits for has come');
        beacon.light('a');
        const event = await eventOf(stream, 'a');
        check(event.token === token, `the event of ${triggerId} bears token ${event.token}, not ${token}`);
        check(event.eventId !== '', 'the event has no event_id');
        check(event.failure === undefined, `the trigger failed: ${event.failure?.message}`);
        check(
          isJson(event.payload),
          `the payload is no JSON: ${Buffer.from(event.payload).toString().slice(0, 80)}`,
        );
        return `event ${event.eventId} of token ${token}`;
      }),
  },
  {
    id: 'trigger.told-twice',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title: 'a start that is told again under the same token runs one trigger, which fires once',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        const start = beacon.start(stream, 'a');
        stream.push({ triggerStarts: [start] });
        stream.push({ triggerStarts: [start] });
        await beacon.asked('a');
        stream.push({ triggerStarts: [start] });
        beacon.light('a');
        const event = await eventOf(stream, 'a');
        stream.push({ triggerStarts: [start] });
        await stage.intervals(3);
        const ids = new Set(eventsOf(stream, 'a').map(({ eventId }) => eventId));
        check(ids.size === 1, `one assignment fired ${ids.size} times: ${[...ids].join(', ')}`);
        return `told four times, one event: ${event.eventId}`;
      }),
  },
  {
    id: 'trigger.superseded',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title: 'a start under a newer token takes the place of the older: the event bears the newer',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        const older = await beacon.run(stream, 'a');
        const newer = beacon.start(stream, 'a');
        await stream.applied(stream.push({ triggerStarts: [newer] }));
        await beacon.asked('a');
        beacon.light('a');
        const event = await eventOf(stream, 'a');
        await stage.intervals(2);
        const tokens = new Set(eventsOf(stream, 'a').map(({ token }) => token));
        check(
          tokens.size === 1 && event.token === newer.token,
          `events bear token ${[...tokens].join(', ')}; ${newer.token} has taken the place of ${older.token}`,
        );
        return `token ${older.token} replaced, the event bears ${newer.token}`;
      }),
  },
  {
    id: 'trigger.parts',
    rule: 'stream 3',
    level: 'must',
    kinds: ['triggerer'],
    title:
      'starts in every part of an acknowledgement that is sent in parts are applied, once the last one is in',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        const [a, b, c] = ['a', 'b', 'c'].map((name) => beacon.start(stream, name));
        const number = stream.push({ triggerStarts: a === undefined ? [] : [a], more: true });
        await stage.intervals(1.5);
        check(beacon.asks('a') === 0, 'a part was applied before the last one was in');
        for (const [part, more] of [
          [b, true],
          [c, false],
        ] as const)
          stream.push({ number, triggerStarts: part === undefined ? [] : [part], more });
        for (const name of ['a', 'b', 'c']) if (beacon.asks(name) === 0) await beacon.asked(name, 1);
        return 'three parts, three triggers';
      }),
  },
  {
    id: 'trigger.many',
    rule: 'P16',
    level: 'should',
    kinds: ['triggerer'],
    title: 'two hundred triggers run at once',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        const names = Array.from({ length: 200 }, (_, i) => `n${i}`);
        stream.push({ triggerStarts: names.map((name) => beacon.start(stream, name)) });
        for (const name of names) if (beacon.asks(name) === 0) await beacon.asked(name, 1);
        for (const name of names) beacon.light(name);
        for (const name of names) takeEvent(stream, await eventOf(stream, name));
        return '200 triggers, 200 events';
      }),
  },
];

function isJson(payload: Uint8Array): boolean {
  if (payload.length === 0) return true;
  try {
    JSON.parse(Buffer.from(payload).toString());
    return true;
  } catch {
    return false;
  }
}
