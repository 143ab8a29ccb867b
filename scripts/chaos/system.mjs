// Commands of the system: those of iproute2, nftables, mount and util-linux.
import { execFileSync } from 'node:child_process';

/** Runs one to its end; throws with what it said when it fails. */
export function system(command, args, input) {
  execFileSync(command, args, { input, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Whether it is there and ends well. */
export function succeeds(command, args) {
  try {
    system(command, args);
    return true;
  } catch {
    return false;
  }
}
