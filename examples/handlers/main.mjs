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
  { handler: 'thumbnail', input: { width: 'wide' }, retries: 5 },
]);
const open = new Set(tasks.map(({ taskId }) => taskId));
for await (const task of client.tasks.watch([...open])) {
  const ended = ['success', 'failed'].includes(task.state) && open.delete(task.taskId);
  if (!ended) continue;
  const { spec, state, reason, message, result } = task;
  const said = state === 'success' ? new TextDecoder().decode(result) : `${reason}: ${message}`;
  console.log(`${tasks.findIndex(({ taskId }) => taskId === task.taskId) + 1} ${spec.handler ?? ''} ${state} ${said}`.replace('  ', ' '));
}

client.close();
await worker.stop();
await coordinator.stop();
rmSync(folder, { recursive: true, force: true });
