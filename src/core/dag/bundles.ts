import type { AgentId, StreamId } from '../../kit/ids.js';
import type { WallMs } from '../../kit/time.js';
import type { Draft } from '../draft.js';
import { nameAssets } from './assets.js';
import type { DagDefinition } from './definition.js';
import type { SnapshotAnswer } from './draft.js';
import { tellHold } from './holders.js';
import { BUNDLE_LIMITS, type BundleRow, type DagRow, type ImportError } from './rows.js';
import { nextInstantOf } from './schedule.js';
import { assetsOf } from './state.js';

/** A whole snapshot of a bundle, its definitions checked (P17). */
export interface SnapshotInput {
  readonly kind: 'snapshot';
  readonly streamId: StreamId;
  readonly bundle: string;
  readonly sequence: bigint;
  /** SHA-256 of all of it, hex. */
  readonly hash: string;
  readonly dags: readonly SnapshotDag[];
  /** Files that could not be read, and those whose DAGs are none. */
  readonly importErrors: readonly Pick<ImportError, 'file' | 'message'>[];
}

export interface SnapshotDag {
  readonly dagId: string;
  readonly file: string;
  /** SHA-256 of the DAG as its file has it, hex. */
  readonly hash: string;
  /** Null when its hash is that of the definition in force, which is then not checked again. */
  readonly checked: { readonly definition: DagDefinition; readonly text: string } | null;
}

interface Case {
  readonly draft: Draft;
  readonly input: SnapshotInput;
  readonly agentId: AgentId;
  readonly row: BundleRow | undefined;
  readonly isHolder: boolean;
}

type Answer = Pick<SnapshotAnswer, 'state' | 'message'>;

/** P17: why a whole snapshot is not taken in. The first row that matches; none: it is. */
const SNAPSHOT_RULES: readonly {
  readonly name: string;
  readonly when: (c: Case) => boolean;
  readonly then: (c: Case) => Answer;
}[] = [
  {
    name: 'not_held',
    when: ({ isHolder }) => !isHolder,
    then: () => ({ state: 'not_held', message: 'another DAG processor holds the bundle' }),
  },
  {
    name: 'said_again',
    when: ({ input, row }) => input.sequence === row?.sequence && input.hash === row.hash,
    then: () => ({ state: 'in_force', message: '' }),
  },
  {
    name: 'old',
    when: ({ input, row }) => row !== undefined && input.sequence <= row.sequence,
    then: ({ row }) => ({
      state: 'refused',
      message: `snapshot ${row?.sequence ?? 0n} of this session is in force already: count the sequence up`,
    }),
  },
  {
    // Not checked, because it was in force when it arrived: told to hold it again, its processor sends it again.
    name: 'overtaken',
    when: ({ draft, input }) =>
      input.dags.some((dag) => dag.checked === null && !isInForce(draft, input, dag)),
    then: ({ draft, input, row }) => {
      if (row !== undefined) tellHold(draft, row.epoch, input.bundle);
      return { state: 'not_held', message: 'its DAGs have changed meanwhile: send it again' };
    },
  },
];

/**
 * Puts a snapshot in force, whole or not at all, by a compare-and-set on its version: the epoch of the bundle's holder,
 * then the sequence. What it does not change is not written.
 */
export function decideSnapshot(draft: Draft, input: SnapshotInput): void {
  const { streamId, bundle, sequence } = input;
  const presence = draft.state.presenceOfStream(streamId);
  // P5: what an older stream has sent is ignored; its agent sends it again on the newer one.
  if (presence === undefined || draft.attaches(presence.epoch)) return;
  const row = draft.dags.bundle(bundle);
  const isLive = draft.session(presence.epoch)?.state === 'live';
  const { agentId } = presence;
  const c: Case = { draft, input, agentId, row, isHolder: isLive && row?.epoch === presence.epoch };
  const answer = SNAPSHOT_RULES.find(({ when }) => when(c))?.then(c) ?? putInForce(c);
  draft.dags.answers.push({ streamId, bundle, sequence, ...answer });
  if (answer.state !== 'refused') return;
  draft.notes.push({ kind: 'snapshot_refused', bundle, agentId, sequence, message: answer.message });
}

function isInForce({ dags }: Draft, { bundle }: SnapshotInput, { dagId, hash }: SnapshotDag): boolean {
  const known = dags.dag(dagId);
  return known?.active === true && known.bundle === bundle && known.definitionHash === hash;
}

/** Files that are wrong, by name. The first thing that is wrong with a file is the one that is told. */
type Faults = Map<string, string>;

function putInForce({ draft, input, row, agentId }: Case): Answer {
  if (row === undefined) return { state: 'refused', message: 'nobody holds the bundle' };
  const faults: Faults = new Map();
  for (const { file, message } of input.importErrors) if (!faults.has(file)) faults.set(file, message);
  const { mine, contested } = sortOut(draft, input, faults);
  const closedPools = new Set<string>();
  const nextOf = instants(draft);
  let changed = 0;
  for (const dag of mine.values()) if (putDag(draft, input.bundle, dag, nextOf, closedPools)) changed++;
  const importErrors = importErrorsOf(draft, row, faults);
  const gone = retireOthers(draft, input.bundle, mine, faults, importErrors);
  const { wall } = draft.ctx;
  const { sequence, hash } = input;
  draft.dags.putBundle({
    ...row,
    ...{ sequence, receivedAt: wall, hash: contested ? '' : hash },
    importErrors: importErrors.slice(0, BUNDLE_LIMITS.importErrors),
  });
  if (gone > 0) askContested(draft, input.bundle);
  const { bundle, epoch } = row;
  draft.notes.push({
    ...{ kind: 'snapshot_in_force', bundle, agentId, epoch, sequence, dags: mine.size, changed, gone },
    ...{ importErrors: importErrors.length, closedPools: [...closedPools].slice(0, 10) },
  });
  return { state: 'in_force', message: '' };
}

/** Which DAGs of a snapshot are its bundle's: each has one file, and one bundle. */
function sortOut(draft: Draft, { bundle, dags }: SnapshotInput, faults: Faults) {
  const mine = new Map<string, SnapshotDag>();
  let contested = false;
  for (const dag of dags) {
    const { dagId, file } = dag;
    const known = draft.dags.dag(dagId);
    if (known?.active && known.bundle !== bundle) {
      contested = true;
      addFault(
        faults,
        file,
        `DAG ${dagId} belongs to bundle ${known.bundle}: give one of them another dag_id`,
      );
      continue;
    }
    const other = mine.get(dagId);
    // Of two files the one that had it before keeps it, else the first.
    const [winner, loser] = known?.file === file ? [dag, other] : [other ?? dag, other && dag];
    mine.set(dagId, winner);
    if (loser !== undefined)
      addFault(faults, loser.file, `DAG ${dagId} is in ${winner.file} as well: rename one of them`);
  }
  return { mine, contested };
}

function addFault(faults: Faults, file: string, message: string): void {
  if (!faults.has(file)) faults.set(file, `${file}: ${message}`);
}

type Timing = Pick<DagDefinition, 'schedule' | 'startDate' | 'endDate' | 'catchup'>;
type NextOf = (timing: Timing, lastInstant: WallMs | null) => WallMs | null;

/** Most DAGs of a bundle share a few schedules, and looking for an instant is what costs most of taking them in. */
function instants(draft: Draft): NextOf {
  const known = new Map<string, WallMs | null>();
  return (timing, lastInstant) => {
    const key = `${lastInstant} ${timingText(timing)}`;
    const next = known.get(key);
    if (next !== undefined) return next;
    const found = nextInstantOf(draft, timing, lastInstant);
    known.set(key, found);
    return found;
  };
}

const timingText = ({ schedule, startDate, endDate, catchup }: Timing): string =>
  JSON.stringify([schedule, startDate, endDate, catchup]);

/** A DAG of the snapshot comes into force; false when it was, as it is. */
function putDag(
  draft: Draft,
  bundle: string,
  dag: SnapshotDag,
  nextOf: NextOf,
  closedPools: Set<string>,
): boolean {
  const known = draft.dags.dag(dag.dagId);
  const { checked, file } = dag;
  if (known !== undefined && (checked === null || known.definitionHash === dag.hash)) {
    if (known.active && known.file === file && known.bundle === bundle && known.importError === null)
      return false;
    const back = known.active ? known.nextInstant : nextOf(known, known.lastInstant);
    draft.dags.putDag({ ...known, bundle, file, active: true, importError: null, nextInstant: back });
    return true;
  }
  if (checked === null) return false;
  const { definition, text } = checked;
  const { wall } = draft.ctx;
  const definitionVersion = (known?.definitionVersion ?? 0) + 1;
  const { dagId, hash } = dag;
  // The one before it goes with the last run that pins it; nothing pins one that no run was made of.
  if (known !== undefined) draft.dags.versionRemovals.push(known);
  draft.dags.versions.push({ dagId, definitionVersion, hash, definition: text, createdAt: wall });
  draft.dags.putDag({
    ...describe(definition),
    ...{ version: 0, bundle, file, definitionVersion, definitionHash: hash },
    ...{ active: true, paused: known?.paused ?? definition.pausedUponCreation, importError: null },
    ...{ firstSeenAt: known?.firstSeenAt ?? wall, changedAt: wall },
    nextInstant:
      known !== undefined && keepsTime(known, definition)
        ? known.nextInstant
        : nextOf(definition, known?.lastInstant ?? null),
    lastInstant: known?.lastInstant ?? null,
    pendingAssets: (known?.pendingAssets ?? []).filter(({ asset }) => assetsOf(definition).includes(asset)),
  });
  nameAssets(draft, definition);
  for (const { pool } of definition.tasks) if (draft.dags.slotsOf(pool) === 0) closedPools.add(pool);
  return true;
}

/** What is kept of a definition beside it, so that scheduling reads none. */
function describe(definition: DagDefinition) {
  const { dagId, schedule, startDate, endDate, catchup, maxActiveRuns, description, tags } = definition;
  const params = Object.entries(definition.params).map(([name, param]) => [name, param.default]);
  return {
    ...{ dagId, schedule, startDate, endDate, catchup, maxActiveRuns, description, tags },
    taskCount: definition.tasks.length,
    defaultParams: JSON.stringify(Object.fromEntries(params)),
  };
}

/** Whether a change of a definition leaves its instants alone, so that the next one stays what it was. */
function keepsTime(known: DagRow, definition: DagDefinition): boolean {
  return known.active && timingText(known) === timingText(definition);
}

/** Since when each file is wrong: for as long as it was, in whichever way. */
function importErrorsOf(draft: Draft, row: BundleRow, faults: Faults): ImportError[] {
  const before = new Map(row.importErrors.map(({ file, since }) => [file, since]));
  return [...faults].map(([file, message]) => ({
    file,
    message: message.slice(0, BUNDLE_LIMITS.messageLength),
    since: before.get(file) ?? draft.ctx.wall,
  }));
}

/**
 * I9: DAGs of the bundle that a complete newer snapshot does not have are gone; how many. Those whose file is wrong stay
 * as they last were: nobody has said that they should go.
 */
function retireOthers(
  draft: Draft,
  bundle: string,
  mine: ReadonlyMap<string, SnapshotDag>,
  faults: Faults,
  importErrors: readonly ImportError[],
): number {
  const errors = new Map(importErrors.map(({ file, ...error }) => [file, error]));
  let gone = 0;
  for (const dagId of draft.state.dags.dags.keys()) {
    const dag = draft.dags.dag(dagId);
    if (dag === undefined || dag.bundle !== bundle || !dag.active || mine.has(dagId)) continue;
    const error = faults.has(dag.file) ? errors.get(dag.file) : undefined;
    if (error === undefined) {
      draft.dags.putDag({ ...dag, active: false, importError: null, nextInstant: null });
      gone++;
    } else if (dag.importError?.message !== error.message) {
      draft.dags.putDag({ ...dag, importError: { ...error, since: dag.importError?.since ?? error.since } });
    }
  }
  return gone;
}

/** What one bundle gives up may be what another has waited for: those send theirs again. */
function askContested(draft: Draft, bundle: string): void {
  for (const other of draft.state.dags.bundles.values()) {
    if (other.bundle === bundle || other.hash !== '' || other.receivedAt === null) continue;
    if (draft.session(other.epoch)?.state === 'live') tellHold(draft, other.epoch, other.bundle);
  }
}
