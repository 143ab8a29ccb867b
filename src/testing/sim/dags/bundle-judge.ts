import type { DagDefinition } from '../../../core/dag/definition.js';
import type { BundleRow, DagRow } from '../../../core/dag/rows.js';
import { planKey } from '../../../core/dag/state.js';
import type { Epoch } from '../../../kit/ids.js';
import type { Puts } from '../../../store/store.js';
import type { BundleFiles } from './bundle.js';
import type { DagsJudged } from './judge.js';
import type { DagRows } from './rows.js';

/** What it knows of the world. */
export interface BundlesJudged extends Pick<DagsJudged, 'sessions' | 'broken'> {
  readonly workload: Pick<DagsJudged['workload'], 'bundle'>;
}

/**
 * K13, I9 and P17: what DAGs there are, and how they are defined, changes by complete newer snapshots of the holder alone,
 * to what its files were at that moment; nothing else adds, changes or takes a DAG.
 */
export class BundleJudge {
  readonly #rows: DagRows;
  readonly #judged: BundlesJudged;

  constructor(rows: DagRows, judged: BundlesJudged) {
    this.#rows = rows;
    this.#judged = judged;
  }

  begin({ dags, sessions }: Puts): () => void {
    if (dags === null) return () => {};
    const before = new Map(this.#rows.dags);
    const ended = new Set(sessions.filter(({ state }) => state !== 'live').map(({ epoch }) => epoch));
    const bundles = new Map(dags.bundles.map(({ bundle }) => [bundle, this.#rows.bundles.get(bundle)]));
    for (const { dagId, definitionVersion } of dags.versions)
      if (this.#rows.definitions.has(planKey(dagId, definitionVersion)))
        this.#fault(`version ${definitionVersion} of DAG ${dagId} is written twice`);
    return () => {
      const taken = new Set<string>();
      for (const row of dags.bundles)
        if (this.#bundle(bundles.get(row.bundle), row, ended)) taken.add(row.bundle);
      for (const row of dags.dags) {
        const known = before.get(row.dagId);
        if (!taken.has(row.bundle) && saidOf(known) !== saidOf(row))
          this.#fault(`DAG ${row.dagId} was ${saidOf(known)} and is ${saidOf(row)} without a snapshot`);
      }
      for (const bundle of taken) this.#content(this.#rows.bundles.get(bundle) as BundleRow, before);
    };
  }

  #fault(what: string, rule = 'K13'): void {
    this.#judged.broken({ rule, what });
  }

  /** Whether it has a newer snapshot; `ended` are the sessions that end in the commit. */
  #bundle(before: BundleRow | undefined, row: BundleRow, ended: ReadonlySet<Epoch>): boolean {
    const { bundle, epoch, sequence, agentId } = row;
    const session = this.#judged.sessions.get(epoch);
    if (before === undefined || epoch !== before.epoch) {
      const old = before && this.#judged.sessions.get(before.epoch);
      if (old?.state === 'live')
        this.#fault(`${bundle} goes to ${agentId}, and ${old.agentId} holds it`, 'P17');
      const mayHold = session?.state === 'live' && session.bundles.includes(bundle);
      if (!mayHold) this.#fault(`${bundle} is held by ${agentId}, which cannot`, 'P17');
    }
    const since = before?.epoch === epoch ? before.sequence : 0n;
    if (epoch < (before?.epoch ?? 0n) || sequence < since)
      this.#fault(`${bundle} goes back from (${before?.epoch}, ${since}) to (${epoch}, ${sequence})`, 'P17');
    if (sequence > since) return true;
    const isOther = snapshotOf(before) !== snapshotOf(row);
    // A hold may end in the very commit that brings its last snapshot into force: its successor counts from nothing.
    const isLast = before !== undefined && epoch > before.epoch && ended.has(before.epoch);
    if (isOther && !isLast) this.#fault(`${bundle} has another snapshot, and none that is newer`, 'P17');
    return isOther && isLast;
  }

  /** What is in force now is what the files were, but for those that are wrong. */
  #content({ bundle, hash }: BundleRow, before: ReadonlyMap<string, DagRow>): void {
    const { read } = this.#judged.workload.bundle(bundle);
    // Without its hash, because a DAG of it is another bundle's: then any that was read may be the one.
    const candidates = hash === '' ? [...read.values()] : [read.get(hash)];
    const faults = candidates.map((files) =>
      files === undefined
        ? `nobody has read the snapshot of ${bundle}`
        : this.#differs(bundle, files, before),
    );
    const [first] = faults;
    if (first !== undefined && first !== null && !faults.includes(null)) this.#fault(first);
  }

  #differs(bundle: string, { files }: BundleFiles, before: ReadonlyMap<string, DagRow>): string | null {
    const wanted = new Map<string, DagDefinition | null>();
    for (const [, definition] of files) {
      if (definition === undefined) continue;
      // In two files, or another bundle's: which one counts is told by the tests of the core.
      const isContested = isElsewhere(before.get(definition.dagId), bundle) || wanted.has(definition.dagId);
      wanted.set(definition.dagId, isContested ? null : definition);
    }
    for (const [dagId, definition] of wanted) {
      const row = this.#rows.dags.get(dagId);
      if (definition === null) continue;
      if (row?.active !== true || row.bundle !== bundle) return `DAG ${dagId} of ${bundle} is not in force`;
      const found = JSON.stringify(this.#rows.definitionOf(row));
      if (found !== JSON.stringify(definition)) return `DAG ${dagId} is not what its file says`;
    }
    for (const known of before.values()) {
      if (!known.active || known.bundle !== bundle || wanted.has(known.dagId)) continue;
      const isWrong = files.has(known.file) && !isGood(files, known.file, before, bundle);
      const row = this.#rows.dags.get(known.dagId);
      if (row?.active !== isWrong)
        return `DAG ${known.dagId} ${isWrong ? 'is gone, and its file is only wrong' : 'is not in the snapshot, and stays'}`;
      if (isWrong && row.definitionVersion !== known.definitionVersion)
        return `DAG ${known.dagId} has changed, and its file is wrong`;
    }
    return null;
  }
}

/** What of a bundle only a snapshot changes. */
function snapshotOf(row: BundleRow | undefined): string {
  return JSON.stringify([row?.receivedAt ?? null, row?.hash ?? '', row?.importErrors ?? []]);
}

/** What of a DAG only a snapshot may change. */
function saidOf(dag: DagRow | undefined): string {
  if (dag === undefined) return 'not there';
  const { bundle, file, definitionVersion, definitionHash, active } = dag;
  return `${active ? 'in force' : 'gone'} (${bundle} ${file} ${definitionVersion} ${definitionHash.slice(0, 8)})`;
}

function isElsewhere(dag: DagRow | undefined, bundle: string): boolean {
  return dag?.active === true && dag.bundle !== bundle;
}

/** Whether a file has a DAG that counts. */
function isGood(
  files: BundleFiles['files'],
  file: string,
  before: ReadonlyMap<string, DagRow>,
  bundle: string,
): boolean {
  const definition = files.get(file);
  if (definition === undefined || isElsewhere(before.get(definition.dagId), bundle)) return false;
  const sharing = [...files].filter(([, other]) => other?.dagId === definition.dagId);
  const winner = sharing.find(([name]) => name === before.get(definition.dagId)?.file) ?? sharing[0];
  return winner?.[0] === file;
}
