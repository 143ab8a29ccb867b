// A worker is cut off while its task runs, the task is given to another one, and both of them write.
import { fork } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Coordinator, connect } from 'holdfast';
import { startStore } from './http-server.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'holdfast-fencing-'));
const store = await startStore(join(folder, 'store.db'));
const coordinator = await new Coordinator({
  dbFile: join(folder, 'holdfast.db'),
  port: 0,
  heartbeatIntervalMs: 500,
  log: { debug() {}, info() {}, warn() {}, error: console.error },
}).start();
const client = connect(coordinator.address);
const workers = [];

async function startWorker(name) {
  const worker = fork(here('worker.mjs'), [coordinator.address, name, folder]);
  workers.push(worker);
  await new Promise((ready) => worker.once('message', ready));
  return worker;
}

async function there(file) {
  while (!existsSync(file)) await pause(20);
  return readFileSync(file, 'utf8').trim();
}

try {
  // On worker `a` the command waits before it writes; it leaves behind how its write ended.
  const [go, ended] = ['go', 'ended'].map((name) => join(folder, name));
  const write = `"${process.execPath}" ${here('write.mjs')} http ${store.url} report`;
  const script = `
    if [ $HOLDFAST_AGENT_ID = b ]; then exec ${write} 'written by b'; fi
    touch ${folder}/started; while [ ! -e ${go} ]; do sleep 0.05; done
    code=0; ${write} 'written by a' || code=$?
    echo $code > ${ended}.new; mv ${ended}.new ${ended}`;

  const a = await startWorker('a');
  const [{ taskId }] = await client.tasks.submit([{ command: ['sh', '-c', script] }]);
  await there(`${folder}/started`);
  const first = await client.tasks.get(taskId);
  console.log(`a runs the task, try ${first.tryNumber}`);

  a.kill('SIGSTOP');
  console.log('a is cut off; its command goes on');
  await startWorker('b');
  for await (const task of client.tasks.watch([taskId])) {
    if (task.state === 'success') console.log(`b has run the task, try ${task.tryNumber}: ${task.state}`);
  }

  writeFileSync(go, '');
  const code = await there(ended);
  console.log(`a writes late: exit code ${code}, ${code === '3' ? 'refused' : 'NOT refused'}`);
  console.log(`the store has: ${await (await fetch(`${store.url}/report`)).text()}`);
  a.kill('SIGCONT');
} finally {
  client.close();
  for (const worker of workers) {
    const over = new Promise((exited) => worker.once('exit', exited));
    worker.kill('SIGCONT');
    worker.disconnect();
    await over;
  }
  await coordinator.stop();
  await store.close();
  rmSync(folder, { recursive: true });
}
