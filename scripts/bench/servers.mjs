// The servers that peers keep their work in, started from what is installed: on free ports of the loopback, in temporary
// folders, ended with the bench.
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { exited, follow, until } from './processes.mjs';

const LIMIT_MS = 30_000;
const DEBIAN = '/usr/lib/postgresql';

/** Where redis-server is; null when it is not installed. */
export const findRedis = () => onPath('redis-server')[0] ?? null;

/** The folder with the newest PostgreSQL's programs; null when none is installed. */
export function findPostgres() {
  const packaged = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...packaged.map((v) => join(DEBIAN, v, 'bin')), ...onPath('postgres').map(dirname)];
  const hasAll = (folder) => ['initdb', 'postgres', 'psql'].every((name) => existsSync(join(folder, name)));
  return folders.find(hasAll) ?? null;
}

/** `appendfsync`: 'always' syncs before it answers, 'everysec' may lose a second. */
export async function startRedis(appendfsync) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const port = await freePort();
  const where = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder];
  // https://docs.bullmq.io/guide/going-to-production: persistence by the append-only file, and no eviction. No snapshots
  // beside it: they would only take time.
  const how = [
    '--appendonly',
    'yes',
    '--appendfsync',
    appendfsync,
    '--save',
    '',
    '--maxmemory-policy',
    'noeviction',
  ];
  const child = follow(spawn(findRedis(), [...where, ...how], { stdio: 'ignore' }));
  const { ready, stop } = lifeOf(child, folder, 'SIGTERM');
  await ready(port, 'redis-server');
  return { url: `redis://127.0.0.1:${port}`, stop };
}

/** Everything durable as it comes: fsync, full_page_writes and synchronous_commit on. */
export async function startPostgres() {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const port = await freePort();
  const programs = findPostgres();
  const user = serverUser();
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const initdb = ['-D', data, '-U', 'bench', '-A', 'trust', '-E', 'UTF8', '--locale', 'C', '--no-sync'];
  execFileSync(join(programs, 'initdb'), initdb, { stdio: 'ignore', cwd: folder, ...user });
  // Room for the connections of 100 at once, no checkpoint in the midst of a round, memory for the data of one.
  const sizes = {
    max_connections: 200,
    max_wal_size: '4GB',
    shared_buffers: '512MB',
    listen_addresses: '127.0.0.1',
  };
  const settings = Object.entries({ ...sizes, port, unix_socket_directories: folder });
  const args = ['-D', data, ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const child = follow(spawn(join(programs, 'postgres'), args, { stdio: 'ignore', cwd: folder, ...user }));
  // A fast shutdown: whoever is connected is let go.
  const { ready, stop } = lifeOf(child, folder, 'SIGINT');
  await ready(port, 'postgres');
  const url = (name) => `postgres://bench@127.0.0.1:${port}/${name}`;
  const psql = (statement) =>
    execFileSync(join(programs, 'psql'), [url('postgres'), '-qc', statement], { stdio: 'ignore' });
  await until(() => tries(() => psql('SELECT 1')), LIMIT_MS, 'PostgreSQL did not come up');
  return { url, psql, stop };
}

/** PostgreSQL refuses to run as root; its Debian package brings a user. */
function serverUser() {
  if (process.getuid?.() !== 0) return {};
  const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

function lifeOf(child, folder, signal) {
  const ready = async (port, what) => {
    await until(() => child.exitCode !== null || canConnect(port), LIMIT_MS, `${what} did not come up`);
    if (child.exitCode !== null) throw new Error(`${what} ended with ${child.exitCode}`);
  };
  const stop = async () => {
    child.kill(signal);
    await exited(child);
    rmSync(folder, { recursive: true, force: true });
  };
  return { ready, stop };
}

function tries(act) {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

function onPath(program) {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, program)).filter((file) => existsSync(file));
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(null)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function canConnect(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const told = (answer) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', told(true));
    socket.once('error', told(false));
  });
}
