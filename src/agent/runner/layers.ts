import { type StdioOptions, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type AgentClock, pause } from '../clock.js';
import { hasProcfs, signal } from './procfs.js';
import type { NamespaceChoice, Protection } from './protocol.js';

export const SHELL = '/bin/sh';

/**
 * What the group's leader does first: wait for the word on descriptor 3 (journalled, then exec), then become the
 * command. Nothing to read means that the runner is dead.
 */
const LEADER_SCRIPT = 'read -r word <&3 || exit 125; exec "$@" 3<&-';
const NAMESPACE_LEADER_SCRIPT = 'read -r word <&3 || exit 125; exec "$@" 9>&2 2>/dev/null';

/**
 * Process 1 of a run's namespace. A command in that place would ignore SIGTERM unless it has its own answer to it, and
 * would have to reap orphans; so a shell takes the place and the command is its child. The child says that it is there:
 * so a namespace that the system refused does not look like a command that failed, and a SIGTERM that came too early
 * for the child is not lost. What shells and tools remark on the way ("Terminated") is none of the command's output:
 * they have no standard error, the command's waits on descriptor 9.
 */
const INIT_SCRIPT = '(echo up >&3; exec "$@" 3>&- 9>&-) 2>&9; exit $?';

type Namespace = Protection['namespace'];

/** Wraps a command so that nothing of it survives its runner; `none` leaves it as it is. */
function namespaceArgv(
  namespace: Namespace,
  tools: Tools | null,
  argv: readonly string[],
): readonly string[] {
  if (namespace === 'none' || tools === null) return argv;
  // The command keeps its user: as "root" of a namespace it would believe to be what it is not.
  const user = namespace === 'user' ? ['--user', '--map-current-user'] : [];
  const pid = ['--pid', '--fork', '--kill-child=KILL', '--mount-proc'];
  const init = [SHELL, '-c', INIT_SCRIPT, 'holdfast-init', ...argv];
  return [tools.setpriv, '--pdeathsig', 'KILL', tools.unshare, ...user, ...pid, '--', ...init];
}

/** The group's leader: waits for the word, then becomes the command, in a namespace if there is one. */
export function leaderArgv(layers: Layers, argv: readonly string[]): readonly string[] {
  const { namespace } = layers.protection;
  const command = namespaceArgv(namespace, layers.tools, argv);
  const script = namespace === 'none' ? LEADER_SCRIPT : NAMESPACE_LEADER_SCRIPT;
  return [SHELL, '-c', script, 'holdfast-run', ...command];
}

export interface Tools {
  readonly setpriv: string;
  readonly unshare: string;
}

/** The layers in force, and with what. */
export interface Layers {
  readonly protection: Protection;
  readonly tools: Tools | null;
}

/** Tries the namespaces allowed by `choice`, strongest first, and says what is in force. */
export async function probeLayers(clock: AgentClock, choice: NamespaceChoice): Promise<Layers> {
  const tools = findTools();
  const reasons: string[] = [];
  let namespace: Namespace = 'none';
  for (const candidate of candidates(choice)) {
    const fault =
      tools === null ? 'setpriv or unshare is not installed' : await probe(clock, candidate, tools);
    if (fault === null) {
      namespace = candidate;
      break;
    }
    reasons.push(`${candidate} namespace: ${fault}`);
  }
  if (choice === 'off') reasons.push('namespaces are turned off');
  const sweep = hasProcfs();
  return {
    protection: { namespace, sweep, lifeline: true, text: describe(namespace, sweep, reasons) },
    tools,
  };
}

function candidates(choice: NamespaceChoice): readonly ('root' | 'user')[] {
  if (choice === 'off' || process.platform !== 'linux') return [];
  if (choice !== 'auto') return [choice];
  return process.getuid?.() === 0 ? ['root', 'user'] : ['user'];
}

function describe(namespace: Namespace, sweep: boolean, reasons: readonly string[]): string {
  const beside = sweep ? 'sweep by environment, lifeline' : 'lifeline (no /proc, so no sweep)';
  if (namespace !== 'none') {
    return `each run in a PID namespace (${namespace}); ${beside}: no process of a run outlives this agent`;
  }
  const gap = sweep
    ? 'a process that leaves its session and clears its environment can outlive this agent'
    : 'a process that leaves its session can outlive this agent';
  const because = reasons.length === 0 ? 'this is not Linux' : reasons.join('; ');
  return `no PID namespaces (${because}); ${beside}: ${gap}`;
}

/** An agent started by a service may lack the sbin folders in its PATH. */
function findTools(): Tools | null {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
  const find = (name: string): string | undefined =>
    folders.map((folder) => join(folder, name)).find((file) => file.startsWith('/') && isExecutable(file));
  const [setpriv, unshare] = [find('setpriv'), find('unshare')];
  return setpriv === undefined || unshare === undefined ? null : { setpriv, unshare };
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The probe's command: says its pid, and answers SIGTERM with exit code 3. */
const PROBE_SCRIPT = 'trap "exit 3" TERM; echo $$; while :; do sleep 1 & wait $!; done';
const PROBE_LIMIT_MS = 3_000;

/**
 * Null if a run in the namespace does what runs must do: has pids of its own, and passes on SIGTERM and exit code
 * (older unshare programs die of the SIGTERM meant for the command). Else what went wrong.
 */
function probe(clock: AgentClock, namespace: 'root' | 'user', tools: Tools): Promise<string | null> {
  const [program = '', ...args] = namespaceArgv(namespace, tools, [SHELL, '-c', PROBE_SCRIPT]);
  // Descriptors 3 and 9 are process 1's: for its answer, and where it looks for the command's standard error.
  const unused = Array.from({ length: 5 }, () => 'ignore' as const);
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', 'pipe', ...unused, 'pipe'];
  const child = spawn(program, args, { detached: true, stdio });
  for (const own of [3, 9]) (child.stdio[own] as Readable | undefined)?.resume();
  let out = '';
  let complaint = '';
  child.stdout?.on('data', (data: Buffer) => {
    out += data;
    if (!out.includes('\n')) return;
    // A moment for the shell to come to its `wait`, which a signal interrupts at once.
    void pause(clock, 5).then(() => child.pid !== undefined && signal(-child.pid, 'SIGTERM'));
  });
  child.stderr?.on('data', (data: Buffer) => {
    complaint += data;
  });
  return new Promise((resolve) => {
    const limit = clock.setTimer(PROBE_LIMIT_MS, () => child.pid && signal(-child.pid, 'SIGKILL'));
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code) => {
      limit.cancel();
      if (out === '') resolve(complaint.trim().split('\n').at(-1) || `exit code ${code}`);
      else if (Number(out) > 9) resolve('it shares its pids with the host');
      else resolve(code === 3 ? null : `a command ended by SIGTERM came back as ${code ?? 'killed'}`);
    });
  });
}
