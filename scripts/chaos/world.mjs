// What this machine allows. Where it can, the harness starts itself once more in a network and a mount namespace of its own:
// nothing that it makes there can touch the machine, and nothing outlives it, not even a kill -9.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { succeeds, system } from './system.mjs';

const WORLD = 'HOLDFAST_CHAOS_WORLD';

/** What the process around this one has prepared; undefined in the outermost one. */
export function preparedWorld() {
  const told = process.env[WORLD];
  if (told === undefined) return undefined;
  delete process.env[WORLD];
  const parts = told.split(',');
  return { net: parts.includes('net'), mount: parts.includes('mount') };
}

/** The commands that are there, and the namespaces that may be made; `plain` wants no network of its own. */
export function possibleWorld(plain) {
  const userns = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const works = (flags, ...command) => succeeds('unshare', [...userns, ...flags, ...command]);
  const mount = process.platform === 'linux' && works(['--mount'], 'mount', '-t', 'tmpfs', 'tmpfs', '/run');
  const tools = succeeds('ip', ['-V']) && succeeds('nft', ['--version']);
  const veth = ['ip', 'link', 'add', 'probe0', 'type', 'veth', 'peer', 'name', 'probe1'];
  const net = !plain && mount && tools && works(['--mount', '--net'], ...veth);
  return { net, mount, userns };
}

/** Runs this program again inside; resolves to its exit code. A signal is handed on, the end of this process as well. */
export function runInside({ net, mount, userns }) {
  const flags = mount ? [...userns, '--mount', ...(net ? ['--net'] : [])] : [];
  const told = [net ? 'net' : '', mount ? 'mount' : ''].join(',');
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const command = flags.length === 0 ? self : ['unshare', ...flags, ...self];
  const child = spawn(command[0], command.slice(1), {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    // A session of its own: what it asks of the scheduler concerns nobody else (see goFirst).
    detached: true,
    env: { ...process.env, [WORLD]: told },
  });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
    process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('exit', (code) => resolve(code ?? 1));
  });
}

const FIRST = -10;

/**
 * Inside: ahead of what else this machine does, where we may. Agents that get no CPU for a lease are rightly failed, and the
 * times that are judged would be the neighbours'. Returns whether it worked.
 */
export function goFirst() {
  try {
    setPriority(FIRST);
    // Where the scheduler shares by session, the nice value of a process counts only within its own.
    writeFileSync('/proc/self/autogroup', String(FIRST));
    return true;
  } catch {
    return false;
  }
}

/** Inside: a place for the names of network namespaces that nobody else sees. */
export function prepareNames() {
  system('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
  mkdirSync('/run/netns');
}

/** A small disk of its own at `folder`. */
export function mountSmallDisk(folder, megabytes) {
  mkdirSync(folder);
  system('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]);
}

export function unmount(folder) {
  succeeds('umount', ['--lazy', folder]);
}

/** What goes before a command that must not outlive this process, whatever ends it. */
export function boundToUs() {
  return succeeds('setpriv', ['--version']) ? ['setpriv', '--pdeathsig', 'KILL'] : [];
}
