import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Identity } from '../store/postgres/owner.js';

/** This process, as the owner of a store that others can reach. */
export const processIdentity = (): Identity => ({
  host: hostname(),
  pid: process.pid,
  machine: machineOf(),
  isGone,
});

/**
 * The boot of the kernel and the namespace of process ids: two processes that see the same of both see each other's ids. Empty
 * where there is no such thing to read; then nobody's death is known.
 */
function machineOf(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}

/** Whether there is certainly no process with this id; one that has it by now may be another. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
