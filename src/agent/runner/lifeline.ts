import { type ChildProcess, spawn } from 'node:child_process';
import { SHELL } from './layers.js';
import { INSTANCE_VARIABLE } from './protocol.js';

/**
 * The watcher reads which groups are alive. The end of its input means that the runner is dead, whatever killed it: it
 * kills those groups, and then whatever carries the instance id ($1 is the entry of the environment).
 *
 * One watcher for all groups, in a session of its own, rather than one in each group: it is not stopped with a stopped
 * group, is no stranger among the command's children, and leaves no dead child where process 1 does not reap.
 */
const WATCHER_SCRIPT = `
trap '' HUP INT QUIT TERM USR1 USR2 TSTP PIPE
groups=
while read -r word group; do
  case $word in
    watch) groups="$groups $group" ;;
    forget) rest=; for g in $groups; do [ "$g" = "$group" ] || rest="$rest $g"; done; groups=$rest ;;
    leave) exit 0 ;;
  esac
done
for g in $groups; do kill -s KILL -- "-$g"; done
round=0
while [ $round -lt 100 ]; do
  found=$(grep -lasF -- "$1" /proc/[0-9]*/environ)
  [ -n "$found" ] || break
  for f in $found; do f=\${f#/proc/}; kill -s KILL "\${f%/environ}"; done
  round=$((round + 1))
done`;

/** Layer 3: kills the groups when agent and runner are killed together. */
export class Lifeline {
  private readonly groups = new Set<number>();
  private readonly instanceId: string;
  private readonly note: (text: string) => void;
  private watcher: ChildProcess | null = null;
  private closed = false;

  constructor(instanceId: string, note: (text: string) => void) {
    this.instanceId = instanceId;
    this.note = note;
    this.startWatcher();
  }

  /** Told before exec, so that no command ever runs unwatched. */
  watch(pgid: number): void {
    this.groups.add(pgid);
    this.tell(`watch ${pgid}`);
  }

  /** Told once the group is gone: its number may come back as somebody else's. */
  forget(pgid: number): void {
    this.groups.delete(pgid);
    this.tell(`forget ${pgid}`);
  }

  /** Ends the watcher. Only when no group is alive. */
  close(): void {
    this.closed = true;
    this.tell('leave');
    this.watcher?.stdin?.end();
  }

  private tell(line: string): void {
    this.watcher?.stdin?.write(`${line}\n`);
  }

  private startWatcher(): void {
    // None of the runner's environment: a sweep must not take the watcher for one of the commands, its own or those of
    // an agent around this one.
    const env = { PATH: '/usr/local/bin:/usr/bin:/bin' };
    const args = ['-c', WATCHER_SCRIPT, 'holdfast-lifeline', `${INSTANCE_VARIABLE}=${this.instanceId}`];
    const watcher = spawn(SHELL, args, {
      detached: true,
      cwd: '/',
      env,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.watcher = watcher;
    // Writing to a watcher that just died is no news: its end is reported below.
    watcher.stdin.on('error', () => {});
    watcher.on('error', (error) => this.note(`the lifeline cannot be started: ${error.message}`));
    watcher.on('exit', () => {
      if (this.closed) return;
      this.note('the lifeline was killed; it is started again');
      this.startWatcher();
      for (const pgid of this.groups) this.tell(`watch ${pgid}`);
    });
  }
}
