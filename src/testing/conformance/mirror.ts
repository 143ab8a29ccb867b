import type { Nonce, TaskId, Token } from '../../kit/ids.js';
import { type Entry, Inventory } from '../../kit/inventory.js';
import type {
  ConnectResponse,
  Heartbeat,
  Hello,
  InventoryChunk,
  InventoryEntry,
  Report,
  Verdict,
} from '../../wire/gen/holdfast/v1/agent_service.js';
import { ReportKind, VerdictKind } from '../../wire/gen/holdfast/v1/agent_service.js';
import { phases } from '../../wire/names.js';

/** Effects of one message down, waiting until the agent names it as applied. */
interface Waiting {
  readonly number: bigint;
  readonly effects: readonly (() => void)[];
}

/** What the agent must hold by what it has said and applied: the events of the comment on Heartbeat, and no others. */
export class Mirror {
  /** Heartbeats whose count or hash were not those of the mirror, in words. */
  readonly differences: string[] = [];
  /** Heartbeats that were compared. */
  compared = 0;
  readonly #inventory = new Inventory();
  #waiting: Waiting[] = [];
  #expected: { seq: bigint; count: number; hash: number } | null = null;
  #unresolved = false;

  get entries(): readonly Entry[] {
    return this.#inventory.entries();
  }

  hello({ inventory }: Pick<Hello, 'inventory'>): void {
    this.#inventory.replace(inventory.flatMap(entryOf));
  }

  /** The Welcome's verdicts change the inventory of the Hello that they answer. */
  ruled(verdicts: readonly Verdict[]): void {
    for (const { kind, token, nonce } of verdicts) {
      if (kind === VerdictKind.RECORDED) this.#inventory.dropToken(token as Token);
      if (kind === VerdictKind.NEVER_START && nonce !== 0n) this.#inventory.dropNonce(nonce as Nonce);
      if (kind !== VerdictKind.STOP) continue;
      const taskId = this.entries.find((entry) => 'token' in entry && entry.token === token)?.taskId ?? '';
      this.#inventory.put({ phase: 'stopping', token: token as Token, taskId: taskId as TaskId });
    }
  }

  told({ message }: ConnectResponse): void {
    if (message?.$case !== 'ack') return;
    const { number, permits, refusals, acknowledgements } = message.value;
    const effects = [
      ...acknowledgements.map(
        ({ token }) =>
          () =>
            this.#inventory.dropToken(token as Token),
      ),
      ...permits.map(({ nonce, token, taskId }) => () => {
        this.#inventory.permit(nonce as Nonce, token as Token, taskId as TaskId);
      }),
      ...refusals.map(
        ({ nonce }) =>
          () =>
            this.#inventory.dropNonce(nonce as Nonce),
      ),
    ];
    if (effects.length > 0) this.#waiting.push({ number, effects });
  }

  heartbeat(beat: Heartbeat): void {
    for (const { number, effects } of this.#waiting)
      if (number <= beat.applied) for (const take of effects) take();
    this.#waiting = this.#waiting.filter(({ number }) => number > beat.applied);
    for (const report of beat.reports) this.#inventory.put(reportedEntry(report));
    for (const entry of beat.inventoryChanges.flatMap(entryOf)) this.#inventory.put(entry);
    for (const { nonce, taskId } of beat.startRequests) {
      this.#inventory.put({ phase: 'asked', nonce: nonce as Nonce, taskId: taskId as TaskId });
    }
    const { seq, inventoryCount: count, inventoryHash: hash, fullInventory } = beat;
    if (fullInventory === undefined) {
      if (!this.#unresolved) this.#compare(seq, count, hash);
      return;
    }
    this.#inventory.replace(fullInventory.entries.flatMap(entryOf));
    this.#unresolved = fullInventory.moreChunks;
    if (this.#unresolved) this.#expected = { seq, count, hash };
    else this.#compare(seq, count, hash);
  }

  chunk({ entries, last }: InventoryChunk): void {
    for (const entry of entries.flatMap(entryOf)) this.#inventory.put(entry);
    if (!last || this.#expected === null) return;
    const { seq, count, hash } = this.#expected;
    this.#unresolved = false;
    this.#expected = null;
    this.#compare(seq, count, hash);
  }

  #compare(seq: bigint, count: number, hash: number): void {
    this.compared++;
    if (count === this.#inventory.count && hash === this.#inventory.hash) return;
    const held = this.entries.map(
      (entry) => `${'token' in entry ? entry.token : `nonce ${entry.nonce}`} ${entry.phase}`,
    );
    this.differences.push(
      `heartbeat ${seq} says ${count} entries with hash ${hash}; by its own words it holds ${held.join(', ') || 'nothing'}` +
        ` (${this.#inventory.count}, ${this.#inventory.hash})`,
    );
  }
}

function entryOf({ phase, token, nonce, taskId }: InventoryEntry): Entry[] {
  const known = phases.from(phase);
  if (known === undefined) return [];
  if (known === 'asked') return [{ phase: known, nonce: nonce as Nonce, taskId: taskId as TaskId }];
  return [{ phase: known, token: token as Token, taskId: taskId as TaskId }];
}

function reportedEntry({ token, taskId, kind }: Report): Entry {
  const phase = kind === ReportKind.NEVER_STARTED ? 'void' : kind === ReportKind.LOST ? 'lost' : 'finished';
  return { phase, token: token as Token, taskId: taskId as TaskId };
}
