// The streams of the plain worker, one at a time: dialled for ever, given up after 1.5 H of silence.
import { resolve } from 'node:path';
import { Client, credentials, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { hasFault } from './fault.mjs';

const definition = loadSync('holdfast/v1/agent_service.proto', {
  includeDirs: [resolve(import.meta.dirname, '../../../proto')],
  ...{ longs: String, enums: String, defaults: true, oneofs: true },
});
/** @type {any} */
const service = definition['holdfast.v1.AgentService'];
const { path, requestSerialize, responseDeserialize } = service.Connect;

const LOOK_MS = 10;
const DENIED_MS = 30_000;
const DENIED = [status.UNAUTHENTICATED, status.PERMISSION_DENIED];
const GIVEN = process.env.HOLDFAST_COORDINATOR;

let standing = 0;
/** Milliseconds; `standing-clock` stands still while the process is stopped, as a clock of one's own making would. */
export const clock = () => (hasFault('standing-clock') ? standing : performance.now());

const read = (bytes) => {
  const isLater = bytes.includes('from a later version') && bytes[0] === 0x12;
  return hasFault('refuse-unknown-field') && isLater ? {} : responseDeserialize(bytes);
};

/** `worker` has: hello(), its first messages; heard(down); lost(); look(), called often. */
export class Link {
  streamNo = 0;
  /** H in milliseconds, once there is a Welcome. */
  heartbeatMs = null;
  isLeaving = false;
  #worker;
  #call = null;
  #clients = new Map();
  #heardAt = 0;
  #named = [];

  constructor(worker) {
    this.#worker = worker;
    setInterval(() => {
      standing += LOOK_MS;
      this.#listen();
      worker.look();
    }, LOOK_MS);
  }

  get isUp() {
    return this.#call !== null && this.heartbeatMs !== null;
  }

  send(message) {
    this.#call?.write(message);
  }

  dial(afterMs = 0) {
    setTimeout(() => this.#dial(), afterMs);
  }

  #dial() {
    const address = this.#named[0] ?? GIVEN;
    if (!hasFault('only-named')) this.#named = this.#named.slice(1);
    this.streamNo++;
    const call = this.#clientTo(address).makeBidiStreamRequest(path, requestSerialize, read);
    this.#call = call;
    this.#heardAt = clock();
    call.on('data', (down) => {
      if (call !== this.#call && !hasFault('hear-older')) return;
      this.#heardAt = clock();
      this.#hear(call, down);
    });
    call.on('error', () => {});
    call.on('status', ({ code, details }) => this.#lost(call, { code, details }));
    for (const message of this.#worker.hello()) call.write(message);
  }

  /** A connection of its own for each stream: a dead one would take the next stream with it. */
  #clientTo(address) {
    if (hasFault('one-connection') && this.#clients.has(address)) return this.#clients.get(address);
    for (const client of this.#clients.values()) if (!hasFault('hear-older')) client.close();
    this.#clients.clear();
    const client = new Client(address, credentials.createInsecure(), {
      ...{
        'grpc.use_local_subchannel_pool': 1,
        'grpc.enable_retries': 0,
        'grpc.initial_reconnect_backoff_ms': 100,
      },
    });
    this.#clients.set(address, client);
    return client;
  }

  #hear(call, down) {
    const { reconnect, refused } = down;
    if (down.message === 'reconnect') {
      if (!hasFault('no-addresses')) this.#named = [...reconnect.addresses];
      return this.#lost(call, { askedMs: hasFault('no-delay') ? 0 : millis(reconnect.delay) });
    }
    if (down.message === 'refused') {
      this.#worker.heard(down);
      const isUnknown = typeof refused.reason === 'number';
      const hasty = hasFault('refused-no-delay') || (isUnknown && hasFault('unknown-refusal-no-delay'));
      return this.#lost(call, { askedMs: hasty ? 0 : millis(refused.delay) });
    }
    if (down.message === undefined && hasFault('hang-up-on-unknown')) return this.#lost(call, {});
    this.#worker.heard(down);
  }

  #listen() {
    if (!this.isUp || hasFault('deaf')) return;
    if (clock() - this.#heardAt > 1.5 * this.heartbeatMs) this.#lost(this.#call, {});
  }

  hangUp() {
    this.#lost(this.#call, {});
  }

  #lost(call, { code = status.OK, details = '', askedMs = 0 }) {
    if (call !== this.#call || call === null) return;
    this.#call = null;
    this.heartbeatMs = null;
    if (!hasFault('hear-older')) call.cancel();
    this.#worker.lost();
    if (this.isLeaving) process.exit(0);
    if (hasFault('ends-when-denied') && DENIED.includes(code)) process.exit(1);
    if (hasFault('cancelled-is-goodbye') && code === status.CANCELLED) return;
    if (hasFault('gives-up') && code === status.UNAVAILABLE && !details.includes('script')) return;
    const isDenied = DENIED.includes(code) && !hasFault('denied-fast');
    const jitter = hasFault('tight-loop') ? 0 : 50 + Math.random() * 150;
    this.dial(jitter + askedMs + (isDenied ? DENIED_MS : 0));
  }
}

export const millis = (duration) =>
  duration === null || duration === undefined ? 0 : Number(duration.seconds) * 1_000 + duration.nanos / 1e6;
