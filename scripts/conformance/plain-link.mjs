// The part that every plain agent has: one stream at a time, heartbeats, the gate. It is written from the protos alone, and
// is right unless HOLDFAST_FAULT names a fault that it is to have.
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const protos = resolve(import.meta.dirname, '../../proto');
export const definition = loadSync(['holdfast/v1/agent_service.proto', 'holdfast/v1/dag_service.proto'], {
  includeDirs: [protos],
  ...{ longs: String, enums: String, defaults: true, oneofs: true },
});
/** @type {any} */
const service = definition['holdfast.v1.AgentService'];
const { Connect } = service;

export const hasFault = (name) => process.env.HOLDFAST_FAULT === name;
const millis = ({ seconds, nanos }) => Number(seconds) * 1_000 + nanos / 1e6;

/**
 * A link that dials for ever. `agent` has: hello, the fields of its Hello beside who it is; events(), what its next
 * heartbeat carries; apply(ack), heard(message), connected(isNewSession), stop() and goOn() around the closed gate.
 */
export class Link {
  epoch = '0';
  #agent;
  #client = new Client(process.env.HOLDFAST_COORDINATOR, credentials.createInsecure());
  #instanceId = randomUUID();
  #call = null;
  #streamNo = 0;
  #seq = 1;
  #applied = 1;
  #sentAt = [];
  #parts = [];
  #welcome = null;
  #gateEndsAt = 0;
  #heardAt = 0;
  #timers = [];
  #isOpen = false;

  constructor(agent) {
    this.#agent = agent;
    setInterval(() => this.#look(), 10);
    process.on('SIGTERM', () => this.#leave());
  }

  /** Checked where something is about to be done as well: this process may have been stopped for a while. */
  get gateIsOpen() {
    if (hasFault('no-gate') || hasFault('outlive-stream')) return true;
    return this.#welcome !== null && performance.now() < this.#gateEndsAt;
  }

  dial() {
    this.#streamNo++;
    this.#seq = 1;
    this.#applied = 1;
    this.#sentAt = [0, performance.now()];
    this.#parts = [];
    const { path, requestSerialize, responseDeserialize } = Connect;
    const call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    this.#call = call;
    this.#heardAt = performance.now();
    call.on('data', (down) => {
      this.#heardAt = performance.now();
      if (call === this.#call) this.#hear(down);
    });
    call.on('error', () => {});
    call.on('status', () => this.#lost(call));
    call.write({
      hello: {
        ...{ agentId: process.env.HOLDFAST_AGENT_ID, instanceId: this.#instanceId, streamNo: this.#streamNo },
        ...{ software: 'plain/1', protocolVersion: 1, ...this.#agent.hello },
      },
    });
  }

  say(message) {
    if (this.#welcome !== null) this.#call.write(message);
  }

  #lost(call) {
    if (call !== this.#call) return;
    this.#call = null;
    this.#welcome = null;
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    call.cancel();
    if (!hasFault('outlive-stream')) {
      this.#isOpen = false;
      this.#agent.lost();
    }
    setTimeout(() => this.dial(), 50 + Math.random() * 100);
  }

  /** The gate's end, and a silence after which the stream counts as lost. */
  #look() {
    if (this.#welcome === null || hasFault('no-gate')) return;
    const silentMs = performance.now() - this.#heardAt;
    if (silentMs > 1.5 * millis(this.#welcome.heartbeatInterval)) return this.#lost(this.#call);
    if (this.#isOpen !== this.gateIsOpen) {
      this.#isOpen = this.gateIsOpen;
      if (this.#isOpen) this.#agent.goOn();
      else this.#agent.stop();
    }
  }

  #hear(down) {
    if (down.message === 'welcome') return this.#welcomed(down.welcome);
    if (down.message === 'ack') return this.#hearPart(down.ack);
    if (down.message === 'reconnect') return this.#call.end();
    if (down.message === 'farewell') process.exit(0);
    this.#agent.heard?.(down);
  }

  #welcomed(welcome) {
    this.#welcome = welcome;
    this.#gateEndsAt = this.#sentAt[1] + millis(welcome.gate);
    this.#isOpen = true;
    const isNew = welcome.epoch !== this.epoch;
    this.epoch = welcome.epoch;
    this.#agent.connected?.(isNew);
    this.beat();
    this.#timers.push(setInterval(() => this.beat(), millis(welcome.heartbeatInterval)));
  }

  #hearPart(part) {
    const sentAt = this.#sentAt[Number(part.received)];
    if (sentAt !== undefined && this.#welcome !== null)
      this.#gateEndsAt = Math.max(this.#gateEndsAt, sentAt + millis(this.#welcome.gate));
    this.#parts.push(part);
    if (part.more && !hasFault('parts-at-once')) return;
    const parts = this.#parts;
    this.#parts = [];
    this.#applied = Number(part.number);
    this.#look();
    for (const ack of parts) this.#agent.apply?.(ack);
  }

  beat() {
    if (this.#welcome === null) return;
    this.#sentAt[++this.#seq] = performance.now();
    const heartbeat = { seq: this.#seq, applied: this.#applied, inventoryCount: 0, inventoryHash: 0 };
    this.#call.write({
      heartbeat: { ...heartbeat, freeSlots: 0, triggerEvents: this.#agent.events?.() ?? [] },
    });
  }

  #leave() {
    this.#agent.stop();
    if (this.#welcome === null) process.exit(0);
    this.say({ goodbye: { endsSession: true, reason: 'told to end' } });
  }
}
