// What the system says about processes: which ones an agent has started, and which of them are alive still.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';

// Where the system tells it file by file; elsewhere `ps` does.
const procfs = existsSync('/proc/self/task');

/** Everything below a process, as names that stay apart when a pid is used again. */
export function descendantsOf(pid) {
  const childrenOf = procfs ? readChildren : childrenByPs();
  const found = [];
  const waiting = [pid];
  for (let parent = waiting.pop(); parent !== undefined; parent = waiting.pop()) {
    const children = childrenOf(parent);
    found.push(...children);
    waiting.push(...children);
  }
  return found.flatMap(identityOf);
}

/** How many of these processes are alive. */
export function aliveOf(processes) {
  return processes.filter(({ pid, started }) => identityOf(pid).some((now) => now.started === started))
    .length;
}

/** Each thread has children of its own. Who ends meanwhile has none. */
function readChildren(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

function childrenByPs() {
  const rows = ps('-A', '-o', 'pid=,ppid=').map((line) => line.trim().split(/\s+/).map(Number));
  return (parent) => rows.filter(([, ppid]) => ppid === parent).map(([pid]) => pid);
}

/** A process by its pid and its start; none when it is gone, or only waits for its parent to take note of its end. */
function identityOf(pid) {
  if (!procfs) {
    return ps('-o', 'stat=,lstart=', '-p', String(pid)).flatMap((line) =>
      line.startsWith('Z') ? [] : [{ pid, started: line.slice(line.indexOf(' ')).trim() }],
    );
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in brackets may contain anything: the fields are counted from its end.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? [] : [{ pid, started: fields[19] }];
  } catch {
    return [];
  }
}

function ps(...args) {
  try {
    return execFileSync('ps', args, { encoding: 'utf8' }).split('\n').filter(Boolean);
  } catch {
    // No such process.
    return [];
  }
}

/**
 * How many processes, whoever their parent is now, bear the mark that an agent gives to all that it starts. Read without
 * holding up anything else: there may be many processes. Only where environments can be read; 0 elsewhere.
 */
export async function markedOf(instanceId) {
  if (!procfs) return 0;
  const mark = `HOLDFAST_AGENT_INSTANCE=${instanceId}`;
  let marked = 0;
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    // Gone meanwhile, or another user's: not one of ours.
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (environment.split('\0').includes(mark)) marked += 1;
  }
  return marked;
}
