// graphile-worker with its defaults, but for as many jobs at once as the others have, and with what
// https://worker.graphile.org/docs/performance takes for its own records: a local queue of 500, completions in batches
// without a wait, a connection for each job at once.
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';

const TUNED = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
/** It tells of every job, at a level that it prints. */
const logger = new Logger(() => () => {});

export async function open({ url, concurrency, tuned }) {
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  let runner = null;
  const spec = (payload) => ({ identifier: 'noop', payload });
  return {
    prepare: () => utils.migrate(),
    submit: (payloads) => utils.addJobs(payloads.map(spec)),
    submitOne: (payload) => utils.addJob('noop', payload),
    work: async (handler) => {
      const own = tuned ? { ...TUNED, maxPoolSize: concurrency + 2 } : {};
      const worker = { connectionString: url, concurrentJobs: concurrency, crontabFile: '/dev/null', ...own };
      const taskList = { noop: async (payload) => handler(payload) };
      runner = await run({ preset: { worker: { ...worker, logger } }, taskList, noHandleSignals: true });
    },
    left: async () => {
      const { rows } = await pool.query('SELECT count(*)::int AS n FROM graphile_worker._private_jobs');
      return rows[0].n;
    },
    close: async () => {
      await runner?.stop();
      await utils.release();
      await pool.end();
    },
  };
}
