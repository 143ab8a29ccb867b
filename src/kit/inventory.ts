import type { Nonce, TaskId, Token } from './ids.js';

/** Where an inventory entry stands; the names and numbers of the proto's InventoryPhase. */
export type Phase = 'asked' | 'running' | 'stopping' | 'finished' | 'void' | 'lost';

const PHASE_NUMBER: Readonly<Record<Phase, number>> = {
  asked: 1,
  running: 2,
  stopping: 3,
  finished: 4,
  void: 5,
  lost: 6,
};

/** One thing an agent holds: a start request by its nonce while asked, else a run by its token. */
export type Entry =
  | { readonly phase: 'asked'; readonly nonce: Nonce; readonly taskId: TaskId }
  | { readonly phase: Exclude<Phase, 'asked'>; readonly token: Token; readonly taskId: TaskId };

const FNV_START = 2_166_136_261;
const FNV_PRIME = 16_777_619;
/** What eight bytes of zero multiply a hash by: the prime's eighth power modulo 2^32. */
const EIGHT_ZEROS = 1_566_662_433;

/** FNV-1a (32 bit) over the 17 bytes that the proto's comment on Heartbeat defines: token, nonce, phase. */
export function entryHash(entry: Entry): number {
  const hash =
    entry.phase === 'asked'
      ? hash64(Math.imul(FNV_START, EIGHT_ZEROS), entry.nonce)
      : Math.imul(hash64(FNV_START, entry.token), EIGHT_ZEROS);
  return Math.imul(hash ^ PHASE_NUMBER[entry.phase], FNV_PRIME) >>> 0;
}

const slotsOf = ({ phase }: Entry): number => (phase === 'running' || phase === 'stopping' ? 1 : 0);

function hash64(start: number, value: bigint): number {
  // Nearly all are exact as numbers, with which this takes a third of the time.
  const whole = Number(value);
  const isExact = whole <= Number.MAX_SAFE_INTEGER;
  let low = isExact ? whole >>> 0 : Number(value & 0xffff_ffffn);
  let high = isExact ? Math.floor(whole / 2 ** 32) : Number(value >> 32n);
  let hash = start;
  for (let i = 0; i < 4; i++, low >>>= 8) hash = Math.imul(hash ^ (low & 255), FNV_PRIME);
  for (let i = 0; i < 4; i++, high >>>= 8) hash = Math.imul(hash ^ (high & 255), FNV_PRIME);
  return hash;
}

/**
 * What an agent holds, with the count and hash by which both sides notice that they differ. The agent keeps one of its
 * own doings, the coordinator one of what it was told; the events that change it are listed at the proto's Heartbeat.
 */
export class Inventory {
  readonly #runs = new Map<Token, Entry & { token: Token }>();
  readonly #asked = new Map<Nonce, Entry & { phase: 'asked' }>();
  #hash = 0;
  /** Running and stopping ones. */
  #working = 0;

  get count(): number {
    return this.#runs.size + this.#asked.size;
  }

  /** Sum of the entries' hashes modulo 2^32; 0 when empty. */
  get hash(): number {
    return this.#hash;
  }

  phase(token: Token): Phase | null {
    return this.#runs.get(token)?.phase ?? null;
  }

  asks(nonce: Nonce): boolean {
    return this.#asked.has(nonce);
  }

  entries(): Entry[] {
    return [...this.#asked.values(), ...this.#runs.values()];
  }

  runs(): IterableIterator<Entry & { token: Token }> {
    return this.#runs.values();
  }

  /** How many entries take a slot: asked, running and stopping ones. */
  occupied(): number {
    return this.#asked.size + this.#working;
  }

  put(entry: Entry): void {
    if (entry.phase === 'asked') {
      if (this.#asked.has(entry.nonce)) return;
      this.#asked.set(entry.nonce, entry);
    } else {
      const old = this.#runs.get(entry.token);
      if (old?.phase === entry.phase) return;
      if (old !== undefined) {
        this.#hash = (this.#hash - entryHash(old)) >>> 0;
        this.#working -= slotsOf(old);
      }
      this.#working += slotsOf(entry);
      this.#runs.set(entry.token, entry);
    }
    this.#hash = (this.#hash + entryHash(entry)) >>> 0;
  }

  /** A permit, once applied: its nonce goes, its token runs unless it is there already. */
  permit(nonce: Nonce, token: Token, taskId: TaskId): void {
    this.dropNonce(nonce);
    if (!this.#runs.has(token)) this.put({ phase: 'running', token, taskId });
  }

  dropToken(token: Token): void {
    const old = this.#runs.get(token);
    if (old === undefined) return;
    this.#runs.delete(token);
    this.#working -= slotsOf(old);
    this.#hash = (this.#hash - entryHash(old)) >>> 0;
  }

  dropNonce(nonce: Nonce): void {
    const old = this.#asked.get(nonce);
    if (old === undefined) return;
    this.#asked.delete(nonce);
    this.#hash = (this.#hash - entryHash(old)) >>> 0;
  }

  replace(entries: readonly Entry[]): void {
    this.#runs.clear();
    this.#asked.clear();
    this.#hash = 0;
    this.#working = 0;
    for (const entry of entries) this.put(entry);
  }
}
