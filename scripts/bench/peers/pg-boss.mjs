// pg-boss with its defaults, but for as many workers as the others have jobs at once, and with what its documentation of
// work() offers for throughput (docs/api/workers.md of its repository): batches that are fetched one after another while they
// come back full, and LISTEN/NOTIFY instead of polling. Each batch is completed at once.

import pg from 'pg';
import { PgBoss } from 'pg-boss';

const NAME = 'bench';

export async function open({ url, concurrency, tuned }) {
  const boss = new PgBoss({ connectionString: url, ...(tuned && { useListenNotify: true, max: 20 }) });
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  boss.on('error', () => {});
  await boss.start();
  const options = tuned
    ? { batchSize: concurrency, localConcurrency: 2, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }
    : { localConcurrency: concurrency };
  return {
    prepare: () => boss.createQueue(NAME, tuned ? { notify: true } : {}),
    submit: (payloads) =>
      boss.insert(
        NAME,
        payloads.map((data) => ({ data })),
      ),
    submitOne: (data) => boss.send(NAME, data),
    work: (handler) =>
      boss.work(NAME, options, async (jobs) => {
        for (const { data } of jobs) handler(data);
      }),
    left: async () => {
      const { rows } = await pool.query(
        `SELECT count(*)::int AS n FROM pgboss.job WHERE state < 'completed'`,
      );
      return rows[0].n;
    },
    close: async () => {
      await boss.stop({ graceful: false });
      await pool.end();
    },
  };
}
