// Loaded into a coordinator: each COMMIT of its store takes as long as BENCH_SYNC_MS says, as on a disk that syncs slowly,
// and holds the process up as SQLite does. Nothing of it is in the program.
import { DatabaseSync, StatementSync } from 'node:sqlite';

const syncMs = Number(process.env.BENCH_SYNC_MS);
const still = new Int32Array(new SharedArrayBuffer(4));
const prepare = Reflect.get(DatabaseSync.prototype, 'prepare');
const run = Reflect.get(StatementSync.prototype, 'run');

DatabaseSync.prototype.prepare = function (sql, ...rest) {
  const statement = Reflect.apply(prepare, this, [sql, ...rest]);
  if (sql !== 'COMMIT') return statement;
  statement.run = (...params) => {
    Atomics.wait(still, 0, 0, syncMs);
    return Reflect.apply(run, statement, params);
  };
  return statement;
};
