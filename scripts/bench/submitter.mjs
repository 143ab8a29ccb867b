// A process that submits tasks one by one at a pace, and then says when it called for each: as the submitters of peers do,
// beside nothing that the bench itself remembers.
import { dial } from './certificate.mjs';
import { atRate } from './pace.mjs';
import { bareTask } from './work.mjs';

const { address, perSecond, seconds } = JSON.parse(process.argv[2] ?? '{}');
const client = dial(address);
/** [taskId, when submit was called] in the order of the calls. */
const calls = [];
await atRate(perSecond, seconds, async (i) => {
  const at = performance.timeOrigin + performance.now();
  const [task] = await client.tasks.submit([bareTask()]);
  calls[i] = [task?.taskId, at];
});
client.close();
process.send?.({ calls }, () => process.disconnect());
