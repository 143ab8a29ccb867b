// What the Go worker, with the gRPC of 2020, does with a real coordinator.
import { join } from 'node:path';
import { GO, isAlive, must, until } from './world.mjs';

async function openWorker(world, ...tls) {
  const agent = world.nextAgent('go');
  const args = ['--coordinator', world.address, '--agent-id', agent.id, '--queue', agent.id, ...tls];
  const process = world.run(agent.id, join(GO, 'generated/bin/go-worker'), args);
  await world.agent(agent.id, 'healthy');
  return { ...agent, process };
}

export const GO_CHECKS = [
  [
    'a command runs on a permit, its output comes back, and a failure is told with its exit code',
    async (world) => {
      const worker = await openWorker(world);
      const good = await world.submit(worker, { command: ['sh', '-c', 'echo try $HOLDFAST_TRY_NUMBER'] });
      const bad = await world.submit(worker, { command: ['sh', '-c', 'exit 3'] });
      await world.task(good, 'success');
      must((await world.output(good)) === 'try 1\n', 'the output is another');
      const failed = await world.task(bad, 'failed');
      must(failed.exitCode === 3 && failed.reason === 'exit_code', `${failed.reason} ${failed.exitCode}`);
      await drained(worker);
    },
  ],
  [
    'a cancel stops the whole group, and a drain lets what runs finish and says goodbye',
    async (world) => {
      const worker = await openWorker(world);
      const id = await world.submit(worker, { command: ['sh', '-c', 'echo $$; sleep 60'] });
      await world.task(id, 'running');
      await world.client.tasks.cancel(id);
      const task = await world.task(id, 'cancelled');
      const pid = Number(await until('output', () => world.output(id)));
      must(!isAlive(pid) && task.tryNumber === 1, 'the run outlived its report');
      await drained(worker);
    },
  ],
  [
    'over TLS it is who its certificate says',
    async (world) => {
      const worker = await openWorker(world, ...world.tlsOptions('go-1'));
      await world.task(await world.submit(worker, { command: ['true'] }), 'success');
      await drained(worker);
    },
    {
      certificates: [
        ['ada', 'operator/ada'],
        ['go-1', 'agent/worker/go-1'],
      ],
    },
  ],
];

async function drained(worker) {
  worker.process.signal('SIGTERM');
  must((await worker.process.ended()) === 0, 'the exit code after a drain was not 0');
}
