// A coordinator, a worker with two typed handlers, and three tasks, in one program.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Coordinator } from 'holdfast';
import { Worker } from 'holdfast/agent';
import { connect } from 'holdfast/client';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-handlers-'));
const coordinator = await new Coordinator({ dbFile: join(folder, 'holdfast.db'), port: 0 }).start();
const worker = await new Worker({
  coordinator: coordinator.address,
  handlers: new URL('./handlers.mjs', import.meta.url),
  agentId: 'worker-1',
  slots: 2,
  stateDirectory: join(folder, 'worker-1'),
}).start();
const client = connect(coordinator.address);

const tasks = await client.tasks.submit([
  { handler: 'thumbnail', input: { width: 1600, height: 900 } },
  { handler: 'countdown', input: { from: 3 } },
  { handler: 'thumbnail', input: { width: 'wide', height: 900 }, retries: 5 },
]);
for await (const _ of client.tasks.watch(tasks.map(({ taskId }) => taskId)));
for (const { taskId } of tasks) {
  const { spec, state, reason, message, result } = await client.tasks.get(taskId);
  const said = state === 'success' ? new TextDecoder().decode(result) : `${reason}: ${message}`;
  console.log(spec.handler, state, said);
}

client.close();
await worker.stop();
await coordinator.stop();
rmSync(folder, { recursive: true, force: true });
