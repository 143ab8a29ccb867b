// Written from the comment on Heartbeat in agent_service.proto, and from nothing else.

/** The numbers of InventoryPhase. */
export const PHASES = {
  INVENTORY_PHASE_ASKED: 1,
  INVENTORY_PHASE_RUNNING: 2,
  INVENTORY_PHASE_STOPPING: 3,
  INVENTORY_PHASE_FINISHED: 4,
  INVENTORY_PHASE_VOID: 5,
  INVENTORY_PHASE_LOST: 6,
} as const;

export type PhaseName = keyof typeof PHASES;

export interface HeldEntry {
  readonly phase: PhaseName;
  readonly token: string;
  readonly nonce: string;
  readonly taskId: string;
}

/** FNV-1a, 32 bit, over 17 bytes: token and nonce little-endian, the phase's number. */
export function hashOfEntry(token: bigint, nonce: bigint, phase: number): number {
  const bytes = Buffer.alloc(17);
  bytes.writeBigUInt64LE(token, 0);
  bytes.writeBigUInt64LE(nonce, 8);
  bytes.writeUInt8(phase, 16);
  let hash = 2_166_136_261n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 16_777_619n) % 2n ** 32n;
  return Number(hash);
}

/** A set of entries, changed by the events of the comment alone. */
export class Held {
  readonly #entries = new Map<string, HeldEntry>();

  get entries(): HeldEntry[] {
    return [...this.#entries.values()];
  }

  get count(): number {
    return this.#entries.size;
  }

  get hash(): number {
    const sum = this.entries.reduce(
      (before, { token, nonce, phase }) => before + hashOfEntry(BigInt(token), BigInt(nonce), PHASES[phase]),
      0,
    );
    return sum % 2 ** 32;
  }

  ask(nonce: string, taskId: string): void {
    this.#entries.set(`nonce ${nonce}`, { phase: 'INVENTORY_PHASE_ASKED', token: '0', nonce, taskId });
  }

  put(token: string, phase: PhaseName, taskId: string): void {
    this.#entries.set(`token ${token}`, { phase, token, nonce: '0', taskId });
  }

  permit(nonce: string, token: string, taskId: string): void {
    this.dropNonce(nonce);
    if (!this.#entries.has(`token ${token}`)) this.put(token, 'INVENTORY_PHASE_RUNNING', taskId);
  }

  dropNonce(nonce: string): void {
    this.#entries.delete(`nonce ${nonce}`);
  }

  dropToken(token: string): void {
    this.#entries.delete(`token ${token}`);
  }
}
