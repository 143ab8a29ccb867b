import { createHash } from 'node:crypto';
import type { SnapshotInput } from '../core/dag/bundles.js';
import type { DagDefinition } from '../core/dag/definition.js';
import { BundleSnapshot, type DagFile } from '../wire/gen/holdfast/v1/dag_service.js';
import { LIMITS } from '../wire/limits.js';

/** Checks a DAG as files have it: its definition with all defaults, or what is wrong with it, line by line. */
export type DagCheck = (
  dag: unknown,
) =>
  | { readonly ok: true; readonly definition: DagDefinition }
  | { readonly ok: false; readonly errors: readonly string[] };

/** Checks a DAG as JSON text elsewhere than on this loop; its definition as JSON text, or null and what is wrong. */
export interface LargeDagCheck {
  check(text: string): Promise<{ readonly text: string | null; readonly errors: readonly string[] }>;
  /** Nobody needs it for now. */
  close(): void;
}

/** What a check has found of one DAG, whichever file it is in. */
export type FoundDag = Pick<SnapshotInput['dags'][number], 'dagId' | 'checked'>;

export interface CheckPorts {
  readonly check: DagCheck;
  /** Null: large DAGs are checked like all others. */
  readonly checkLarge: LargeDagCheck | null;
  /** DAGs of the bundle that are in force, by their hash. */
  readonly known: ReadonlyMap<string, string>;
  /** DAGs that have been checked already, by their hash; what is found is added. */
  readonly found: Map<string, FoundDag>;
  /** Monotonic milliseconds. */
  now(): number;
  /** Lets everything else have its turn. */
  rest(): Promise<void>;
  /** False once nobody waits for it any more. */
  isWanted(): boolean;
}

export type CheckedSnapshot =
  | ({ readonly kind: 'checked' } & Pick<SnapshotInput, 'dags' | 'importErrors'>)
  | { readonly kind: 'malformed'; readonly message: string }
  /** Given up half way, because nobody waits for it. */
  | { readonly kind: 'unwanted' };

/** Checking goes on for so long at a time, in milliseconds; then heartbeats have their turn. */
const SLICE_MS = 10;

/**
 * Reads a snapshot and checks its DAGs, except those that are in force as they are. A DAG that is none is an error of
 * its file, and the others stand: a processor of another version must not hold up a whole bundle.
 */
export async function checkSnapshot(bytes: Uint8Array, ports: CheckPorts): Promise<CheckedSnapshot> {
  const decoded = decode(bytes);
  if (typeof decoded === 'string') return { kind: 'malformed', message: decoded };
  const dags: SnapshotInput['dags'][number][] = [];
  const importErrors = decoded.importErrors.map(({ file, message }) => ({ file, message }));
  let began = ports.now();
  for (const one of decoded.dags) {
    const checked = await checkOne(one, ports);
    if (typeof checked === 'string') importErrors.push({ file: one.file, message: checked });
    else dags.push(checked);
    if (ports.now() - began < SLICE_MS) continue;
    await ports.rest();
    if (!ports.isWanted()) return { kind: 'unwanted' };
    began = ports.now();
  }
  return { kind: 'checked', dags, importErrors };
}

function decode(bytes: Uint8Array): BundleSnapshot | string {
  // Before anything is made of them: entries of two bytes each would take a hundred times their size.
  const entries = countFields(bytes);
  if (entries > 2 * LIMITS.bundleDags)
    return `it has ${entries} entries, and at most ${2 * LIMITS.bundleDags} are taken`;
  let snapshot: BundleSnapshot;
  try {
    snapshot = BundleSnapshot.decode(bytes);
  } catch (error) {
    return `it is no BundleSnapshot: ${(error as Error).message}`;
  }
  if (snapshot.dags.length > LIMITS.bundleDags)
    return `it has ${snapshot.dags.length} DAGs, and at most ${LIMITS.bundleDags} are taken`;
  const files = [...snapshot.dags, ...snapshot.importErrors];
  const odd = files.find(({ file }) => file === '' || file.length > LIMITS.fileLength);
  if (odd === undefined) return snapshot;
  return `the file ${JSON.stringify(odd.file.slice(0, 100))} is empty or longer than ${LIMITS.fileLength}`;
}

/** Fields of the outermost message; those behind one that cannot be read are not counted, nor will they be read. */
function countFields(bytes: Uint8Array): number {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    return value;
  };
  let count = 0;
  for (; at < bytes.length; count++) {
    const wireType = varint() & 7;
    const length = wireType === 0 || wireType === 2 ? varint() : 0;
    if (wireType === 2) at += length;
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else if (wireType !== 0) break;
  }
  return count;
}

/** A DAG of more bytes than this takes longer than a turn of the loop should. */
const LARGE_BYTES = 32 * 1024;

async function checkOne(
  { file, dag }: DagFile,
  { check, checkLarge, known, found }: CheckPorts,
): Promise<SnapshotInput['dags'][number] | string> {
  if (dag.length > LIMITS.dagBytes)
    return `${file}: the DAG has ${dag.length} bytes, and at most ${LIMITS.dagBytes} are taken`;
  const hash = createHash('sha256').update(dag).digest('hex');
  const dagId = known.get(hash);
  if (dagId !== undefined) return { dagId, file, hash, checked: null };
  const before = found.get(hash);
  if (before !== undefined) return { ...before, file, hash };
  const checked =
    checkLarge !== null && dag.length > LARGE_BYTES
      ? await checkApart(file, dag, checkLarge)
      : checkText(file, dag, check);
  if (!checked.ok) return checked.errors.join('\n');
  const { definition, text } = checked;
  const one = { dagId: definition.dagId, checked: { definition, text } };
  found.set(hash, one);
  return { ...one, file, hash };
}

/** Whatever a DAG does to the check is an error of its file: the coordinator goes on. */
type CheckedText =
  | { readonly ok: true; readonly definition: DagDefinition; readonly text: string }
  | { readonly ok: false; readonly errors: readonly string[] };

async function checkApart(file: string, dag: Uint8Array, apart: LargeDagCheck): Promise<CheckedText> {
  let written: string;
  try {
    written = new TextDecoder('utf-8', { fatal: true }).decode(dag);
  } catch (error) {
    return { ok: false, errors: [`${file}: the DAG is no JSON: ${(error as Error).message}`] };
  }
  const { text, errors } = await apart.check(written);
  if (text === null) return { ok: false, errors: errors.map((error) => `${file}: ${error}`) };
  return { ok: true, text, definition: JSON.parse(text) as DagDefinition };
}

function checkText(file: string, dag: Uint8Array, check: DagCheck): CheckedText {
  const wrong = (what: string, error: unknown) => ({
    ok: false as const,
    errors: [`${file}: the DAG ${what}: ${(error as Error).message}`],
  });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(dag));
  } catch (error) {
    return wrong('is no JSON', error);
  }
  try {
    const checked = check(value);
    if (checked.ok) return { ...checked, text: JSON.stringify(checked.definition) };
    return { ok: false, errors: checked.errors.map((error) => `${file}: ${error}`) };
  } catch (error) {
    return wrong('cannot be checked', error);
  }
}
