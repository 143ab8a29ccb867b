// A coordinator that will be killed: opens the store and commits for ever. Prints what happened, a line each:
// `open` or the fault that kept it out, then the number of each acknowledged commit.
// node committer.mjs FILE FIRST TEMPLATE: task ids are TEMPLATE.taskId + number.
import { writeSync } from 'node:fs';
import { openSqliteStore } from '../../dist/store/sqlite/open.js';

const [file, first, template] = process.argv.slice(2);
const say = (line) => writeSync(1, `${line}\n`);
const { taskId, ...fields } = JSON.parse(template);

let store;
try {
  store = openSqliteStore({ file });
} catch (error) {
  say(error.fault);
  process.exit(0);
}
say('open');

const task = (n, version, state) => ({
  row: { ...fields, taskId: `${taskId}${n}`, version, state, lastToken: BigInt(n), historyCount: version },
  lane: null,
  dueAt: null,
  wallDueAt: null,
  finishedAt: state === 'success' ? n : null,
});
const history = (n, number) => ({
  ...{ taskId: `${taskId}${n}`, n: number, at: 0, event: 'noted', agentId: '', tryNumber: 0 },
  ...{ token: BigInt(n), epoch: 1n, reason: '', message: '', offeredAt: null },
});

// Commit n submits task n and ends task n - 1: a torn commit would show as a difference between the two.
for (let n = Number(first); ; n++) {
  const isFirst = n === Number(first);
  await store.commit({
    removals: [],
    tasks: [task(n, 1, 'queued'), ...(isFirst ? [] : [task(n - 1, 2, 'success')])],
    specs: [],
    history: [history(n, 0), ...(isFirst ? [] : [history(n - 1, 1)])],
    agents: [],
    agentRemovals: [],
    sessions: [],
    queues: [],
    notifications: [],
    counters: { token: BigInt(n), epoch: 1n, serviceMs: n },
    dags: null,
  });
  say(n);
}
