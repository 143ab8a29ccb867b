import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { AgentClock, Timer } from '../clock.js';
import { anonymousBytes, hasProcfs, processes } from './procfs.js';
import type { LimitsInForce, RunSpec } from './protocol.js';

/** The cgroup that the agent must be in for runs to get cgroups beside it: its parent is then delegated to it. */
const OWN_CGROUP = 'holdfast';
/** Between two looks at the memory of limited runs. */
const WATCH_MS = 200;
/** Of cpu.max, in microseconds. */
const CPU_PERIOD = 100_000;

/** What holds one run within its limits. */
export interface RunLimit {
  /** Takes the run's group in, before exec. Throws what the system says when it cannot. */
  enter(pgid: number, kill: () => void): void;
  /** Nothing of the run is alive: the limit that it was killed for, in bytes, or null. */
  end(): number | null;
}

/** The limits that can be enforced here, and by what. */
export class Limits {
  readonly inForce: LimitsInForce;
  private readonly clock: AgentClock;
  private readonly instanceId: string;
  private readonly cgroup: string | null;
  private readonly watched = new Set<Watched>();
  private timer: Timer | null = null;

  constructor(clock: AgentClock, instanceId: string, cgroups: Cgroups) {
    this.clock = clock;
    this.instanceId = instanceId;
    this.cgroup = cgroups.parent;
    const memory = cgroups.parent !== null ? 'cgroup' : hasProcfs() ? 'watch' : 'none';
    const cpu = cgroups.cpu ? 'cgroup' : 'none';
    this.inForce = { memory, cpu, text: describe(memory, cpu, cgroups.reason) };
  }

  /** Null for a run without limits. Throws what the system says when they cannot be set up. */
  prepare({ runId, memoryLimitBytes, cpuLimitMillis }: RunSpec): RunLimit | null {
    if (memoryLimitBytes === null && cpuLimitMillis === null) return null;
    if (this.cgroup !== null && (cpuLimitMillis === null || this.inForce.cpu === 'cgroup')) {
      const folder = join(this.cgroup, `holdfast-${this.instanceId}-${runId}`);
      return cgroupLimit(folder, memoryLimitBytes, cpuLimitMillis);
    }
    if (cpuLimitMillis !== null || this.inForce.memory === 'none' || memoryLimitBytes === null)
      throw new Error(`this agent cannot enforce the limits of the task: ${this.inForce.text}`);
    return this.watch(memoryLimitBytes);
  }

  private watch(limitBytes: number): RunLimit {
    let watched: Watched | null = null;
    return {
      enter: (pgid, kill) => {
        watched = { pgid, limitBytes, kill, exceeded: false };
        this.watched.add(watched);
        this.timer ??= this.clock.setTimer(WATCH_MS, () => this.look());
      },
      end: () => {
        if (watched !== null) this.watched.delete(watched);
        return watched?.exceeded ? limitBytes : null;
      },
    };
  }

  /** One look for all of them: reading /proc is what costs. */
  private look(): void {
    this.timer = null;
    if (this.watched.size === 0) return;
    const all = processes();
    for (const watched of this.watched) {
      if (watched.exceeded) continue;
      let bytes = 0;
      for (const pid of family(all, watched.pgid)) bytes += anonymousBytes(pid);
      if (bytes <= watched.limitBytes) continue;
      watched.exceeded = true;
      watched.kill();
    }
    this.timer = this.clock.setTimer(WATCH_MS, () => this.look());
  }
}

interface Watched {
  readonly pgid: number;
  readonly limitBytes: number;
  readonly kill: () => void;
  exceeded: boolean;
}

type Listed = ReturnType<typeof processes>;

/** The group, and whatever descends from it: a command may leave the group, not its ancestry (but by a double fork). */
function family(all: Listed, pgid: number): ReadonlySet<number> {
  const found = new Set(all.filter(({ group }) => group === pgid).map(({ pid }) => pid));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return found;
}

/** Where cgroups for runs can be made; null when they cannot. */
export interface Cgroups {
  readonly parent: string | null;
  /** Whether they limit CPU as well as memory. */
  readonly cpu: boolean;
  /** Why not; empty when they limit both. */
  readonly reason: string;
}

/**
 * Runs get cgroups beside the agent's own, if that is named `holdfast` and its parent takes the controllers. The name is
 * the operator's word that the parent is delegated (systemd: Delegate=yes, DelegateSubgroup=holdfast): root could write
 * into any cgroup, and would disturb its owner.
 */
export function findCgroups(root = '/sys/fs/cgroup', self = '/proc/self/cgroup'): Cgroups {
  const none = (reason: string): Cgroups => ({ parent: null, cpu: false, reason });
  try {
    readFileSync(join(root, 'cgroup.controllers'));
  } catch {
    return none('there is no cgroup v2 here');
  }
  try {
    const own = /^0::(.*)$/m.exec(readFileSync(self, 'utf8'))?.[1] ?? '/';
    if (basename(own) !== OWN_CGROUP)
      return none(`the agent is not in a delegated cgroup named ${OWN_CGROUP}`);
    const parent = join(root, dirname(own));
    // A user's session of systemd has memory alone by default; asked for what is not there, the kernel gives nothing.
    const given = readFileSync(join(parent, 'cgroup.controllers'), 'utf8').trim().split(' ');
    if (!given.includes('memory')) return none(`the memory controller is not delegated to ${parent}`);
    const cpu = given.includes('cpu');
    writeFileSync(join(parent, 'cgroup.subtree_control'), cpu ? '+memory +cpu' : '+memory');
    return { parent, cpu, reason: cpu ? '' : `the cpu controller is not delegated to ${parent}` };
  } catch (error) {
    return none(`the cgroup cannot be used: ${(error as Error).message}`);
  }
}

function cgroupLimit(folder: string, memoryBytes: number | null, cpuMillis: number | null): RunLimit {
  const set = (file: string, value: string): void => writeFileSync(join(folder, file), value);
  mkdirSync(folder);
  try {
    if (memoryBytes !== null) {
      set('memory.max', String(memoryBytes));
      // All of the run dies together, and swap is no way around the limit.
      set('memory.oom.group', '1');
      setIfThere(folder, 'memory.swap.max', '0');
    }
    if (cpuMillis !== null) set('cpu.max', `${(cpuMillis * CPU_PERIOD) / 1_000} ${CPU_PERIOD}`);
  } catch (error) {
    remove(folder);
    throw error;
  }
  return {
    enter: (pgid) => set('cgroup.procs', String(pgid)),
    end: () => {
      const kills = memoryBytes === null ? 0 : oomKills(folder);
      remove(folder);
      return kills > 0 ? memoryBytes : null;
    },
  };
}

/** A kernel without swap accounting does not have it. */
function setIfThere(folder: string, file: string, value: string): void {
  try {
    writeFileSync(join(folder, file), value, { flag: 'r+' });
  } catch {
    // Then there is no swap to be limited.
  }
}

function oomKills(folder: string): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(join(folder, 'memory.events'), 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** The last process may be dead and not reaped: then it stays, empty, until the machine restarts. */
function remove(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Nothing runs in it, and its name is never used again.
  }
}

function describe(memory: LimitsInForce['memory'], cpu: LimitsInForce['cpu'], reason: string): string {
  switch (memory) {
    case 'cgroup':
      return cpu === 'cgroup'
        ? 'memory and CPU limits of tasks are enforced by cgroups'
        : `memory limits of tasks are enforced by cgroups, CPU limits not at all (${reason})`;
    case 'watch':
      return `memory limits of tasks are enforced by looking every ${WATCH_MS} ms, CPU limits not at all (${reason})`;
    case 'none':
      return `neither memory nor CPU limits of tasks can be enforced (${reason}; no /proc)`;
  }
}
