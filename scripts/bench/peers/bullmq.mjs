// BullMQ as its guide sets it up: https://docs.bullmq.io/guide/workers/concurrency for many jobs at once in one process,
// https://docs.bullmq.io/guide/queues/adding-bulks for many at a time, https://docs.bullmq.io/guide/going-to-production for
// Redis and for connections that never give up.
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const NAME = 'bench';

export async function open({ url, concurrency }) {
  const connection = new Redis(url, { maxRetriesPerRequest: null });
  // https://docs.bullmq.io/guide/queues/auto-removal-of-jobs: without it Redis keeps all of them in memory.
  const defaultJobOptions = { removeOnComplete: true, removeOnFail: true };
  const queue = new Queue(NAME, { connection, defaultJobOptions });
  let worker = null;
  return {
    prepare: () => connection.flushall('SYNC'),
    submit: (payloads) => queue.addBulk(payloads.map((data) => ({ name: 'noop', data }))),
    submitOne: (data) => queue.add('noop', data),
    work: async (handler) => {
      worker = new Worker(NAME, async (job) => handler(job.data), { connection, concurrency });
      await worker.waitUntilReady();
    },
    left: async () => {
      const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'prioritized');
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    },
    close: async () => {
      await worker?.close();
      await queue.close();
      await connection.quit();
    },
  };
}
