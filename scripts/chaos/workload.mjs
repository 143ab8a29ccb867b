// The steady load: short commands of all three partition policies, some retried, some deaf to SIGTERM, some cancelled.
// Every submission bears an idempotency key and is repeated until it is acknowledged: what the client was told is known.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasEnded } from '../../dist/client/index.js';
import { monoMs } from './clock.mjs';

const stubFile = fileURLToPath(import.meta.resolve('./stub.mjs'));
const STEP_MS = 100;
const BATCH = 3;
const EVERY_MS = 550;
/** With more open tasks than this nothing is added: an outage must not fill the queue for minutes. */
const MOST_OPEN = 45;
export const POLICIES = ['reassign', 'single_run', 'hold'];
const KILL_GRACE_MS = 300;
/** Only what outlives a lease can be caught running twice: with fewer long ones a broken rule goes unseen. */
const LONG_SHARE = 0.45;
const BALLAST_QUEUE = 'ballast';
const BALLAST_TASKS = 20;

/** A task that tells from outside when it runs. */
export function stubTask(folder, key, { durationMs, failTries, stubborn, policy, retries }) {
  const env = {
    CHAOS_FOLDER: folder,
    CHAOS_KEY: key,
    CHAOS_STEP_MS: String(STEP_MS),
    CHAOS_DURATION_MS: String(Math.round(durationMs)),
    CHAOS_FAIL_TRIES: String(failTries),
    CHAOS_STUBBORN: stubborn ? '1' : '0',
  };
  return {
    command: [process.execPath, stubFile],
    env,
    partitionPolicy: policy,
    killGraceMs: KILL_GRACE_MS,
    retries,
    retryBackoff: { initialMs: 100, maxMs: 400 },
    idempotencyKey: key,
  };
}

export class Workload {
  /** Acknowledged submissions, by key. */
  accepted = new Map();
  /** What the client was shown: states by task, with the time. */
  seen = [];
  refused = new Map();
  /** When calls of the coordinator were refused for want of room, by their time. */
  noRoom = [];
  #link;
  #random;
  #folder;
  #open = new Set();
  #last = new Map();
  #number = 0;
  #running = false;
  #loop = Promise.resolve();

  /** `link.client` is the client of the moment: a restart of the coordinator may bring a new one. */
  constructor(link, random, folder) {
    this.#link = link;
    this.#random = random;
    this.#folder = folder;
  }

  start() {
    this.#running = true;
    this.#loop = Promise.all([this.#submitting(), this.#watching()]).then(() => {});
  }

  /** No new tasks; resolves when what was begun is acknowledged. */
  async stop() {
    this.#running = false;
    await this.#loop;
  }

  get openCount() {
    return this.#open.size;
  }

  #spec(key) {
    const random = this.#random;
    const failing = random.chance(0.15);
    return stubTask(this.#folder, key, {
      durationMs: random.chance(LONG_SHARE) ? random.between(2_500, 6_000) : random.between(100, 1_500),
      failTries: failing ? 1 : 0,
      stubborn: random.chance(0.2),
      policy: random.pick(POLICIES),
      retries: failing && random.chance(0.8) ? 2 : 0,
    });
  }

  async #submitting() {
    while (this.#running) {
      const next = monoMs() + EVERY_MS;
      if (this.#open.size < MOST_OPEN) {
        await this.submit(Array.from({ length: BATCH }, () => this.#spec(`k${++this.#number}`)));
        if (this.#random.chance(0.1)) await this.#cancelOne();
      }
      await pause(next - monoMs());
    }
  }

  /** Until they are acknowledged. */
  async submit(batch) {
    for (;;) {
      try {
        const told = await this.#link.client.tasks.submit(batch, { timeoutMs: 2_000 });
        told.forEach(({ taskId }, index) => {
          this.accepted.set(batch[index].idempotencyKey, { taskId, spec: batch[index], at: monoMs() });
          this.#open.add(taskId);
        });
        return;
      } catch (error) {
        this.#refusal(error);
        await pause(100);
      }
    }
  }

  #refusal(error) {
    const code = error.code ?? String(error);
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
    if (error.grpcStatus === 8) this.noRoom.push(monoMs());
  }

  /** An operator who cancels something, whatever becomes of the call. */
  async #cancelOne() {
    const taskId = this.#random.pick([...this.#open]);
    if (taskId === undefined) return;
    await this.#link.client.tasks.cancel(taskId, 'chaos', { timeoutMs: 1_000 }).catch(() => {});
  }

  async #watching() {
    while (this.#running) {
      await this.look().catch(() => {});
      await pause(400);
    }
  }

  /** Reads what is open, and remembers each state that was shown. */
  async look() {
    if (this.#open.size === 0) return;
    const shown = new Map();
    // Newest first: the open ones are among the last few hundred, and else asked for one by one.
    for await (const task of this.#link.client.tasks.list({}, { limit: 200, timeoutMs: 2_000 }))
      shown.set(task.taskId, task);
    for (const taskId of [...this.#open]) {
      this.#saw(shown.get(taskId) ?? (await this.#link.client.tasks.get(taskId, { timeoutMs: 2_000 })));
    }
  }

  #saw(task) {
    const { taskId, state, fencingToken } = task;
    const face = `${state} ${fencingToken}`;
    if (hasEnded(state)) this.#open.delete(taskId);
    if (this.#last.get(taskId) === face) return;
    this.#last.set(taskId, face);
    this.seen.push({ at: monoMs(), taskId, state, token: fencingToken });
  }

  /**
   * The operator's word for runs of `hold` that wait for an agent whose disk is gone: their processes died with it, as the
   * harness knows that killed it. Nobody else could know.
   */
  async release(agentId) {
    for await (const task of this.#link.client.tasks.list({ states: ['running'] }, { timeoutMs: 2_000 })) {
      const isHeld = task.lost !== undefined && task.spec.partitionPolicy === 'hold';
      if (!isHeld || (agentId !== undefined && task.lost.agentId !== agentId)) continue;
      await this.#link.client.tasks
        .resolve(task.taskId, 'reassign', 'its agent was killed', { timeoutMs: 2_000 })
        .catch(() => {});
    }
  }

  /**
   * Large tasks for a queue that nobody serves, to take up a disk's last room sooner than small commits would: what a
   * database has claimed before, it can go on using while the disk is full. False when they were refused.
   */
  async addBallast(bytes) {
    const env = { BALLAST: 'x'.repeat(bytes) };
    const batch = Array.from({ length: BALLAST_TASKS }, () => ({
      command: ['true'],
      queue: BALLAST_QUEUE,
      env,
      idempotencyKey: `ballast${++this.#number}`,
    }));
    try {
      const told = await this.#link.client.tasks.submit(batch, { timeoutMs: 2_000 });
      told.forEach(({ taskId }, index) => {
        this.accepted.set(batch[index].idempotencyKey, { taskId, spec: batch[index], at: monoMs() });
      });
      return true;
    } catch (error) {
      this.#refusal(error);
      return false;
    }
  }

  async cancelBallast() {
    const { tasks } = this.#link.client;
    const ballast = await Array.fromAsync(tasks.list({ queue: BALLAST_QUEUE, states: ['queued'] }));
    for (const { taskId } of ballast) await tasks.cancel(taskId, 'ballast');
  }

  /** Every task with its history, as the API tells it at the end. */
  async collect() {
    const tasks = [];
    for await (const { taskId } of this.#link.client.tasks.list())
      tasks.push(await this.#link.client.tasks.get(taskId));
    return tasks;
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(ms, 0)));

export const historyFileOf = (folder) => join(folder, 'history.jsonl');
