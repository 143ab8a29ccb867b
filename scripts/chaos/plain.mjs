// A coordinator on the machine's own network and disk, and whom it serves: for runs that ask how much, not what breaks.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../dist/client/index.js';
import { root } from '../tool.mjs';
import { monoMs } from './clock.mjs';
import { Fleet } from './fleet.mjs';
import { freePort } from './site.mjs';
import { boundToUs } from './world.mjs';

const START_LIMIT_MS = 15_000;
const CALL_LIMIT_MS = 10_000;
const SUBMIT_EVERY_MS = 500;
const OPEN_STATES = ['queued', 'running'];

export class Plain {
  folder = mkdtempSync(join(tmpdir(), 'hf-chaos-'));
  client = null;
  fleet;
  address;
  accidents = [];
  #signal;
  #submitted = 0;

  /** `workers`: names of real agents; `asked`: which processes bear a probe. */
  constructor(signal, { port, workers = [], asked = [] }) {
    this.#signal = signal;
    this.address = `127.0.0.1:${port}`;
    const network = { host: '127.0.0.1', addressFor: () => this.address, prefixOf: () => [] };
    const program = join(root, 'dist/main/bin.js');
    const unwanted = (what) => signal.aborted || this.accidents.push(what);
    const { folder, database } = this;
    this.fleet = new Fleet(
      { folder, database, network, program, port, bound: boundToUs(), unwanted, asked },
      workers,
    );
  }

  /** Ready to be started, on a port of its own that stays the same over restarts. */
  static async make(signal, options = {}) {
    return new Plain(signal, { ...options, port: await freePort() });
  }

  get database() {
    return join(this.folder, 'holdfast.db');
  }

  /** Starts the coordinator, again as well, and a client for it. */
  async raise() {
    await this.fleet.raiseCoordinator(START_LIMIT_MS);
    this.client?.close();
    this.client = connect(this.address, { timeoutMs: CALL_LIMIT_MS });
  }

  async sleep(ms) {
    await sleep(ms, undefined, { signal: this.#signal });
  }

  async until(condition, limitMs) {
    for (const end = monoMs() + limitMs; !(await condition()); await this.sleep(40))
      if (monoMs() >= end) return false;
    return true;
  }

  /** Submits so many tasks a second, spread over the loads: { queue, command, perSecond }. Repeats what got no answer. */
  submitting(loads) {
    let going = true;
    const run = async () => {
      while (going) {
        const next = monoMs() + SUBMIT_EVERY_MS;
        await this.#submit(loads.flatMap((load) => this.#batch(load)));
        await this.sleep(Math.max(next - monoMs(), 0));
      }
    };
    const over = run().catch((error) => {
      if (!this.#signal.aborted) this.accidents.push(`submissions ended: ${error.stack}`);
    });
    const stop = () => {
      going = false;
      return over;
    };
    return { stop };
  }

  #batch({ queue, command, perSecond }) {
    const some = Math.round((perSecond * SUBMIT_EVERY_MS) / 1_000);
    return Array.from({ length: some }, () => ({ queue, command, idempotencyKey: `k${++this.#submitted}` }));
  }

  async #submit(batch) {
    for (;;) {
      try {
        return await this.client.tasks.submit(batch);
      } catch {
        await this.sleep(200);
      }
    }
  }

  /** Waits for what was submitted; resolves to all tasks that have ended, and how many have not. */
  async settle(limitMs) {
    await this.until(async () => {
      for await (const _ of this.client.tasks.list({ states: OPEN_STATES }, { limit: 1 })) return false;
      return true;
    }, limitMs);
    const tasks = await Array.fromAsync(this.client.tasks.list());
    const ended = tasks.filter(({ state }) => !OPEN_STATES.includes(state));
    const ours = ended.filter(({ spec }) => spec.queue !== 'ballast');
    return { ended, open: this.#submitted - ours.length };
  }

  async close() {
    this.client?.close();
    await this.fleet.killAll();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}
