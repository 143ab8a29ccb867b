// The task: a command that says from outside when it ran. Each line goes to one shared file with a single O_APPEND
// write, so that lines of many processes never mix.
//
// Whether another run of the same task is alive at its start is not guessed from lines: each run listens on a socket
// file of its own, and the kernel closes that at the very moment the process dies, whatever killed it.
import { openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';

const { env } = process;
const execNs = process.hrtime.bigint() - BigInt(Math.round(performance.now() * 1e6));
const folder = env.CHAOS_FOLDER;
const token = env.HOLDFAST_FENCING_TOKEN;
const tryNumber = Number(env.HOLDFAST_TRY_NUMBER);
const [durationMs, failTries] = [Number(env.CHAOS_DURATION_MS), Number(env.CHAOS_FAIL_TRIES)];
const file = openSync(join(folder, 'history.jsonl'), 'a');

function mark(what, more = {}) {
  const line = {
    what,
    ns: String(process.hrtime.bigint()),
    taskId: env.HOLDFAST_TASK_ID,
    tryNumber,
    token,
    agentId: env.HOLDFAST_AGENT_ID,
    instanceId: env.HOLDFAST_AGENT_INSTANCE ?? '',
    pid: process.pid,
    ...more,
  };
  writeSync(file, `${JSON.stringify(line)}\n`);
}

/** Tokens of other runs of this task that are alive now. Stopped ones are: the kernel still takes the call for them. */
async function runsBeside() {
  const others = readdirSync('.').filter(
    (name) => name.startsWith(`${env.CHAOS_KEY}.`) && name !== `${env.CHAOS_KEY}.${token}`,
  );
  const alive = await Promise.all(others.map(isAnswered));
  return others.filter((_, index) => alive[index]).map((name) => name.split('.')[1]);
}

function isAnswered(name) {
  return new Promise((resolve) => {
    const socket = connect(name);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.unref();
  });
}

function end(code) {
  if (code === 0) writeFileSync(env.HOLDFAST_RESULT_FILE, JSON.stringify({ token }));
  mark('end', { code });
  rmSync(`${env.CHAOS_KEY}.${token}`, { force: true });
  process.exit(code);
}

// Short relative names: the path of a socket has 108 bytes at most.
process.chdir(join(folder, 'alive'));
process.on('SIGTERM', () => {
  mark('term');
  if (env.CHAOS_STUBBORN !== '1') end(143);
});
const server = createServer((socket) => socket.destroy());
// Another process cannot have this name: a token is drawn once. If it has, the second start must be seen as well.
server.on('error', () => {});
await new Promise((resolve) => {
  server.once('error', resolve).listen(`${env.CHAOS_KEY}.${token}`, () => resolve(undefined));
});
mark('start', { execNs: String(execNs), beside: await runsBeside() });
setInterval(() => mark('alive'), Number(env.CHAOS_STEP_MS));
setTimeout(() => end(tryNumber <= failTries ? 3 : 0), durationMs);
