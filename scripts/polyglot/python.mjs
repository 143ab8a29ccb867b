// What the Python worker and the Python submitter do with a real coordinator, while things go wrong around them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HEARTBEAT_MS, isAlive, must, PYTHON, until } from './world.mjs';

const LEASE_MS = 3 * HEARTBEAT_MS;

/** A Python worker with a queue of its own; through the proxy where its network is to be cut. */
class Worker {
  process = null;

  constructor(world, { cuttable = false } = {}) {
    this.world = world;
    const { id, state } = world.nextAgent('python');
    this.id = id;
    this.state = state;
    this.address = cuttable ? world.proxy.address : world.address;
  }

  start(...tls) {
    const args = ['--coordinator', this.address, '--agent-id', this.id, '--queue', this.id];
    const more = ['--state-dir', this.state, '--handlers', join(PYTHON, 'handlers.py')];
    this.process = this.world.run(this.id, join(PYTHON, 'worker'), [...args, ...more, ...tls]);
  }

  static async open(world, choices) {
    const worker = new Worker(world, choices);
    worker.start();
    await world.agent(worker.id, 'healthy');
    return worker;
  }

  async drained() {
    this.process.signal('SIGTERM');
    must((await this.process.ended()) === 0, 'the exit code after a drain was not 0');
  }
}

/** A command that leaves its process number and goes on for so long; it says so when it is told to end. */
function lasting(world, name, seconds) {
  const file = join(world.folder, name);
  const script = `trap 'echo told >> ${file}.told; exit 9' TERM; echo $$ > ${file}; sleep ${seconds} & wait $!; echo done`;
  return {
    spec: { command: ['sh', '-c', script] },
    running: async () =>
      Number(await until(`file ${name}`, () => existsSync(file) && readFileSync(file, 'utf8').trim())),
    wasTold: () => existsSync(`${file}.told`),
  };
}

export const PYTHON_CHECKS = [
  [
    'a command runs with its variables, its output is kept, and its result comes back',
    async (world) => {
      const worker = await Worker.open(world);
      const script =
        'echo out $HOLDFAST_TRY_NUMBER; echo err >&2; echo "{\\"token\\": $HOLDFAST_FENCING_TOKEN}" > $HOLDFAST_RESULT_FILE';
      const id = await world.submit(worker, { command: ['sh', '-c', script] });
      const task = await world.task(id, 'success');
      const result = JSON.parse(Buffer.from(task.result).toString());
      must(BigInt(result.token) === BigInt(task.fencingToken), `the result was ${JSON.stringify(result)}`);
      const output = await world.output(id);
      must(output.includes('out 1\n') && output.includes('err\n'), `the output was ${output}`);
      await worker.drained();
    },
  ],
  [
    'a Python function is called with its input; one that says that it is final uses no retries',
    async (world) => {
      const worker = await Worker.open(world);
      const call = (width) => ({ handler: 'resize', input: { width }, retries: 3 });
      const good = await world.submit(worker, call(3));
      const bad = await world.submit(worker, call('wide'));
      const { result } = await world.task(good, 'success');
      must(JSON.parse(Buffer.from(result).toString()).area === 9, 'the area is wrong');
      const failed = await world.task(bad, 'failed');
      must(
        failed.tryNumber === 1 && failed.reason === 'handler_failed',
        `try ${failed.tryNumber}, ${failed.reason}`,
      );
      must((await world.output(bad)).includes('FinalError'), 'the stack is not in the output');
      await worker.drained();
    },
  ],
  [
    'a cancel ends the whole group: SIGTERM first, SIGKILL when the grace is over, wherever its processes have gone',
    async (world) => {
      const worker = await Worker.open(world);
      const file = join(world.folder, 'stubborn');
      const script = `trap 'echo told > ${file}.told' TERM; setsid sh -c 'echo $$ > ${file}; exec sleep 60' & while :; do sleep 1; done`;
      const id = await world.submit(worker, { command: ['sh', '-c', script], killGraceMs: 500 });
      const escaped = Number(
        await until('escaped process', () => existsSync(file) && readFileSync(file, 'utf8').trim()),
      );
      await world.client.tasks.cancel(id);
      await world.task(id, 'cancelled');
      must(existsSync(`${file}.told`), 'no SIGTERM came first');
      must(!isAlive(escaped), 'a process of the run outlived its report');
      await worker.drained();
    },
  ],
  [
    'the execution timeout of a try is counted by the worker, and its retries follow',
    async (world) => {
      const worker = await Worker.open(world);
      const spec = {
        command: ['sleep', '60'],
        executionTimeoutMs: 300,
        retries: 1,
        retryBackoff: { initialMs: 100, maxMs: 100 },
      };
      const task = await world.task(await world.submit(worker, spec), 'failed');
      must(
        task.reason === 'execution_timeout' && task.tryNumber === 2,
        `${task.reason} in try ${task.tryNumber}`,
      );
      await worker.drained();
    },
  ],
  [
    'a stream that breaks is dialled anew; the session and what runs in it go on',
    async (world) => {
      const worker = await Worker.open(world, { cuttable: true });
      const run = lasting(world, 'broken-off', 2);
      const id = await world.submit(worker, run.spec);
      await run.running();
      const { sessionEpoch } = await world.agent(worker.id, 'healthy');
      world.proxy.breakOff();
      const task = await world.task(id, 'success');
      must(task.tryNumber === 1 && task.lostTries === 0, `it took ${task.tryNumber} tries`);
      must(
        (await world.agent(worker.id, 'healthy')).sessionEpoch === sessionEpoch,
        'the session did not go on',
      );
      await worker.drained();
    },
  ],
  [
    'kill -9: its runs die with it, the next process proves that, reports them lost, and the task goes on without a lease to wait for',
    async (world) => {
      const worker = await Worker.open(world);
      const run = lasting(world, 'orphan', 60);
      const id = await world.submit(worker, { ...run.spec, partitionPolicy: 'single_run' });
      const pid = await run.running();
      await worker.process.kill();
      worker.start();
      const again = await until('second try', async () => {
        const task = await world.client.tasks.get(id);
        return task.tryNumber === 2 && task.state === 'running' && task;
      });
      must(!isAlive(pid), 'the first run was still there when the second began');
      const events = again.history.map(({ event }) => event);
      must(events.includes('lost_reported') && !events.includes('lost'), `its history is ${events}`);
      await world.client.tasks.cancel(id);
      await world.task(id, 'cancelled');
      await worker.drained();
    },
    { heartbeatMs: 5_000 }, // a lease that a loaded machine, which takes seconds to start Python, does not outwait
  ],
  [
    'a result that was never acknowledged outlives the worker: the next process reports it, and it is recorded',
    async (world) => {
      const worker = await Worker.open(world, { cuttable: true });
      const run = lasting(world, 'unheard', 1);
      const id = await world.submit(worker, run.spec);
      await run.running();
      world.proxy.cut();
      await until('journalled report', () => filesOf(worker).length > 0);
      await worker.process.kill();
      world.proxy.breakOff();
      world.proxy.heal();
      worker.start();
      const task = await world.task(id, 'success');
      must(task.tryNumber === 1, `it took ${task.tryNumber} tries`);
      await until('acknowledged report', () => filesOf(worker).length === 0);
      await worker.drained();
    },
  ],
  [
    'cut off for longer than its lease, a worker starts nothing; a held run goes on and is taken back into the new session',
    async (world) => {
      const worker = await Worker.open(world, { cuttable: true });
      const run = lasting(world, 'held', 6);
      const id = await world.submit(worker, { ...run.spec, partitionPolicy: 'hold' });
      await run.running();
      world.proxy.cut();
      await world.agent(worker.id, 'failed');
      world.proxy.heal();
      const task = await world.task(id, 'success');
      must(task.tryNumber === 1 && !run.wasTold(), `it took ${task.tryNumber} tries`);
      must((await world.output(id)).includes('done'), 'output of the time after the cut is missing');
      await worker.drained();
    },
  ],
  [
    'superseded: what a cut-off worker ran under reassign is stopped at its return, and what it reports is kept apart',
    async (world) => {
      const worker = await Worker.open(world, { cuttable: true });
      const run = lasting(world, 'superseded', 60);
      const id = await world.submit(worker, run.spec);
      const pid = await run.running();
      world.proxy.cut();
      await world.agent(worker.id, 'failed');
      await world.client.tasks.cancel(id);
      await world.task(id, 'cancelled');
      world.proxy.heal();
      await until('end of the superseded run', () => !isAlive(pid));
      must(run.wasTold(), 'no SIGTERM came first');
      await worker.drained();
    },
  ],
  [
    'single_run work ends at the gate, by its keeper, also while the worker itself is stopped',
    async (world) => {
      const worker = await Worker.open(world);
      const run = lasting(world, 'guarded', 60);
      const id = await world.submit(worker, { ...run.spec, partitionPolicy: 'single_run', killGraceMs: 500 });
      const pid = await run.running();
      worker.process.signal('SIGSTOP');
      try {
        await until('end of the guarded run', () => !isAlive(pid), 4 * LEASE_MS);
        must(run.wasTold(), 'no SIGTERM came first');
      } finally {
        worker.process.signal('SIGCONT');
      }
      await until('second try', async () => (await world.client.tasks.get(id)).tryNumber === 2);
      await world.client.tasks.cancel(id);
      await world.task(id, 'cancelled');
      await worker.drained();
    },
  ],
  [
    'kill -9 of the coordinator: the worker goes on, keeps its session, and delivers what has ended meanwhile',
    async (world) => {
      const worker = await Worker.open(world);
      const run = lasting(world, 'undisturbed', 1);
      const id = await world.submit(worker, run.spec);
      await run.running();
      await world.killServer();
      await until('end of the run', () => filesOf(worker).length > 0);
      await world.startServer();
      const task = await world.task(id, 'success');
      must(task.tryNumber === 1 && task.lostTries === 0, `it took ${task.tryNumber} tries`);
      await worker.drained();
    },
  ],
  [
    'cordon and drain: nothing new starts, what runs may finish, then goodbye and exit code 0',
    async (world) => {
      const worker = await Worker.open(world);
      const run = lasting(world, 'last', 1.5);
      const id = await world.submit(worker, run.spec);
      await run.running();
      await world.client.agents.drain(worker.id);
      const late = await world.submit(worker, { command: ['true'] });
      must((await worker.process.ended()) === 0, 'the exit code after a drain was not 0');
      must((await world.client.tasks.get(id)).state === 'success', 'the running task did not finish');
      must((await world.client.tasks.get(late)).state === 'queued', 'a task began during the drain');
      await world.client.tasks.cancel(late);
    },
  ],
  [
    'the submitter submits, follows the output, waits, and prints the result',
    async (world) => {
      const worker = await Worker.open(world);
      const args = ['--coordinator', world.address, '--queue', worker.id];
      const script = 'echo one; sleep 0.3; echo two; echo "{}" > $HOLDFAST_RESULT_FILE';
      const good = world.run('submit', join(PYTHON, 'submit'), [...args, '--', 'sh', '-c', script]);
      must((await good.ended()) === 0, 'the exit code was not 0');
      for (const line of ['one', 'two', '{}'])
        must(good.tail.includes(line), `it printed ${good.tail.join(' | ')}`);
      const bad = world.run('submit', join(PYTHON, 'submit'), [...args, '--', 'sh', '-c', 'exit 4']);
      must((await bad.ended()) === 3, 'the exit code of a failure was not 3');
      await worker.drained();
    },
  ],
  [
    'over TLS the worker is who its certificate says, and the submitter too; under the certificate of another it stays outside, and alive',
    async (world) => {
      const worker = new Worker(world);
      worker.start(...world.tlsOptions('other'));
      await until('refused worker', () =>
        worker.process.tail.some((line) => line.includes('the credential does not allow this agent')),
      );
      must(
        (await world.client.agents.list()).length === 0,
        'an agent came in under the certificate of another',
      );
      await worker.process.kill();
      worker.start(...world.tlsOptions('python-1'));
      await world.agent(worker.id, 'healthy');
      const args = ['--coordinator', world.address, '--queue', worker.id, ...world.tlsOptions('ada')];
      const good = world.run('submit', join(PYTHON, 'submit'), [...args, '--', 'echo', 'kept from others']);
      must((await good.ended()) === 0, 'the exit code was not 0');
      must(good.tail.includes('kept from others'), `it printed ${good.tail.join(' | ')}`);
      await worker.drained();
    },
    {
      certificates: [
        ['ada', 'operator/ada'],
        ['python-1', 'agent/worker/python-1'],
        ['other', 'agent/worker/other'],
      ],
    },
  ],
];

/** Reports that wait in a worker's journal. */
function filesOf(worker) {
  return readdirSync(join(worker.state, 'reports')).filter((name) => /^\d+$/.test(name));
}
