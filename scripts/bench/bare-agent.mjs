// A process of workers without commands: they report success as soon as they are permitted to start, or when `runMs` is over.
import { BareAgent } from './bare.mjs';

const { address, id, slots, agents, tell, queue, runMs, waits } = JSON.parse(process.argv[2] ?? '{}');
/** Whoever started it may be gone: nobody is left to hear of that. */
const say = (message) => void process.send?.(message, () => {});
/** Round trips of heartbeats since they were asked for last. */
let rtts = [];

/** So many dial at once: more of them would only wait for one another, and give their dials up. */
const AT_ONCE = 64;
let begun = 0;
const fleet = [];

function start() {
  for (let i = 0; i < AT_ONCE; i++) beginOne();
}

function beginOne() {
  if (begun === agents) return;
  const i = begun++;
  const agentId = agents === 1 ? id : `${id}-${i}`;
  let isFirst = true;
  const session = ({ isNew }) => {
    say({ connected: agentId, isNew });
    if (isFirst) beginOne();
    isFirst = false;
  };
  const told = { session, left, ...telling(agentId) };
  const how = { slots, queue, told, runMs: () => time(runMs) };
  fleet.push(new BareAgent({ address, agentId, instance: 1, ...how }));
}

let gone = 0;
const left = () => void (++gone === agents && process.exit(0));

/** Null takes for ever: there is no number for that in JSON. */
const time = (ms = 0) => ms ?? Number.POSITIVE_INFINITY;

function telling(agentId) {
  if (tell === 'rtts') return { rtt: (ms) => rtts.push(ms) };
  if (tell !== 'starts') return {};
  const now = () => performance.timeOrigin + performance.now();
  return { start: (started) => say({ started, agentId, at: now() }) };
}

process.on('message', (asked) => {
  if (asked === 'go') return start();
  if (asked === 'leave') {
    for (const agent of fleet) agent.leave();
    return;
  }
  say({ rtts });
  rtts = [];
});
process.on('disconnect', () => process.exit(0));
if (!waits) start();
say({ loaded: true });
