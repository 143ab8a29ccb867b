// A coordinator, a client and a worker in one program. Everything it makes is in a folder of its own, removed at the end.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Coordinator, connect, HoldfastError } from 'holdfast';
import { Worker } from 'holdfast/agent';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-embed-'));
const log = { debug() {}, info() {}, warn: console.warn, error: console.error };

const coordinator = await new Coordinator({ dbFile: join(folder, 'holdfast.db'), port: 0, log }).start();
console.log('coordinator: running');

const worker = await new Worker({
  coordinator: coordinator.address,
  slots: 4,
  stateDirectory: join(folder, 'worker'),
  log,
}).start();
const client = connect(coordinator.address);

try {
  // One task, and its result: what the command writes to HOLDFAST_RESULT_FILE.
  const sum = await client.tasks.submitAndWait(
    { command: ['sh', '-c', 'echo $((6 * 7)) > $HOLDFAST_RESULT_FILE'] },
    { timeoutMs: 60_000 },
  );
  console.log(`sum: ${sum.state}, ${Buffer.from(sum.result).toString().trim()}`);

  // Several at once, each seen whenever it changes.
  const batch = await client.tasks.submit(
    ['a', 'b', 'c'].map((name) => ({ command: ['echo', `hello from ${name}`] })),
  );
  for await (const { state } of client.tasks.watch(batch.map(({ taskId }) => taskId))) {
    if (state === 'success') console.log('batch: one more has succeeded');
  }
  for (const { taskId } of batch) {
    for await (const { data } of client.tasks.logs(taskId))
      process.stdout.write(`output: ${Buffer.from(data).toString()}`);
  }

  // The coordinator goes and comes back while a task runs: the task does not notice, and its end is not missed.
  const { port } = new URL(`http://${coordinator.address}`);
  const [slow] = await client.tasks.submit([{ command: ['sleep', '2'] }]);
  for await (const { state } of client.tasks.watch([slow.taskId])) if (state === 'running') break;
  await coordinator.stop();
  console.log('coordinator: stopped, the task goes on');
  const again = await new Coordinator({
    dbFile: join(folder, 'holdfast.db'),
    port: Number(port),
    log,
  }).start();
  try {
    for await (const { event } of client.tasks.events(slow.taskId, { timeoutMs: 60_000 }))
      console.log(`slow: ${event}`);

    // Everything that may go wrong is one type of error, with a stable code.
    await client.tasks.get('no-such-task').catch((error) => {
      if (error instanceof HoldfastError) console.log(`error: ${error.code}`);
    });
    await worker.stop();
    console.log('worker: drained');
  } finally {
    await again.stop();
  }
} finally {
  client.close();
  await worker.stop({ drainTimeoutMs: 0 });
  await coordinator.stop();
  rmSync(folder, { recursive: true });
}
