// A triggerer as plain as can be: its triggers ask a URL again and again, or wait for a while. See plain-link.mjs.
import { get } from 'node:http';
import { hasFault, Link } from './plain-link.mjs';

const LARGEST_PAYLOAD = 64 * 1024;
/** By trigger_id: what was told on this stream and is neither stopped nor over. */
const told = new Map();
/** By event_id: what has fired and was not acknowledged. */
const events = new Map();
let nextEvent = 1;

const agent = {
  hello: { kind: 'AGENT_KIND_TRIGGERER', slots: 1_000, triggerKinds: ['http', 'delta'] },
  events: () => {
    const due = [...events.values()].filter(({ said }) => !(said && hasFault('say-once')));
    return due.map((event) => {
      event.said = true;
      return event.message;
    });
  },
  apply: ({ triggerStarts, triggerStops, triggerAcks }) => {
    for (const start of triggerStarts) tell(start);
    for (const triggerId of triggerStops) if (!hasFault('ignore-stop')) forget(triggerId);
    for (const { eventId, taken } of triggerAcks)
      if (taken || !hasFault('repeat-refused')) events.delete(eventId);
    if (triggerStarts.length > 0) link.beat();
  },
  lost: () => {
    for (const triggerId of told.keys()) forget(triggerId);
    if (hasFault('forget-on-loss')) events.clear();
  },
  connected: (isNew) => {
    if (isNew && hasFault('forget-on-session')) events.clear();
  },
  stop: () => {
    for (const trigger of told.values()) rest(trigger);
  },
  goOn: () => {
    for (const trigger of told.values()) run(trigger);
  },
};
const link = new Link(agent);

function tell(start) {
  const { triggerId, token, epoch } = start;
  if (epoch !== link.epoch && !hasFault('any-epoch')) return;
  const known = told.get(triggerId);
  if (known !== undefined && !hasFault('start-again')) {
    if (known.start.token === token || hasFault('keep-older')) return;
    rest(known);
  }
  if (hasFault('few') && told.size >= 100) return;
  const hasFired = [...events.values()].some(({ message }) => message.token === token);
  if (hasFired && !hasFault('start-again') && !hasFault('run-again')) return;
  const trigger = { start, timer: null, over: false };
  told.set(triggerId, trigger);
  if (link.gateIsOpen) run(trigger);
}

function forget(triggerId) {
  rest(told.get(triggerId));
  told.delete(triggerId);
}

function rest(trigger) {
  clearTimeout(trigger?.timer);
  if (trigger !== undefined) trigger.timer = null;
}

function run(trigger) {
  if (trigger.over || trigger.timer !== null) return;
  const { kind, input, waited } = trigger.start;
  const wanted = parse(input);
  if (kind !== 'http' && kind !== 'delta') {
    if (!hasFault('ignore-unknown')) fail(trigger, 'unknown_kind', `no kind ${kind}`);
    return;
  }
  if (kind === 'delta') {
    const waitedMs =
      waited === null || hasFault('from-start') ? 0 : Number(waited.seconds) * 1_000 + waited.nanos / 1e6;
    trigger.timer = setTimeout(() => fire(trigger, null), Math.max(0, 3_600_000 - waitedMs));
    return;
  }
  if (typeof wanted?.url !== 'string') {
    if (!hasFault('ignore-input')) fail(trigger, 'invalid_input', 'url is missing');
    return;
  }
  ask(trigger, wanted.url, Number.parseInt(wanted.poll_interval, 10));
}

const parse = (bytes) => {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
};

function ask(trigger, url, everyMs) {
  const again = () => {
    trigger.timer = setTimeout(() => {
      trigger.timer = null;
      if (link.gateIsOpen) ask(trigger, url, everyMs);
    }, everyMs);
  };
  trigger.timer = setTimeout(() => {}, 0);
  const request = get(url, (response) => {
    let body = '';
    response.on('data', (chunk) => {
      body += chunk;
    });
    response.on('end', () => {
      // Stopped, or replaced, while the answer was under way.
      if (trigger.timer === null) return;
      if (response.statusCode === 200) fire(trigger, JSON.parse(body).value);
      else again();
    });
  });
  request.on('error', () => trigger.timer !== null && again());
}

function fire(trigger, value) {
  const payload = JSON.stringify({ value });
  if (payload.length > LARGEST_PAYLOAD && !hasFault('no-limit'))
    return fail(trigger, 'payload_too_large', `${payload.length} bytes`);
  end(trigger, { payload: Buffer.from(payload) });
}

const fail = (trigger, reason, message) => end(trigger, { failure: { reason, message } });

function end(trigger, outcome) {
  trigger.over = true;
  rest(trigger);
  const { triggerId, token } = trigger.start;
  const eventId = `e${nextEvent++}`;
  const said = hasFault('wrong-token') ? String(BigInt(token) + 1n) : token;
  events.set(eventId, { message: { triggerId, token: said, eventId, ...outcome }, said: false });
  link.beat();
}

link.dial();
