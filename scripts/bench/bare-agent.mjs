// A process of workers without commands: they report success as soon as they are permitted to start.
import { BareAgent } from './bare.mjs';

const [address, id, slots, agents = '1', tell = '', queue = 'bench'] = process.argv.slice(2);

for (let i = 0; i < Number(agents); i++) {
  const told = { session: () => process.send?.({ connected: `${id}-${i}` }) };
  if (tell === 'starts')
    told.start = (taskId) =>
      process.send?.({ started: taskId, at: performance.timeOrigin + performance.now() });
  const agentId = agents === '1' ? id : `${id}-${i}`;
  new BareAgent({ address, agentId, instance: 1, slots: Number(slots), queue, told });
}
process.on('disconnect', () => process.exit(0));
