// What a task and a heartbeat cost where no machine's mood shows: in counts. test/bench holds them within bounds.
import { fork } from 'node:child_process';
import { follow } from './processes.mjs';

const program = new URL('./counts-process.mjs', import.meta.url).pathname;
/** A young generation so large that collections are few: what a look between two of them sees was allocated since. */
const FLAGS = ['--min-semi-space-size=32', '--max-semi-space-size=32'];
const LIMIT_MS = 90_000;

/** { oneAgent, hundredAgents, idle }, see counts-process.mjs. */
export function counts() {
  const child = follow(fork(program, { execArgv: FLAGS, timeout: LIMIT_MS, killSignal: 'SIGKILL' }));
  return new Promise((resolve, reject) => {
    let told = null;
    child.once('message', (counted) => {
      told = counted;
    });
    child.once('exit', (code) => {
      if (told !== null) resolve(told);
      else reject(new Error(`counting ended with ${code} before it was done`));
    });
  });
}

const NAMES = {
  commitsPer1000: 'commits per 1,000 tasks',
  messagesPerTask: 'messages a task, up and down',
  recordsPerMessage: 'start requests and reports a message up',
  statementsPerTask: 'statements of the store a task',
  bytesPerTask: 'bytes a task on the stream, up and down',
};

/** `bench counts`. */
export async function countsPart() {
  const told = await counts();
  const { oneAgent, hundredAgents, idle } = told;
  const rows = Object.entries(NAMES).map(([key, name]) => [name, oneAgent[key], hundredAgents[key]]);
  return {
    figures: { counts: told },
    tables: [
      { title: 'costs in counts, the same on every machine', head: ['of a task', '1×100', '100×1'], rows },
      {
        title: 'of an idle heartbeat, in the coordinator',
        head: ['figure', 'value'],
        rows: [
          ['bytes allocated', idle.bytesPerHeartbeat],
          [`commits for ${idle.heartbeats} of them`, idle.commits],
        ],
      },
    ],
  };
}
