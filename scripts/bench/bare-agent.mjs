// A process of workers without commands: they report success as soon as they are permitted to start, or when `runMs` is over.
import { BareAgent } from './bare.mjs';

const { address, id, slots, agents, tell, queue, runMs, waits } = JSON.parse(process.argv[2] ?? '{}');
/** Whoever started it may be gone: nobody is left to hear of that. */
const say = (message) => void process.send?.(message, () => {});
/** Round trips of heartbeats since they were asked for last. */
let rtts = [];

function start() {
  for (let i = 0; i < agents; i++) {
    const agentId = agents === 1 ? id : `${id}-${i}`;
    const told = { session: () => say({ connected: agentId }), ...telling(agentId) };
    new BareAgent({ address, agentId, instance: 1, slots, queue, told, runMs: () => time(runMs) });
  }
}

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
  say({ rtts });
  rtts = [];
});
process.on('disconnect', () => process.exit(0));
if (!waits) start();
say({ loaded: true });
