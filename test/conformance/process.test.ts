import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { AgentProcess, exitWords } from '../../src/testing/conformance/process.js';
import { Stub } from '../../src/testing/conformance/stub.js';
import { Watched } from '../../src/testing/conformance/watch.js';
import { eventually } from '../wire/support/wait.js';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'holdfast-kit-test-'));
  folders.push(made);
  return made;
}

const isAlive = (pid: number): boolean => {
  try {
    return !/^[ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1) ?? 'X');
  } catch {
    return false;
  }
};

const start = (...argv: string[]) => new AgentProcess(argv, process.env, tmpdir(), new Watched());

describe("an agent's process", () => {
  test('that ends although nobody asked it to is told with its last line', async () => {
    const agent = start('/bin/sh', '-c', 'echo no coordinator here; exit 7');
    const exit = await agent.ended(10_000);
    expect(exitWords(exit)).toBe('exit code 7');
    expect(() => agent.mustLive()).toThrow("the agent's process ended: exit code 7");
    await eventually('its last line', () => agent.output.includes('no coordinator here'));
  });

  test('that cannot be started is told as such', async () => {
    const exit = await start('/no/such/agent').ended(10_000);
    expect(exitWords(exit)).toBe('could not be started');
  });

  test('is killed with whatever it has started in its group', async () => {
    const agent = start('/bin/sh', '-c', 'sleep 600 & echo $!; wait');
    await eventually('the pid of its child', () => /\d+\n/.test(agent.output));
    const child = Number(agent.output);
    await agent.kill();
    await eventually('the death of its child', () => !isAlive(child));
    expect(agent.exit).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('does not outlive a kit that is ended in the middle of a case', async () => {
    const kit = join(folder(), 'kit.mjs');
    const from = resolve(import.meta.dirname, '../../dist/testing/conformance');
    writeFileSync(
      kit,
      `import { AgentProcess } from '${from}/process.js';
       import { Watched } from '${from}/watch.js';
       const agent = new AgentProcess(['/bin/sleep', '600'], process.env, '/', new Watched());
       console.log(agent.pid);
       process.once('SIGTERM', () => process.exit(1));`,
    );
    const child = spawn(process.execPath, [kit], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (bytes: Buffer) => {
      said += bytes.toString();
    });
    await eventually('the pid of the agent', () => said.includes('\n'));
    child.kill('SIGTERM');
    await eventually('the death of the agent', () => !isAlive(Number(said)));
    expect(Number(said)).toBeGreaterThan(1);
  });
});

describe("the kit's task", () => {
  test('notes its start and its end with its token, and its processes are found wherever they are', async () => {
    const watched = new Watched();
    const stub = new Stub(folder(), watched);
    const work = stub.work('t1', { mode: 'orphan', seconds: 600 });
    const { argv, env } = work.work?.$case === 'command' ? work.work.value : { argv: [], env: new Map() };
    const [program = '', ...args] = argv;
    const given = { ...process.env, ...Object.fromEntries(env), HOLDFAST_FENCING_TOKEN: '42' };
    spawn(program, args, { env: given, stdio: 'ignore' });
    await stub.noted('t1', 'end', 10_000);
    expect(stub.find('t1', 'start')).toMatchObject({ tag: 't1', token: '42' });
    expect(stub.starts('t1')).toBe(1);
    expect(() => stub.mustNotStart('t1', 'its permit was void')).toThrow('although its permit was void');
    await eventually('the process left behind, alone', () => stub.alive('t1').length === 1);
    expect(stub.alive('t2')).toEqual([]);
    await expect(stub.gone('t1', 0)).rejects.toThrow('still lives');
    stub.close();
    await stub.gone('t1', 10_000);
  });
});
