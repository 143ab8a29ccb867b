// The processes of the demo: started from the built program, listened to, and ended by their own handles only.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const TAIL_LINES = 15;

/** Starts processes, keeps the last words of each, and ends whatever is left of them. */
export class Processes {
  #started = [];
  #folder;
  #env;
  #broke;

  /** They run in `folder` with `env`. `broke` hears of a process that ended although nobody here wanted it to. */
  constructor(folder, env, broke) {
    this.#folder = folder;
    this.#env = env;
    this.#broke = broke;
  }

  /** Starts a Node program; each JSON log line it writes to standard error goes to `onLog`. */
  start(name, args, onLog) {
    const child = spawn(process.execPath, args, {
      cwd: this.#folder,
      env: { ...withoutSettings(this.#folder), ...this.#env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const started = { name, child, pid: child.pid, tail: [], exit: once(child, 'exit'), wanted: false };
    const unwanted = (how) => started.wanted || this.#broke(new Error(`${name} ended by itself: ${how}`));
    started.exit.then(([code, signal]) => unwanted(signal ?? `exit code ${code}`), unwanted);
    createInterface({ input: child.stderr }).on('line', (line) => {
      started.tail.push(line);
      if (started.tail.length > TAIL_LINES) started.tail.shift();
      const entry = parsed(line);
      if (entry !== null) onLog(entry);
    });
    this.#started.push(started);
    return started;
  }

  /** kill -9. */
  kill(started) {
    started.wanted = true;
    started.child.kill('SIGKILL');
  }

  /** Asks a process to end, as its operator would; resolves to its exit code, or null when it had to be killed. */
  async stop(started, limitMs) {
    const { child, exit } = started;
    started.wanted = true;
    child.kill('SIGTERM');
    const timer = new AbortController();
    const late = sleep(limitMs, null, { signal: timer.signal }).catch(() => null);
    const code = await Promise.race([exit.then(([exitCode]) => exitCode), late]);
    timer.abort();
    if (code === null) this.kill(started);
    return code;
  }

  /** Ends what is left, at once. Commands of a killed worker die with it: that is what Holdfast sees to. */
  async killAll() {
    const left = this.#started.filter(({ child }) => child.exitCode === null && child.signalCode === null);
    for (const started of left) this.kill(started);
    await Promise.allSettled(left.map(({ exit }) => exit));
  }

  /** The last log lines of every process, for a demo that failed. */
  tails() {
    return this.#started.map(({ name, tail }) => [`last lines of ${name}:`, ...tail].join('\n  ')).join('\n');
  }
}

/** Settings of the user's own Holdfast must not reach the demo's. */
function withoutSettings(folder) {
  const own = Object.entries(process.env).filter(([name]) => !/^(HOLDFAST|AIRFLOW)_/.test(name));
  return { ...Object.fromEntries(own), XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
}

function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
