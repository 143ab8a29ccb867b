import { readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../kit/log.js';
import { type AgentClock, pause } from '../clock.js';
import { findMarked, groupMembers, type ProcessStat, signal, sweepMarked } from '../runner/procfs.js';
import { INSTANCE_VARIABLE } from '../runner/protocol.js';
import { Journal, JournalNewerError } from './journal.js';
import { isLocalFileSystem, type LockIdentity, type StateLock, tryLock } from './lock.js';
import type { InstanceRecord, StartedGroup } from './records.js';

const AGENT_LOCK_FILE = 'agent.lock';
/** Held by the runner, until its last sweep is done. */
export const RUNNER_LOCK_FILE = 'runner.lock';

/** An earlier runner gets so long to finish its sweep, in milliseconds. */
const RUNNER_WAIT_MS = 15_000;
const POLL_MS = 20;
/** Our own sweep of what earlier instances left tries so long, in milliseconds. */
const SWEEP_MS = 10_000;

export interface TakeOverOptions {
  readonly stateDir: string;
  /** Of this process; journalled once the take-over is done. */
  readonly instanceId: string;
  readonly clock: AgentClock;
  readonly log: Log;
  /** Default RUNNER_WAIT_MS; beyond it the earlier runner is taken to be stuck, and nothing is proven. */
  readonly runnerWaitMs?: number;
}

/** P5: what the new instance can say about the one before it. */
export interface PredecessorProof {
  readonly predecessor: ({ readonly instanceId: string } & LockIdentity) | null;
  /** Both locks are held, they are the predecessor's own, and no process of its runs is alive. */
  readonly proven: boolean;
  /** Why not; null when proven, or when there was no predecessor. */
  readonly unproven: string | null;
  /** Processes of earlier instances that were still alive when their agent and runner were gone. */
  readonly escaped: number;
}

/** The state directory is this process's own. */
export interface TakeOver {
  /** Held until the process ends. */
  readonly lock: StateLock;
  readonly journal: Journal;
  readonly proof: PredecessorProof;
}

type StateDirectoryCode = 'IN_USE' | 'NEWER' | 'UNUSABLE';

/** The state directory cannot be used. The message says what, because of what, and what to try. */
class StateDirectoryError extends Error {
  override readonly name = 'StateDirectoryError';
  readonly code: StateDirectoryCode;

  constructor(code: StateDirectoryCode, text: string) {
    super(text);
    this.code = code;
  }
}

/**
 * Makes the state directory this process's own: both locks, then the journal, then the death of whatever earlier
 * instances left. Throws StateDirectoryError, or JournalCorruptError. Only after it may the new runner be started.
 */
export async function takeOver(options: TakeOverOptions): Promise<TakeOver> {
  const { stateDir, instanceId } = options;
  const attempt = tryLock(join(stateDir, AGENT_LOCK_FILE));
  if (attempt.kind !== 'held') {
    throw new StateDirectoryError(attempt.kind === 'inUse' ? 'IN_USE' : 'UNUSABLE', attempt.text);
  }
  const { lock } = attempt;
  try {
    const runnerGone = await awaitRunner(options);
    const journal = openJournal(options);
    const self: InstanceRecord = {
      ...identityOf(lock),
      instanceId,
      pid: process.pid,
      pidNamespace: pidNamespace(),
    };
    const proof = await prove(options, journal, self, runnerGone);
    // Their numbers may be anybody's from now on.
    if (proof.proven) for (const { pgid } of journal.recovered.groups) journal.endGroup(pgid);
    const written = journal.startInstance(self);
    if (written.kind === 'refused') throw new StateDirectoryError('UNUSABLE', written.text);
    return { lock, journal, proof };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function openJournal({ stateDir, clock }: TakeOverOptions): Journal {
  try {
    return Journal.open(stateDir, clock);
  } catch (error) {
    if (error instanceof JournalNewerError) throw new StateDirectoryError('NEWER', error.message);
    throw error;
  }
}

/**
 * True once the earlier runner's lock was ours for a moment. It is given back at once: the next to take it is our own
 * runner, for nobody else comes this far while we hold the agent's lock.
 */
async function awaitRunner({ stateDir, clock, runnerWaitMs }: TakeOverOptions): Promise<boolean> {
  const endMs = clock.monoMs() + (runnerWaitMs ?? RUNNER_WAIT_MS);
  for (;;) {
    const attempt = tryLock(join(stateDir, RUNNER_LOCK_FILE));
    if (attempt.kind === 'held') {
      attempt.lock.release();
      return true;
    }
    if (attempt.kind === 'failed') throw new StateDirectoryError('UNUSABLE', attempt.text);
    if (clock.monoMs() >= endMs) return false;
    await pause(clock, POLL_MS);
  }
}

async function prove(
  options: TakeOverOptions,
  journal: Journal,
  self: InstanceRecord,
  runnerGone: boolean,
): Promise<PredecessorProof> {
  const { previousInstance, instances, runs, groups } = journal.recovered;
  if (previousInstance === null) return { predecessor: null, proven: false, unproven: null, escaped: 0 };
  const { instanceId } = previousInstance;
  const predecessor = { instanceId, ...identityOf(previousInstance) };
  const foreign = differenceFrom(self, previousInstance, options.stateDir);
  if (foreign !== null) return { predecessor, proven: false, unproven: foreign, escaped: 0 };

  const { found, left } = await buryInstances(options.clock, instances, [...runs, ...groups]);
  if (found > 0) {
    options.log.warn(
      { found, left },
      'processes of an earlier instance were still alive and have been killed',
    );
  }
  const unproven = !runnerGone
    ? 'the runner of the earlier instance still holds its lock'
    : left > 0
      ? `${left} processes of the earlier instance are still alive`
      : null;
  return { predecessor, proven: unproven === null, unproven, escaped: found };
}

/**
 * Why pids and locks of the predecessor mean nothing here; null if they do. On a shared disk its process may live on
 * another host, and after a restart of the container in another pid namespace, out of our sight.
 */
function differenceFrom(self: InstanceRecord, previous: InstanceRecord, stateDir: string): string | null {
  if (self.bootId === '' || self.pidNamespace === '')
    return 'this system tells no boot id and no pid namespace';
  if (self.bootId !== previous.bootId) return 'the host was started anew, or is another one';
  if (self.device !== previous.device || self.inode !== previous.inode) return 'the lock file is another one';
  if (self.pidNamespace !== previous.pidNamespace) return 'the earlier instance ran in another pid namespace';
  if (!isLocalFileSystem(stateDir)) return 'the state directory is on a remote file system';
  return null;
}

/** Kills what is left of earlier instances; counts what was alive, and what still is. */
async function buryInstances(
  clock: AgentClock,
  instances: readonly InstanceRecord[],
  groups: readonly StartedGroup[],
): Promise<{ found: number; left: number }> {
  const marks = instances.map(({ instanceId }) => ({ variable: INSTANCE_VARIABLE, value: instanceId }));
  // The groups first: as long as a marked member is alive, the group is known to be ours.
  const marked = new Set(findMarked(marks).map(({ pid }) => pid));
  const inGroups = groups.map((group) => groupOf(group, marked));
  const unmarked = inGroups.flatMap(({ ours }) => ours).filter(({ pid }) => !marked.has(pid));
  for (const { pid } of unmarked) signal(pid, 'SIGKILL');
  const swept = await sweepMarked(clock, marks, SWEEP_MS);
  const doubtful = inGroups.flatMap(({ doubtful }) => doubtful).length;
  const left = await stillAlive(clock, groups, unmarked);
  return { found: swept.found + unmarked.length + doubtful, left: swept.left + left + doubtful };
}

/**
 * The living members of a journalled group. Its number may by now be somebody else's: it is ours if a member carries our
 * mark or its leader was started when the journal says. Without a leader it cannot be told: then nobody is killed and nothing
 * proven.
 */
function groupOf(
  { pgid, atMs }: StartedGroup,
  marked: ReadonlySet<number>,
): { ours: readonly ProcessStat[]; doubtful: readonly ProcessStat[] } {
  const members = groupMembers(pgid);
  if (members.some(({ pid }) => marked.has(pid))) return { ours: members, doubtful: [] };
  const leader = members.find(({ pid }) => pid === pgid);
  if (leader === undefined) return { ours: [], doubtful: members };
  const apartMs = Math.abs(startedAtMs(leader) - atMs);
  return { ours: apartMs <= START_TOLERANCE_MS ? members : [], doubtful: [] };
}

/** The host's start is told to the second only, and the wall clock may have been set since. */
const START_TOLERANCE_MS = 5_000;
const TICKS_PER_SECOND = 100;

function startedAtMs(stat: ProcessStat): number {
  const bootSeconds = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]);
  return (bootSeconds + stat.startTicks / TICKS_PER_SECOND) * 1000;
}

/** Of the processes killed for their group: how many the kernel has not let go of in time. */
async function stillAlive(
  clock: AgentClock,
  journalled: readonly StartedGroup[],
  killed: readonly ProcessStat[],
): Promise<number> {
  const endMs = clock.monoMs() + SWEEP_MS;
  const groups = new Set(killed.map(({ group }) => group));
  const pgids = journalled.map(({ pgid }) => pgid).filter((pgid) => groups.has(pgid));
  for (;;) {
    const alive = pgids.flatMap((pgid) => groupMembers(pgid)).length;
    if (alive === 0 || clock.monoMs() >= endMs) return alive;
    await pause(clock, POLL_MS);
  }
}

const identityOf = ({ bootId, device, inode }: LockIdentity): LockIdentity => ({ bootId, device, inode });

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}
