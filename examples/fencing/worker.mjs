// A worker in a process of its own: `node worker.mjs COORDINATOR NAME FOLDER`. Ends with its parent.
import { join } from 'node:path';
import { startWorker } from 'holdfast/agent';

const [coordinator, agentId, folder] = process.argv.slice(2);
const log = { debug() {}, info() {}, warn() {}, error: console.error };
const worker = await startWorker({
  ...{ coordinator, agentId, log, queues: ['default'], slots: 1, labels: {}, handlers: null },
  stateDirectory: join(folder, agentId),
});
process.on('disconnect', () => worker.stop());
process.send('ready');
await worker.ended;
process.exit();
