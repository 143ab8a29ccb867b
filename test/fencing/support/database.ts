import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { eventually } from '../../wire/support/wait.js';

export interface Database {
  /** Takes everything that a client needs, a schema of the test's own included. */
  readonly url: string;
  close(): Promise<void>;
}

const SCHEMA = 'holdfast_fencing_test';
const LIMIT_MS = 60_000;

/** A real PostgreSQL: the one of TEST_DATABASE_URL, else one of its own from the installed binaries. Fails without. */
export async function openDatabase(): Promise<Database> {
  const given = process.env.TEST_DATABASE_URL;
  if (given !== undefined && given !== '') return schemaIn(given);
  const binaries = findBinaries();
  if (binaries === undefined) {
    throw new Error(
      'no PostgreSQL was found: TEST_DATABASE_URL is not set, and no server is installed. ' +
        'Install one (Debian: apt-get install postgresql), or set TEST_DATABASE_URL.',
    );
  }
  return startServer(binaries);
}

async function schemaIn(given: string): Promise<Database> {
  const name = `${SCHEMA}_${process.pid}`;
  const run = async (sql: string): Promise<void> => {
    const client = new pg.Client(given);
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  await run(`CREATE SCHEMA ${name}`);
  const url = new URL(given);
  url.searchParams.set('options', `-c search_path=${name}`);
  return { url: url.href, close: () => run(`DROP SCHEMA ${name} CASCADE`) };
}

function findBinaries(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(':'),
  ];
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')));
}

/** PostgreSQL refuses to run as root: it gets a user of its own then. */
function asUser(folder: string): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const idOf = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  const [uid, gid] = [idOf('-u'), idOf('-g')];
  chownSync(folder, uid, gid);
  // With the death signal it ends with the test's process, however that ends.
  const ids = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--pdeathsig=INT'];
  return ['setpriv', ...ids];
}

async function startServer(binaries: string): Promise<Database> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-pg-'));
  const data = join(folder, 'data');
  const user = asUser(folder);
  const spawned = (program: string, ...args: string[]): ChildProcess => {
    const [first = '', ...rest] = [...user, join(binaries, program), ...args];
    return spawn(first, rest, { cwd: folder, env: { PATH: process.env.PATH, LC_ALL: 'C' }, stdio: 'pipe' });
  };
  let said = '';
  const ended = (child: ChildProcess): Promise<number | null> => {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
    }
    return new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  };
  const made = await ended(
    spawned('initdb', '-D', data, '-U', 'holdfast', '-A', 'trust', '-N', '--no-locale', '-E', 'UTF8'),
  );
  if (made !== 0) throw new Error(`initdb ended with ${made}:\n${said}`);
  // No port: a socket in the folder is all there is, so two tests at once never meet.
  const settings = ['listen_addresses=', `unix_socket_directories=${folder}`, 'max_connections=40'];
  const server = spawned('postgres', '-D', data, '-F', ...settings.flatMap((setting) => ['-c', setting]));
  const over = ended(server);
  const url = `postgresql://holdfast@/postgres?host=${encodeURIComponent(folder)}`;
  const close = async (): Promise<void> => {
    server.kill('SIGINT');
    await over;
    rmSync(folder, { recursive: true, force: true });
  };
  const answers = async (): Promise<boolean> => {
    if (server.exitCode !== null) throw new Error(`postgres ended with ${server.exitCode}:\n${said}`);
    const client = new pg.Client(url);
    return client.connect().then(
      () => client.end().then(() => true),
      () => false,
    );
  };
  await eventually('the database answers', answers, LIMIT_MS).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return { url, close };
}
