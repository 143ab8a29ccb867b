import { spawn } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Work } from '../../wire/gen/holdfast/v1/types.js';
import { Deviation } from './case.js';
import { every, monoMs, pause, type Timer, wallMs } from './clock.js';
import { markedProcesses } from './process.js';
import type { Watched } from './watch.js';

/** Marks every process of a task, whatever pid it has where. */
const VARIABLE = 'CONFORMANCE_TASK';

/**
 * The task: a shell script, so that it runs wherever an agent that runs commands does. It appends what happens to it to
 * one file: event, tag, its pid (in its own pid namespace, which need not be the kit's), nanoseconds since 1970, fencing token and agent as it was told, one more word.
 */
const SCRIPT = `#!/bin/sh
# FILE TAG SECONDS EXIT MODE [WORD]
file=$1 tag=$2 seconds=$3 code=$4 mode=$5 word=\${6:-}
export ${VARIABLE}="$file:$tag:"
note() {
  echo "$1 $tag $$ $(date +%s%N) \${HOLDFAST_FENCING_TOKEN:--} \${HOLDFAST_AGENT_ID:--} \${2:--}" >>"$file"
}
nap() { sleep "$1" & wait $!; }
stop() { note term; exit 143; }
if [ "$mode" = stubborn ]; then trap 'note term' TERM; else trap stop TERM; fi
note start "\${HOLDFAST_TASK_ID:--}"
case $mode in
  stubborn) while :; do nap 0.2; done ;;
  orphan) sleep "$seconds" </dev/null >/dev/null 2>&1 & ;;
  talk) i=0; while [ $i -lt "$word" ]; do echo "line $i of $tag"; i=$((i + 1)); done; nap "$seconds" ;;
  result) [ -n "$HOLDFAST_RESULT_FILE" ] && head -c "$word" /dev/zero | tr '\\0' 'x' >"$HOLDFAST_RESULT_FILE"; nap "$seconds" ;;
  *) nap "$seconds" ;;
esac
note end "$code"
exit "$code"
`;

/** One line of the file. */
export interface Note {
  readonly event: 'start' | 'term' | 'end';
  readonly tag: string;
  /** For people only: an agent may run tasks in pid namespaces of their own. */
  readonly pid: number;
  /** Milliseconds since 1970, with fractions, by the task's own clock where `date` tells it. */
  readonly at: number;
  /** As the task was told; empty when it was not. */
  readonly token: string;
  readonly agent: string;
  /** What the event adds: the task id of a start, the code of an end. */
  readonly word: string;
}

/** What a task of the stub does. */
export interface StubChoice {
  /** How long it takes; 0 unless given. */
  readonly seconds?: number;
  readonly exitCode?: number;
  /**
   * stubborn: never ends by itself and ignores SIGTERM. orphan: ends at once and leaves a process in its group for
   * `seconds`. talk: prints `word` lines. result: writes `word` bytes to the result file.
   */
  readonly mode?: 'plain' | 'stubborn' | 'orphan' | 'talk' | 'result';
  readonly word?: number;
}

const POLL_MS = 10;
const LOOK_MS = 50;

/** The task that agents are given, and what was seen of it from outside. */
export class Stub {
  readonly notes: Note[] = [];
  readonly #script: string;
  readonly #file: string;
  readonly #watched: Watched;
  readonly #timer: Timer;
  #read = 0;

  constructor(folder: string, watched: Watched) {
    this.#script = join(folder, 'task.sh');
    this.#file = join(folder, 'history');
    this.#watched = watched;
    writeFileSync(this.#script, SCRIPT);
    writeFileSync(this.#file, '');
    this.#timer = every(POLL_MS, () => this.#look());
  }

  #look(): void {
    if (statSync(this.#file).size === this.#read) return;
    const bytes = readFileSync(this.#file);
    const end = bytes.lastIndexOf(10) + 1;
    if (end <= this.#read) return;
    const lines = bytes.subarray(this.#read, end).toString().trimEnd().split('\n');
    this.#read = end;
    this.notes.push(...lines.map(noteOf));
    this.#watched.changed();
  }

  /** A command for a permit; `tag` names its notes. */
  work(tag: string, { seconds = 0, exitCode = 0, mode = 'plain', word }: StubChoice = {}): Work {
    const argv = ['/bin/sh', this.#script, this.#file, tag, String(seconds), String(exitCode), mode];
    if (word !== undefined) argv.push(String(word));
    return commandOf(argv, new Map([[VARIABLE, `${this.#file}:${tag}:`]]));
  }

  /**
   * A process that some other agent of this machine might have started: a token is one coordinator's, and another counts
   * them from 1 as well. The tag by which it is found.
   */
  bystander(token: bigint): string {
    const tag = `bystander-${token}`;
    const env = {
      PATH: process.env.PATH,
      [VARIABLE]: `${this.#file}:${tag}:`,
      HOLDFAST_AGENT_ID: 'another',
      HOLDFAST_TASK_ID: 'of-another',
      HOLDFAST_FENCING_TOKEN: String(token),
    };
    spawn('sleep', ['600'], { env, detached: true, stdio: 'ignore' }).unref();
    return tag;
  }

  find(tag: string, event: Note['event']): Note | undefined {
    return this.notes.find((note) => note.tag === tag && note.event === event);
  }

  /** How often the task of this tag was started. */
  starts(tag: string): number {
    return this.notes.filter((note) => note.tag === tag && note.event === 'start').length;
  }

  /** Waits for the first note of this kind. */
  noted(tag: string, event: Note['event'], withinMs: number): Promise<Note> {
    return this.#watched.until(`the task ${tag} to note its ${event}`, withinMs, () => this.find(tag, event));
  }

  /** Throws when the task of this tag has ever been started. */
  mustNotStart(tag: string, because: string): void {
    const start = this.find(tag, 'start');
    if (start !== undefined)
      throw new Deviation(`the task was started (pid ${start.pid}) although ${because}`);
  }

  /** Every living process of tasks, or of the task of one tag: those that it has started included. */
  alive(tag?: string): number[] {
    return markedProcesses(`${VARIABLE}=${this.#file}:${tag === undefined ? '' : `${tag}:`}`);
  }

  /** Waits until no process of a task lives. */
  async gone(tag: string, withinMs: number): Promise<void> {
    const endMs = monoMs() + withinMs;
    for (let alive = this.alive(tag); alive.length > 0; alive = this.alive(tag)) {
      if (monoMs() > endMs)
        throw new Deviation(`process ${alive[0]} of the task still lives after ${withinMs.toFixed(0)} ms`);
      await pause(LOOK_MS);
    }
  }

  /** Ends what tasks have left. */
  close(): void {
    this.#timer.cancel();
    for (const pid of this.alive()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has just ended.
      }
    }
  }
}

/** A program as the work of a permit. */
export function commandOf(argv: readonly string[], env: Map<string, string> = new Map()): Work {
  const value = { argv, env, workingDirectory: '', memoryLimitBytes: 0n, cpuLimitMillis: 0 };
  return { work: { $case: 'command', value } };
}

function noteOf(line: string): Note {
  const [event = '', tag = '', pid = '', nanos = '', token = '-', agent = '-', word = '-'] = line.split(' ');
  // A `date` without nanoseconds leaves its letter: then the time of reading has to do.
  const at = /^\d{16,}$/.test(nanos) ? Number(nanos) / 1e6 : wallMs();
  const given = (text: string): string => (text === '-' ? '' : text);
  return {
    event: event as Note['event'],
    tag,
    pid: Number(pid),
    at,
    token: given(token),
    agent: given(agent),
    word,
  };
}
