import type { AgentEvent } from '../../agent/core/events.js';
import type { Instant } from '../../agent/core/gate.js';
import type { Up } from '../../agent/core/messages.js';

/** La as a share of L, by the protocol's word and not by the coordinator's (P2). */
const GATE_SHARE = 5 / 6;

/**
 * What somebody beside an agent's process knows of its gate, from nothing but the messages that pass: when each heartbeat
 * was sent, by the machine's own clocks, and which of them was acknowledged. K8 is judged by it.
 */
export class Pulse {
  #streamNo = 0n;
  /** When each message up of the newest stream was sent, until it is acknowledged. */
  #sent = new Map<number, Instant>();
  #newest: Instant | null = null;
  #leaseMs = 0;

  sent(streamNo: bigint, message: Up, at: Instant): void {
    if (message.kind === 'goodbye') return;
    if (streamNo > this.#streamNo) {
      this.#streamNo = streamNo;
      this.#sent = new Map();
    }
    this.#sent.set(message.kind === 'hello' ? 1 : message.beat.seq, at);
  }

  heard(event: AgentEvent): void {
    if (event.kind !== 'welcome' && event.kind !== 'ack') return;
    if (event.streamNo !== this.#streamNo) return;
    if (event.kind === 'welcome') this.#leaseMs = event.welcome.leaseMs;
    const received = event.kind === 'welcome' ? 1 : event.ack.received;
    this.#newest = this.#sent.get(received) ?? this.#newest;
    for (const seq of this.#sent.keys()) if (seq <= received) this.#sent.delete(seq);
  }

  /** How long ago the newest acknowledged heartbeat was sent, by whichever clock has gone furthest; and La. */
  gate(now: Instant): { readonly sinceMs: number; readonly limitMs: number } {
    const limitMs = GATE_SHARE * this.#leaseMs;
    const newest = this.#newest;
    if (newest === null) return { sinceMs: Number.POSITIVE_INFINITY, limitMs };
    const sinceMs = Math.max(now.mono - newest.mono, now.boot - newest.boot, now.wall - newest.wall);
    return { sinceMs, limitMs };
  }
}
