// A coordinator, its agents and a submitter in one process, over real sockets and a real database: what a task costs in
// commits, messages, statements and bytes does not depend on the machine then, because all of them wait for one another.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StatementSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '../../dist/client/index.js';
import { Coordinator } from '../../dist/main/coordinator.js';
import { CONNECT } from '../../dist/wire/connect.js';
import { BareAgent } from './bare.mjs';
import { startAgents } from './processes.mjs';
import { bareTask, workThrough } from './work.mjs';

const TASKS = 2_000;
const WARM_UP = 500;
/** gRPC's own five bytes in front of each message. */
const PREFIX = 5;
const IDLE_AGENTS = 300;
/** Long enough for leases to outlast whatever else the machine does. */
const IDLE_H_MS = 2_000;
const IDLE_S = 4;

const counted = { messagesUp: 0, messagesDown: 0, bytesUp: 0, bytesDown: 0, statements: 0 };
countMessages();
countStatements();
const told = { oneAgent: await shape(1, 100), hundredAgents: await shape(100, 1), idle: await idle() };
process.send?.(told, () => process.exit(0));

/** Before a server is made: it keeps the functions that it finds then. */
function countMessages() {
  const connected = /** @type {any} */ (CONNECT);
  const { requestDeserialize, responseSerialize } = connected;
  connected.requestDeserialize = (bytes) => {
    counted.messagesUp++;
    counted.bytesUp += bytes.length + PREFIX;
    return requestDeserialize(bytes);
  };
  connected.responseSerialize = (message) => {
    const bytes = responseSerialize(message);
    counted.messagesDown++;
    counted.bytesDown += bytes.length + PREFIX;
    return bytes;
  };
}

function countStatements() {
  for (const name of /** @type {const} */ (['run', 'get', 'all'])) {
    const executed = /** @type {any} */ (StatementSync.prototype[name]);
    /** @type {any} */ (StatementSync.prototype)[name] = function (...params) {
      counted.statements++;
      return Reflect.apply(executed, this, params);
    };
  }
}

async function started(heartbeatIntervalMs) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const coordinator = new Coordinator({ dbFile: join(folder, 'holdfast.db'), port: 0, heartbeatIntervalMs });
  await coordinator.start();
  const stop = async () => {
    await coordinator.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { address: coordinator.address, client: connect(coordinator.address), stop };
}

/** What each of 2,000 tasks has cost, submitted as fast as they go while the agents are there. */
async function shape(agents, slots) {
  const { address, client, stop } = await started(5_000);
  const fleet = await Promise.all(
    Array.from(
      { length: agents },
      (_, i) =>
        new Promise((resolve) => {
          const told = { session: () => resolve(agent) };
          const agent = new BareAgent({ address, agentId: `agent-${i}`, instance: 1, slots, told });
        }),
    ),
  );
  await workThrough(client, WARM_UP, bareTask);
  const before = { ...counted };
  const countersBefore = (await client.coordinator()).counters;
  await workThrough(client, TASKS, bareTask);
  const { counters } = await client.coordinator();
  const of = (name) => counted[name] - before[name];
  const since = (name) => Number(counters[name]) - Number(countersBefore[name]);
  for (const agent of fleet) agent.vanish();
  client.close();
  await stop();
  return {
    commitsPer1000: (1_000 * since('commits')) / TASKS,
    messagesPerTask: (of('messagesUp') + of('messagesDown')) / TASKS,
    recordsPerMessage: (since('permits') + since('reports')) / of('messagesUp'),
    statementsPerTask: of('statements') / TASKS,
    bytesPerTask: (of('bytesUp') + of('bytesDown')) / TASKS,
  };
}

/** What a heartbeat that says nothing new allocates in the coordinator, its frames and its share of timers included. */
async function idle() {
  const { address, client, stop } = await started(IDLE_H_MS);
  const workers = startAgents(address, 'idle', 1, IDLE_AGENTS);
  await workers.connected;
  // What connecting has left behind is no idling.
  await wait(IDLE_H_MS);
  const before = { ...counted };
  const commitsBefore = (await client.coordinator()).counters.commits;
  const { bytes, beats } = await allocated();
  const commits = Number((await client.coordinator()).counters.commits - commitsBefore);
  const messages = counted.messagesUp - before.messagesUp;
  await workers.stop();
  client.close();
  await stop();
  return { bytesPerHeartbeat: bytes / beats, commits, heartbeats: messages };
}

/** Growth of the heap between two looks, but for those with a collection of garbage between them. */
async function allocated() {
  let [bytes, beats] = [0, 0];
  const end = performance.now() + 1_000 * IDLE_S;
  while (performance.now() < end) {
    const heap = process.memoryUsage().heapUsed;
    const seen = counted.messagesUp;
    await wait(20);
    const grown = process.memoryUsage().heapUsed - heap;
    if (grown < 0) continue;
    bytes += grown;
    beats += counted.messagesUp - seen;
  }
  return { bytes, beats };
}
