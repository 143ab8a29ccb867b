// What grpc-js alone can do here and now: the yardstick for everything that goes over it.
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificate } from './certificate.mjs';
import { cpuSeconds, exited, follow } from './processes.mjs';

const program = new URL('./raw-echo.mjs', import.meta.url).pathname;
const LIMIT_MS = 60_000;

/** `streams` connections with one message of `records` records under way each, for `seconds`. */
export async function rawEcho({ streams, records, seconds, tls = false }) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  try {
    const files = tls ? certificate(folder) : {};
    const server = start({ role: 'server', ...files });
    const { port } = await message(server);
    const client = start({ role: 'client', port, streams, records, seconds, cert: files.cert });
    await message(client);
    const cpuBefore = cpuSeconds(server.pid);
    const told = await message(client);
    const cpu = cpuSeconds(server.pid) - cpuBefore;
    await exited(client);
    server.kill('SIGKILL');
    await exited(server);
    return { ...told, serverMicrosPerMessage: (1e6 * cpu) / (told.messagesPerS * seconds) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const start = (settings) => follow(fork(program, [JSON.stringify(settings)]));

function message(child) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('an end of the echo did not answer')), LIMIT_MS);
    const over = () => reject(new Error('an end of the echo has died'));
    child.once('exit', over);
    child.once('message', (told) => {
      clearTimeout(timer);
      child.off('exit', over);
      resolve(told);
    });
  });
}
