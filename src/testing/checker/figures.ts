import type { Book } from './book.js';
import { OUTCOMES } from './endings.js';
import type { Judged, Recorded } from './events.js';

/** Something measured, in milliseconds. */
export interface Measured {
  readonly kind: string;
  readonly ms: number;
}

const COUNTED: Readonly<Partial<Record<Recorded['event'], string>>> = {
  permitted: 'permits',
  late_report_refused: 'late reports refused',
  adopted: 'runs adopted',
  lost: 'tries lost',
};

/** What a history shows besides promises kept: how often things happened, and how long they took. */
export class Figures {
  readonly counts = new Map<string, number>();
  readonly #times: Measured[] = [];
  /** By token: how long it outlived its agent, by its last sign. */
  readonly #outlived = new Map<bigint, number>();

  get times(): Measured[] {
    const kind = 'last sign of life of a command, since its agent was killed';
    return [...this.#times, ...[...this.#outlived.values()].map((ms) => ({ kind, ms }))];
  }

  #add(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  count(event: Judged, book: Book): void {
    switch (event.kind) {
      case 'recorded':
        return this.#countRecorded(event);
      case 'started':
        return this.#add('starts');
      case 'together':
        return this.#add(`overlaps under ${event.newer.policy}`);
      case 'outlived':
        return void this.#outlived.set(event.token, event.livedMs);
      case 'granted':
        return this.#add('sessions');
      case 'listed':
        this.#add('tasks');
        return this.#add(`tasks ${event.state}${event.state === 'failed' ? ` (${event.reason})` : ''}`);
      case 'failed': {
        this.#add('agents failed');
        const { late } = book.session(event.epoch);
        if (late === null || late.at <= book.calmSince) return;
        this.#times.push({
          kind: 'an agent is failed, since its last heartbeat',
          ms: event.clockMs - late.clockMs,
        });
        return;
      }
      case 'detected': {
        const { fault, found, disturbed, at } = event;
        if (disturbed) return this.#add('losses not timed');
        if (!found) return;
        const kind = `an agent is failed, since ${fault.fault}, seen from outside`;
        this.#times.push({ kind, ms: at - fault.at });
        return;
      }
      case 'accepted':
      case 'acknowledged':
      case 'permit_told':
      case 'alive':
      case 'ended':
      case 'slept':
      case 'forgotten':
      case 'heard':
      case 'disturbed':
      case 'fault':
      case 'shown':
      case 'over':
      case 'crowd':
      case 'sharing':
      case 'counted':
        return;
    }
  }

  #countRecorded({ event, token }: Recorded): void {
    const name = COUNTED[event];
    if (name !== undefined) this.#add(name);
    if (OUTCOMES.has(event) && token !== 0n) this.#add('tries');
  }
}
