import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { realClock } from '../../src/agent/clock.js';
import type {
  NamespaceChoice,
  RunEnd,
  RunnerLoss,
  RunSpec,
  RunStarted,
  StartFailure,
} from '../../src/agent/runner/index.js';
import { type RunnerHandle, startRunner } from '../../src/agent/runner/index.js';
import { SILENT } from '../../src/kit/log.js';

const fixtures = resolve(import.meta.dirname, 'fixtures');
const fixture = (name: string): string => join(fixtures, name);

/** Waits until `condition` gives something true, and gives it; fails naming `what` after `limitMs`. */
export async function until<T>(what: string, condition: () => T, limitMs = 15_000): Promise<NonNullable<T>> {
  const endMs = realClock.monoMs() + limitMs;
  for (;;) {
    const value = condition();
    if (value) return value;
    if (realClock.monoMs() >= endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await pause(5);
  }
}

/** A folder of its own for each call, removed by `removeFolders`. */
const folders: string[] = [];
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  folders.push(folder);
  return folder;
}
export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** Pids of living processes whose environment contains `text`, found without the code under test. */
export function carriers(text: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const pid = Number(name);
      return pid > 0 && readFileSync(`/proc/${name}/environ`, 'latin1').includes(text) ? [pid] : [];
    } catch {
      return [];
    }
  });
}

/** Whether the process lives: one that is dead and not reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
    // A dead first thread with others alive is no dead process.
    return fields[0] !== 'Z' || Number(fields[17]) > 1;
  } catch {
    return false;
  }
}

/** Children of a process, the dead excepted. */
export function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && isAlive(pid) && parentOf(pid) === parent);
}

function parentOf(pid: number): number {
  try {
    return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1]);
  } catch {
    return 0;
  }
}

const LIMITLESS = { memoryLimitBytes: null, cpuLimitMillis: null };

/** A run specification: the command, and what differs from a plain run. */
export function runOf(runId: string, argv: readonly string[], other: Partial<RunSpec> = {}): RunSpec {
  return { ...LIMITLESS, runId, argv, env: {}, killGraceMs: 200, singleRun: false, ...other };
}

/** A shell script as a command. */
export const shell = (script: string): readonly string[] => ['sh', '-c', script];

/** A runner in force, and all that was heard from it. */
export class Heard {
  readonly started: RunStarted[] = [];
  readonly failures: StartFailure[] = [];
  readonly ends: RunEnd[] = [];
  readonly losses: RunnerLoss[] = [];
  readonly output = new Map<string, string>();
  answer: 'exec' | 'abandon' = 'exec';
  /** Called before the answer is given. */
  beforeExec: (run: RunStarted) => void = () => {};
  runner: RunnerHandle = undefined as never;

  text(runId: string, stream: 'stdout' | 'stderr' = 'stdout'): string {
    return this.output.get(`${runId} ${stream}`) ?? '';
  }

  end(runId: string, limitMs = 15_000): Promise<RunEnd> {
    return until(`the end of run ${runId}`, () => this.ends.find((end) => end.runId === runId), limitMs);
  }

  failure(runId: string): Promise<StartFailure> {
    return until(`the failure of run ${runId}`, () => this.failures.find((f) => f.runId === runId));
  }

  says(runId: string, text: string): Promise<true> {
    return until(`${text} of run ${runId}`, () => this.text(runId).includes(text) || null) as Promise<true>;
  }
}

const open: Heard[] = [];

/** Starts a runner from the sources. */
export async function listen(
  namespace: NamespaceChoice,
  stateDir = newFolder(),
  entry = pathToFileURL(fixture('runner.mjs')),
): Promise<Heard> {
  const heard = new Heard();
  heard.runner = await startRunner({
    instanceId: randomUUID(),
    lockFile: join(stateDir, 'runner.lock'),
    log: SILENT,
    namespace,
    entry,
    listener: {
      started: (runs) =>
        runs.flatMap((run) => {
          heard.started.push(run);
          heard.beforeExec(run);
          return heard.answer === 'exec' ? [run.runId] : [];
        }),
      startFailed: (failure) => heard.failures.push(failure),
      output(runId, stream, data) {
        const key = `${runId} ${stream}`;
        heard.output.set(key, (heard.output.get(key) ?? '') + Buffer.from(data).toString('latin1'));
      },
      ended: (end) => heard.ends.push(end),
      progress() {},
      groupMade: () => true,
      groupGone() {},
      lost: (loss) => heard.losses.push(loss),
    },
  });
  open.push(heard);
  return heard;
}

export async function closeRunners(): Promise<void> {
  await Promise.all(open.splice(0).map(({ runner }) => runner.close()));
}

/** What the agent of fixtures/agent.mjs prints: `heard` and the fields of that event. */
export type Line = { readonly heard: string } & Readonly<Record<string, unknown>>;

export interface AgentSetup {
  readonly namespace: NamespaceChoice;
  readonly runs: readonly RunSpec[];
  readonly stateDir?: string;
  readonly guardianMs?: number;
  /** The runner's program, among the fixtures. */
  readonly entry?: string;
}

/** An agent in a process of its own, to be killed. */
export class AgentProcess {
  readonly child: ChildProcess;
  readonly lines: Line[] = [];
  readonly stateDir: string;
  readonly instanceId = randomUUID();

  constructor(setup: AgentSetup) {
    this.stateDir = setup.stateDir ?? newFolder();
    const argument = JSON.stringify({ ...setup, stateDir: this.stateDir, instanceId: this.instanceId });
    const args = ['--disable-warning=ExperimentalWarning', fixture('agent.mjs'), argument];
    // Descriptor 40 is there to be left behind: no command may have it. (Node itself takes care of the lowest ones.)
    const unused = Array.from({ length: 37 }, () => 'ignore' as const);
    this.child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', ...unused, 'pipe'] });
    let rest = '';
    this.child.stdout?.on('data', (data: Buffer) => {
      const lines = (rest + data).split('\n');
      rest = lines.pop() ?? '';
      this.lines.push(...lines.map((line) => JSON.parse(line) as Line));
    });
    agents.push(this);
  }

  /** The first line of that kind (and run). */
  async heard(heard: string, runId?: string): Promise<Line> {
    const matches = (line: Line): boolean =>
      line.heard === heard && (runId === undefined || line.runId === runId);
    return until(`the agent's ${heard} ${runId ?? ''}`, () => this.lines.find(matches));
  }

  async runnerPid(): Promise<number> {
    return (await this.heard('ready')).runner as number;
  }

  kill(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Kill -9, and settles when it is dead: its locks are free then. */
  async killed(): Promise<void> {
    const exit = once(this.child, 'exit');
    this.kill('SIGKILL');
    await exit;
  }
}

const agents: AgentProcess[] = [];
export function killAgents(): void {
  for (const agent of agents.splice(0)) agent.kill('SIGKILL');
}
