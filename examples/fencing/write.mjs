// A task's command: `node write.mjs http|objects|postgres TARGET NAME VALUE` writes with the token of its permit.
// Exit code 3 says that a newer try has written.
import { Fenced } from './fenced.mjs';

const [how, target, name, value] = process.argv.slice(2);
const token = BigInt(process.env.HOLDFAST_FENCING_TOKEN);

const WAYS = {
  http: async () => (await import('./http-client.mjs')).write(`${target}/${name}`, token, value),
  objects: async () => (await import('./objects.mjs')).publish(target, name, token, value),
  postgres: async () => {
    const { default: pg } = await import('pg');
    const { upsert } = await import('./postgres.mjs');
    const client = new pg.Client(target);
    await client.connect();
    try {
      await upsert(client, token, name, value);
    } finally {
      await client.end();
    }
  },
};

try {
  await WAYS[how]();
} catch (error) {
  if (!(error instanceof Fenced)) throw error;
  console.error(error.message);
  process.exitCode = 3;
}
