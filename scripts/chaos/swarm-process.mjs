// A process of many bare agents. On the word of its parent one of them vanishes, and a new instance takes its name.
import { BareAgent } from '../bench/bare.mjs';
import { monoMs } from './clock.mjs';

const { address, agentIds, slots, runMs } = JSON.parse(process.argv[2]);
const agents = new Map();
let instances = 0;

function begin(agentId) {
  const told = {
    session: ({ epoch }) => process.send?.({ agentId, at: monoMs(), epoch: String(epoch) }),
  };
  const [least, most] = runMs;
  const drawn = () => least + Math.random() * (most - least);
  instances += 1;
  agents.set(agentId, new BareAgent({ address, agentId, instance: instances, slots, told, runMs: drawn }));
}

process.on('message', (agentId) => {
  agents.get(agentId).vanish();
  begin(agentId);
});
process.on('disconnect', () => process.exit(0));
for (const agentId of agentIds) begin(agentId);
