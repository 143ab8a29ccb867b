import type { Step } from './driver.js';

export type Type = 'text' | 'integer' | 'bigint' | 'double precision' | 'boolean' | 'bytea';

/** A column's value, as JSON can carry it: 64-bit integers as text, bytes as bytea() gives them. */
export type Value = string | number | boolean | null;

/** Columns in order, with their types. */
export type Shape = Readonly<Record<string, Type>>;

/** Bytes in the form that PostgreSQL reads. */
export const bytea = (bytes: Uint8Array | null): string | null =>
  bytes === null
    ? null
    : `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;

/**
 * Rows as one parameter: a list of lists would need no names, but PostgreSQL reads records by name only. Names of one letter
 * keep that short.
 */
export class Rows {
  readonly #names: readonly string[];
  /** As it stands in FROM, its columns under their own names: `p.version` and so on. $1 is the parameter. */
  readonly from: string;

  constructor(shape: Shape) {
    const columns = Object.entries(shape);
    this.#names = columns.map((_, i) => String.fromCharCode(97 + i));
    const record = columns.map(([, type], i) => `${this.#names[i]} ${type}`).join(', ');
    const named = columns.map(([name]) => name).join(', ');
    this.from = `(SELECT * FROM json_to_recordset($1) AS r(${record})) AS p(${named})`;
  }

  /** The parameter, of rows whose values stand in the order of the columns. */
  param(rows: readonly (readonly Value[])[]): string {
    const records = rows.map((row) => {
      const record: Record<string, Value> = {};
      for (const [i, name] of this.#names.entries()) {
        const value = row[i];
        // What is left out is NULL.
        if (value !== null && value !== undefined) record[name] = value;
      }
      return record;
    });
    return JSON.stringify(records);
  }
}

/** Rows of one table with a key and a version. `fixed` columns are written with version 1 only. */
export class Versioned {
  readonly #insert: { readonly rows: Rows; readonly statement: Step['statement'] };
  readonly #update: { readonly rows: Rows; readonly statement: Step['statement'] };
  readonly #remove: { readonly rows: Rows; readonly statement: Step['statement'] };
  readonly #keys: number;

  /** `set` gives a column another value than the put's, as an expression of `p` and `t`. */
  constructor(names: {
    readonly table: string;
    readonly key: Shape;
    readonly changing: Shape;
    readonly fixed?: Shape;
    readonly set?: Readonly<Record<string, string>>;
  }) {
    const { table, key, changing, fixed = {}, set = {} } = names;
    const kept = { ...key, version: 'integer', ...changing } as const;
    const all = { ...kept, ...fixed } as const;
    const [keyName = ''] = Object.keys(key);
    this.#keys = Object.keys(kept).length;
    const inserted = new Rows(all);
    const columns = Object.keys(all).join(', ');
    this.#insert = {
      rows: inserted,
      statement: {
        name: `insert ${table}`,
        text: `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM ${inserted.from}`,
      },
    };
    const updated = new Rows(kept);
    const sets = ['version', ...Object.keys(changing)].map((name) => `${name} = ${set[name] ?? `p.${name}`}`);
    this.#update = {
      rows: updated,
      statement: {
        name: `update ${table}`,
        text: counted(
          `UPDATE ${table} AS t SET ${sets.join(', ')} FROM ${updated.from}
            WHERE t.${keyName} = p.${keyName} AND t.version = p.version - 1 RETURNING 1`,
          table,
        ),
      },
    };
    const removed = new Rows({ ...key, version: 'integer' });
    this.#remove = {
      rows: removed,
      statement: {
        name: `remove ${table}`,
        text: counted(
          `DELETE FROM ${table} AS t USING ${removed.from}
            WHERE t.${keyName} = p.${keyName} AND t.version = p.version RETURNING 1`,
          `removals of ${table}`,
        ),
      },
    };
  }

  /** Each row is its key, its version, what changes and what is fixed, in the order of the columns. */
  put(rows: readonly (readonly Value[])[]): Step[] {
    const first = rows.filter((row) => row[1] === 1);
    const later = first.length === 0 ? rows : rows.filter((row) => row[1] !== 1);
    const steps: Step[] = [];
    if (later.length > 0) {
      const param = this.#update.rows.param(later.map((row) => row.slice(0, this.#keys)));
      steps.push({ statement: this.#update.statement, params: [param, later.length] });
    }
    if (first.length > 0)
      steps.push({ statement: this.#insert.statement, params: [this.#insert.rows.param(first)] });
    return steps;
  }

  remove(rows: readonly (readonly [key: string, version: number])[]): Step[] {
    if (rows.length === 0) return [];
    const { rows: shape, statement } = this.#remove;
    return [{ statement, params: [shape.param(rows), rows.length] }];
  }
}

/** Runs a statement that returns a row for each one it changed, and has the transaction fail unless they are $2. */
export const counted = (statement: string, what: string): string =>
  `WITH changed AS (${statement}) SELECT expect((SELECT count(*) FROM changed), $2, '${what}')`;

/** Rows of one table that are written once. */
export class Appended {
  readonly #rows: Rows;
  readonly #statement: Step['statement'];

  constructor(table: string, shape: Shape) {
    const columns = Object.keys(shape).join(', ');
    this.#rows = new Rows(shape);
    this.#statement = {
      name: `append ${table}`,
      text: `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM ${this.#rows.from}`,
    };
  }

  put(rows: readonly (readonly Value[])[]): Step[] {
    return rows.length === 0 ? [] : [{ statement: this.#statement, params: [this.#rows.param(rows)] }];
  }
}
