import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { eventually } from '../wire/support/wait.js';
import { type Exit, Program } from './support/site.js';

const BIN = resolve(import.meta.dirname, '../../dist/main/bin.js');
const page = readFileSync(new URL('../../docs/how-to/tls.md', import.meta.url), 'utf8');
const [MAKE = '', SERVER = '', AGENT = '', OPERATE = ''] = [
  ...page.matchAll(/<!-- run by test\/e2e\/tls\.long\.ts -->\n\n```sh\n(.*?)```/gs),
].map(([, block]) => block);

/** The words of a command of the page, without the program's name. */
const wordsOf = (block: string): string[] => block.trim().split(/\s+/).slice(1);

let folder = '';
const programs: Program[] = [];
afterEach(async () => {
  await Promise.all(programs.splice(0).map((program) => program.kill()));
  rmSync(folder, { recursive: true, force: true });
});

const run = (args: readonly string[]): Program => {
  const program = new Program(args, folder);
  programs.push(program);
  return program;
};

/** A shell in the folder, where `holdfast` is the built program. */
function shell(script: string): Exit & { stdout: string; stderr: string } {
  const all = `set -eu\nholdfast() { '${process.execPath}' '${BIN}' "$@"; }\n${script}`;
  const env = { PATH: process.env.PATH ?? '', HOME: folder };
  const { status, signal, stdout, stderr } = spawnSync('bash', ['-c', all], {
    cwd: folder,
    env,
    encoding: 'utf8',
  });
  return { code: status, signal, stdout, stderr };
}

const freePort = (): Promise<number> =>
  new Promise((settle) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => settle(port));
    });
  });

/** The page's shell function that issues a certificate, and what is issued besides. */
const issue = (words: string): string =>
  `${MAKE.slice(MAKE.indexOf('issue() {'), MAKE.indexOf('issue coordinator'))}\nissue ${words}`;

describe('docs/how-to/tls.md, command by command', () => {
  test('gives a coordinator, a worker and an operator who know each other, over restarts and new certificates', async () => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
    expect(shell(MAKE)).toMatchObject({ code: 0 });
    const address = `127.0.0.1:${await freePort()}`;
    const serve = async (): Promise<Program> => {
      const at = ['--port', address.split(':')[1] ?? '', '--db-file', 'holdfast.db'];
      const server = run([...wordsOf(SERVER), ...at, '--heartbeat-interval', '500ms']);
      await server.says('coordinator accepts calls');
      return server;
    };
    const start = (block: string, state: string): Program =>
      run([...wordsOf(block), '--coordinator', address, '--state-dir', state]);
    /** The page's last block, with another command in place of its own. */
    const operate = (command: string, block = OPERATE) =>
      shell(`export HOLDFAST_COORDINATOR=${address}\n${block.replace(/^holdfast .*$/m, () => command)}`);

    let server = await serve();
    const agent = start(AGENT, 'state');
    await agent.says('connected: a new session');
    expect(shell(`export HOLDFAST_COORDINATOR=${address}\n${OPERATE}`)).toMatchObject({ code: 0 });

    // A run goes on over the coordinator's death, and so does its agent's session.
    const waits = `holdfast task submit --output name -- sh -c 'until [ -e ${folder}/go ]; do sleep 0.1; done'`;
    const taskId = operate(waits).stdout.trim();
    const described = (): string => operate(`holdfast task describe ${taskId}`).stdout;
    await eventually('the run', () => described().includes('running'));
    await server.kill();
    server = await serve();
    await agent.says('connected again: the session goes on');
    writeFileSync(join(folder, 'go'), '');
    await eventually('its end', () => described().includes('success'));

    // A new pair for the coordinator, in place: who comes from then on sees it, who is there stays.
    expect(shell(issue('fresh DNS:localhost,IP:127.0.0.1'))).toMatchObject({ code: 0 });
    for (const kind of ['key', 'pem'])
      copyFileSync(join(folder, `fresh.${kind}`), join(folder, `coordinator.${kind}`));
    const streams = agent.stderr.match(/stream_lost/g)?.length;
    server.signal('SIGHUP');
    await server.says('new certificates are in use');
    expect(operate('holdfast agent list')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('site-a-1'),
    });
    expect(agent.stderr.match(/stream_lost/g)?.length).toBe(streams);

    // The agent's certificate is no operator's, and opens no other agent's stream.
    const asAgent = operate('holdfast task list', OPERATE.replaceAll('ada', 'site-a-1'));
    expect(asAgent).toMatchObject({ code: 77, stderr: expect.stringContaining('PERMISSION_DENIED') });
    const impostor = start(AGENT.replace('--agent-id site-a-1', '--agent-id site-a-2'), 'other');
    await impostor.says('is that of agent site-a-1, not of site-a-2');
    agent.signal('SIGTERM');
    expect(await agent.exited).toMatchObject({ code: 0 });
  });
});
