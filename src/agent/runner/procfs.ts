import { readdirSync, readFileSync } from 'node:fs';
import { type AgentClock, pause } from '../clock.js';

/*
 * What /proc tells. Everything here is read and acted upon in one turn, so that a pid read is the process signalled;
 * a process that ends in between is simply gone. Without /proc (macOS) nothing is found and nothing is claimed.
 */

/** What a sweep looks for: a variable of the environment and its exact value. */
export interface Mark {
  readonly variable: string;
  readonly value: string;
}

/** The fields of /proc/PID/stat that we use. */
export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** In clock ticks (100 a second) since the host started. */
  readonly startTicks: number;
}

/** Whether processes can be found by their environment here. */
export const hasProcfs = (): boolean => readProc('self/stat') !== null;

/** Null when it has ended, is dead and only waits to be reaped, or is not ours to read. */
function statOf(pid: number): ProcessStat | null {
  const text = readProc(`${pid}/stat`)?.toString('latin1');
  if (text === undefined) return null;
  // The name in parentheses may itself contain spaces and parentheses: count from the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  // A dead first thread with others alive is no dead process.
  if ((fields[0] === 'Z' || fields[0] === 'X') && field(20) <= 1) return null;
  return { pid, parent: field(4), group: field(5), session: field(6), startTicks: field(22) };
}

/** Every living process but this one. */
export function processes(): readonly ProcessStat[] {
  return allPids().flatMap((pid) => statOf(pid) ?? []);
}

/** Memory of the process's own, not shared with a file or by shared memory, in bytes; 0 for the dead. */
export function anonymousBytes(pid: number): number {
  const status = readProc(`${pid}/status`)?.toString('latin1') ?? '';
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Living members of a process group, this process excepted. */
export function groupMembers(pgid: number): readonly ProcessStat[] {
  return allPids().flatMap((pid) => {
    const stat = statOf(pid);
    return stat !== null && stat.group === pgid ? [stat] : [];
  });
}

/** False once no living process is in the group; one dead but not reaped by its parent does not count. */
export function isGroupAlive(pgid: number): boolean {
  if (!signal(-pgid, 0)) return false;
  return hasProcfs() ? groupMembers(pgid).length > 0 : true;
}

/** Memory that the process has now, in bytes; 0 for the dead, and where there is no /proc. */
export function residentBytes(pid: number): number {
  const status = readProc(`${pid}/status`)?.toString('latin1') ?? '';
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** A living process, and the mark that it carries. */
export interface Marked {
  readonly pid: number;
  readonly mark: Mark;
}

/** Processes whose environment at exec carried one of the marks. */
export function findMarked(marks: readonly Mark[]): readonly Marked[] {
  if (marks.length === 0) return [];
  return allPids().flatMap((pid) => {
    const environment = environmentOf(pid);
    const mark = environment === null ? undefined : marks.find((wanted) => carries(environment, wanted));
    return mark === undefined ? [] : [{ pid, mark }];
  });
}

/** Sends a signal to a process or (negative) a group; false when there is none, or none that we may signal. */
export function signal(target: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(target, name);
  } catch {
    return false;
  }
}

/** What a sweep found alive, and what it could not kill within its time. */
export interface Swept {
  readonly found: number;
  readonly left: number;
}

/**
 * Kills whatever carries one of the marks, again and again until nothing is left (a dying process may have forked in
 * between), for at most `limitMs`. What is left then is stuck in the kernel, or not ours to kill.
 */
export async function sweepMarked(
  clock: AgentClock,
  marks: readonly Mark[],
  limitMs: number,
): Promise<Swept> {
  const seen = new Set<number>();
  const endMs = clock.monoMs() + limitMs;
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
    const found = findMarked(marks);
    for (const { pid } of found) {
      seen.add(pid);
      signal(pid, 'SIGKILL');
    }
    if (found.length === 0 || clock.monoMs() >= endMs) return { found: seen.size, left: found.length };
    await pause(clock, waitMs);
  }
}

const allPids = (): readonly number[] =>
  namesIn('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid);

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readProc(path: string): Buffer | null {
  try {
    return readFileSync(`/proc/${path}`);
  } catch {
    return null;
  }
}

/** None for the dead, kernel threads, and those of others. Where only the first thread is dead, another one knows. */
function environmentOf(pid: number): Buffer | null {
  const environment = readProc(`${pid}/environ`);
  if (environment?.length) return environment;
  const threads = statOf(pid) === null ? [] : namesIn(`/proc/${pid}/task`);
  const others = threads.filter((thread) => thread !== String(pid));
  return others.map((thread) => readProc(`${pid}/task/${thread}/environ`)).find((e) => e?.length) ?? null;
}

/** The whole entry, not a part of another: entries end with a NUL byte, and begin at the start or after one. */
function carries(environment: Buffer, mark: Mark): boolean {
  const wanted = `${mark.variable}=${mark.value}\0`;
  for (let at = environment.indexOf(wanted); at !== -1; at = environment.indexOf(wanted, at + 1)) {
    if (at === 0 || environment[at - 1] === 0) return true;
  }
  return false;
}
