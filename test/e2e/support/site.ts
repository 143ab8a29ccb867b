import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Api, type ShownTask } from '../../wire/support/proto.js';
import { eventually } from '../../wire/support/wait.js';

const BIN = resolve(import.meta.dirname, '../../../dist/main/bin.js');
const LIMIT_MS = 40_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of the built program: its log, its end, and the signals it is sent. */
export class Program {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], folder: string) {
    const own = Object.entries(process.env).filter(([name]) => !/^(HOLDFAST_|AIRFLOW__|GRPC_)/.test(name));
    const env = { ...Object.fromEntries(own), HOME: folder };
    this.child = spawn(process.execPath, [BIN, ...args], {
      env,
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.exited = new Promise((resolveExit, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (code, signal) => resolveExit({ code, signal }));
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  async kill(): Promise<void> {
    if (!this.isOver) this.signal('SIGKILL');
    await this.exited;
  }

  /** Waits until the log says something. */
  says(words: string, limitMs = LIMIT_MS): Promise<void> {
    const seen = (): boolean => {
      if (this.stderr.includes(words)) return true;
      if (this.isOver) throw new Error(`ended before it said "${words}":\n${this.stderr}`);
      return false;
    };
    return eventually(`"${words}" in the log:\n${this.stderr}`, seen, limitMs);
  }
}

export interface AgentChoice {
  readonly queues?: readonly string[];
  readonly slots?: number;
  readonly coordinator?: string;
  readonly flags?: readonly string[];
}

/** A folder, a coordinator in it, agents and whatever else runs; all of it ends with `close`. */
export class Site {
  readonly folder = mkdtempSync(join(tmpdir(), 'holdfast-e2e-'));
  readonly flags: readonly string[];
  server: Program = undefined as never;
  api: Api = undefined as never;
  address = '';
  readonly #programs: Program[] = [];
  readonly #closing: (() => Promise<void> | void)[] = [];

  private constructor(flags: readonly string[]) {
    this.flags = flags;
  }

  static async start(...flags: string[]): Promise<Site> {
    const site = new Site(flags);
    await site.startServer().catch(async (error: unknown) => {
      await site.close();
      throw error;
    });
    return site;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  run(...args: string[]): Program {
    const program = new Program(args, this.folder);
    this.#programs.push(program);
    return program;
  }

  /** Starts the coordinator, again on the address that it had. */
  async startServer(): Promise<void> {
    const addressFile = this.path('address.json');
    const port = this.address === '' ? '0' : (this.address.split(':')[1] ?? '0');
    const files = ['--db-file', this.path('holdfast.db'), '--address-file', addressFile];
    this.server = this.run('server', 'start', '--port', port, ...files, ...this.flags);
    const { pid } = this.server;
    const up = (): boolean => {
      if (this.server.isOver) throw new Error(`the coordinator did not start:\n${this.server.stderr}`);
      if (!existsSync(addressFile)) return false;
      const told = JSON.parse(readFileSync(addressFile, 'utf8')) as { grpc: string; pid: number };
      this.address = told.grpc;
      return told.pid === pid;
    };
    await eventually('the address of the coordinator', up, LIMIT_MS);
    this.api?.close();
    this.api = new Api(this.address);
  }

  agent(id: string, choice: AgentChoice = {}): Program {
    const { queues = ['default'], slots = 4, coordinator = this.address, flags = [] } = choice;
    return this.run(
      ...['agent', 'start', '--kind', 'worker', '--coordinator', coordinator, '--agent-id', id],
      ...queues.flatMap((queue) => ['--queue', queue]),
      ...['--slots', String(slots), '--state-dir', this.path(`state-${id}`), ...flags],
    );
  }

  /** An agent that has its session. */
  async connected(id: string, choice: AgentChoice = {}): Promise<Program> {
    const agent = this.agent(id, choice);
    await agent.says('connected: a new session');
    return agent;
  }

  /** A triggerer that has its session. */
  async triggerer(
    id: string,
    { coordinator = this.address, flags = [] }: Pick<AgentChoice, 'coordinator' | 'flags'> = {},
  ): Promise<Program> {
    const agent = this.run(
      ...['agent', 'start', '--kind', 'triggerer', '--coordinator', coordinator, '--agent-id', id],
      ...['--state-dir', this.path(`state-${id}`), ...flags],
    );
    await agent.says('connected: a new session');
    return agent;
  }

  /** A command of the command line, to its end. */
  async cli(...args: string[]): Promise<Exit & { readonly stdout: string; readonly stderr: string }> {
    const at = args.indexOf('--');
    const flags = ['--coordinator', this.address];
    const whole = at < 0 ? [...args, ...flags] : [...args.slice(0, at), ...flags, ...args.slice(at)];
    const program = this.run(...whole);
    const exit = await program.exited;
    return { ...exit, stdout: program.stdout, stderr: program.stderr };
  }

  /** Submits a shell script; `change` may set more of the task. */
  async submit(script: string, change: object = {}): Promise<string> {
    const [taskId = ''] = await this.api.submit({
      work: { command: { argv: ['sh', '-c', script] } },
      ...change,
    });
    return taskId;
  }

  async task(taskId: string): Promise<ShownTask> {
    return this.api.task(taskId);
  }

  async reaches(taskId: string, state: string, limitMs = LIMIT_MS): Promise<ShownTask> {
    let task = await this.task(taskId);
    const there = async (): Promise<boolean> => {
      task = await this.task(taskId);
      return task.state === `TASK_STATE_${state}`;
    };
    await eventually(`${taskId} ${state}, it is ${task.state}`, there, limitMs).catch((error: unknown) => {
      throw new Error(`${String(error)}; now ${JSON.stringify(task)}`);
    });
    return task;
  }

  /** Its run says so of itself. */
  async progresses(
    taskId: string,
    { message, fraction }: { message: string; fraction?: number },
  ): Promise<void> {
    const there = async (): Promise<boolean> => {
      const { progress } = await this.task(taskId);
      return progress?.message === message && (fraction === undefined || progress.fraction === fraction);
    };
    await eventually(`${taskId} to say "${message}"`, there, LIMIT_MS);
  }

  /** Command lines of this site's processes, of which one is looked for. */
  commandLines(words: string): string[] {
    return carriers(`HOME=${this.folder}`)
      .map((pid) => commandLineOf(pid))
      .filter((line) => line.includes(words));
  }

  /** How many runs the coordinator has seen to go on beside a newer one of their task. */
  async overlaps(): Promise<number> {
    const { counters } = await this.api.call<{ counters: Record<string, string> }>('GetCoordinator', {});
    return Number(counters.overlaps);
  }

  async agentShown(agentId: string): Promise<ShownAgent> {
    return (await this.api.call<{ agent: ShownAgent }>('DescribeAgent', { agentId })).agent;
  }

  async agentReaches(agentId: string, state: string): Promise<void> {
    const there = async () => (await this.agentShown(agentId)).state === `AGENT_STATE_${state}`;
    await eventually(`${agentId} ${state}`, there, LIMIT_MS);
  }

  atClose(end: () => Promise<void> | void): void {
    this.#closing.push(end);
  }

  async close(): Promise<void> {
    this.api?.close();
    for (const end of this.#closing.splice(0)) await end();
    // Each by its pid, stopped ones as well; what they started sees to its own end, and is waited for.
    await Promise.all(this.#programs.splice(0).map((program) => program.kill()));
    await eventually('the end of all processes', () => carriers(`HOME=${this.folder}`).length === 0);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface ShownAgent {
  readonly streamNo: string;
  readonly state: string;
  readonly sessionEpoch: string;
  readonly instanceId: string;
  readonly running: number;
  readonly leaseRemaining: { readonly seconds: string; readonly nanos: number } | null;
}

export const events = (task: ShownTask): string[] => task.history.map(({ event }) => event);

/** Pids of processes whose environment has this variable, straight from the kernel. */
export function carriers(variable: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const pid = Number(name);
      if (!(pid > 0) || !readFileSync(`/proc/${name}/environ`, 'latin1').includes(variable)) return [];
      return [pid];
    } catch {
      return [];
    }
  });
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ');
  } catch {
    return '';
  }
}

/** What commands wrote to a file of their own, line by line. */
export function linesOf(file: string): string[] {
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];
}
