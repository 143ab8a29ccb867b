import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import type { BundleRow, DagRow } from '../../../src/core/dag/rows.js';
import { decodeBundle, decodeDag } from '../../../src/store/dag-codec.js';
import { eventually } from '../../wire/support/wait.js';
import type { AgentChoice, Program, Site } from './site.js';

/** A folder of DAG files, and what the coordinator's database has of it. */
export class Bundle {
  readonly folder: string;
  readonly #site: Site;
  #looks = 0;

  constructor(site: Site, name = 'dags') {
    this.#site = site;
    this.folder = site.path(name);
    mkdirSync(this.folder);
  }

  write(file: string, text: string): void {
    mkdirSync(dirname(join(this.folder, file)), { recursive: true });
    writeFileSync(join(this.folder, file), text);
  }

  /** The smallest DAG, in a file of its own. */
  dag(dagId: string, further = '', folder = ''): void {
    this.write(
      `${folder}${dagId}.dag.yaml`,
      `dag_id: ${dagId}\n${further}\ntasks:\n  a: { command: ['true'] }\n`,
    );
  }

  move(from: string, to: string): void {
    renameSync(join(this.folder, from), join(this.folder, to));
  }

  remove(file: string): void {
    rmSync(join(this.folder, file));
  }

  processor(id: string, choice: AgentChoice = {}): Program {
    const { coordinator = this.#site.address, flags = [] } = choice;
    return this.#site.run(
      ...['agent', 'start', '--kind', 'dag-processor', '--bundle', this.folder],
      ...['--coordinator', coordinator, '--agent-id', id, '--state-dir', this.#site.path(`state-${id}`)],
      ...flags,
    );
  }

  /** What is committed, from a backup: the database itself is the coordinator's alone. */
  async look(): Promise<Look> {
    const file = this.#site.path(`look-${++this.#looks}.db`);
    await this.#site.api.call('BackUpCoordinator', { file });
    const db = new DatabaseSync(file, { readOnly: true });
    const all = (sql: string): Columns[] => db.prepare(sql).all() as Columns[];
    try {
      const dags = all('SELECT dag_id, version, definition_version, data FROM dags ORDER BY dag_id').map(
        (c) => {
          const key = { dagId: c.dag_id as string, version: c.version as number };
          return decodeDag({ ...key, definitionVersion: c.definition_version as number }, c.data as string);
        },
      );
      const [row] = all("SELECT version, data FROM bundles WHERE bundle = 'main'");
      return {
        dag: (dagId) => dags.find((dag) => dag.dagId === dagId),
        inForce: dags.filter(({ active }) => active).map(({ dagId }) => dagId),
        bundle: row && decodeBundle('main', row.version as number, row.data as string),
        runs: all('SELECT dag_id FROM runs').length,
      };
    } finally {
      db.close();
      for (const end of ['', '-wal', '-shm', '.owner']) rmSync(file + end, { force: true });
    }
  }

  /** Waits until what is committed looks like this. */
  async until(what: string, there: (look: Look) => boolean): Promise<Look> {
    let look = await this.look();
    if (there(look)) return look;
    const looks = async (): Promise<boolean> => {
      // A look is a whole backup: too dear to be taken as often as one can.
      await pause(100);
      look = await this.look();
      return there(look);
    };
    await eventually(what, looks, 40_000).catch((error: unknown) => {
      throw new Error(`${String(error)}; in force are ${look.inForce.join(', ')}`);
    });
    return look;
  }

  /** Waits until exactly these are in force. */
  shows(...dagIds: string[]): Promise<Look> {
    const wanted = JSON.stringify(dagIds);
    return this.until(`${wanted} in force`, ({ inForce }) => JSON.stringify(inForce) === wanted);
  }
}

type Columns = Readonly<Record<string, string | number | null>>;

/** What the coordinator's database has of a bundle and its DAGs. */
export interface Look {
  readonly dag: (dagId: string) => DagRow | undefined;
  /** In the order of their names. */
  readonly inForce: readonly string[];
  readonly bundle: BundleRow | undefined;
  /** Of all DAGs. */
  readonly runs: number;
}
