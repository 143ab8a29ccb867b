import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import {
  type Client,
  HoldfastError,
  isTransient,
  PARTITION_POLICIES,
  type PartitionPolicy,
  type SubmittedTask,
  submissionsOf,
  type Task,
  type TaskChoices,
  type TaskSpec,
} from '../client/index.js';
import { SECOND } from '../kit/time.js';
import { EXIT, Failure, usage } from './failure.js';
import {
  bytesFlag,
  cpuFlag,
  durationFlag,
  flag,
  instantFlag,
  listFlag,
  oneOf,
  pairs,
  shortText,
  wholeNumber,
} from './flags.js';
import { WORKING_DIRECTORY_BYTES } from './limits.js';
import { clientAction, pause, type Session, verb } from './session.js';
import { resultShape, taskShape } from './shapes.js';
import type { TaskLine } from './task-file.js';
import { readInput, refuseCommandFlags } from './task-input.js';
import { taskView } from './task-views.js';
import { awaitTasks, requireSuccess } from './task-wait.js';
import type { CliContext } from './terminal.js';
import { spanWords } from './words.js';

interface SubmitFlags {
  readonly file?: string;
  readonly handler?: string;
  readonly input?: string;
  readonly inputType?: string;
  readonly wait?: boolean;
  readonly queue?: string;
  readonly priority?: number;
  readonly retries?: number;
  readonly retryInitial?: number;
  readonly retryMax?: number;
  readonly executionTimeout?: number;
  readonly queuedTimeout?: number;
  readonly partitionPolicy?: PartitionPolicy;
  readonly killGrace?: number;
  readonly holdTimeout?: number;
  readonly concurrencyKey?: string;
  readonly concurrencyLimit?: number;
  readonly startAfter?: Date;
  readonly startIn?: number;
  readonly startBefore?: Date;
  readonly requireLabel?: Record<string, string>;
  readonly env?: Record<string, string>;
  readonly workingDirectory?: string;
  readonly memory?: number;
  readonly cpu?: number;
  readonly idempotencyKey?: string;
}

const USAGE = `[options] -- COMMAND [ARG ...]
       holdfast task submit [options] --handler NAME [--input JSON|@FILE]
       holdfast task submit [options] --file FILE|-`;

/** `task submit`: one task from flags, or many from a file. */
export function addSubmit(noun: Command, context: CliContext): void {
  const command = verb(noun, 'submit', 'submit one task (flags -- COMMAND ARG …) or many (--file)')
    .argument('[COMMAND...]', 'program and arguments, after --')
    .usage(USAGE);
  flag(command, '--file <FILE>', 'JSON Lines, one task a line; - is standard input', {
    variable: 'HOLDFAST_TASK_FILE',
  });
  flag(command, '--handler <NAME>', 'function of a worker to call, instead of a command');
  flag(
    command,
    '--input <JSON|@FILE>',
    'what the handler is called with: JSON, or a file; @- is standard input',
  );
  flag(command, '--input-type <TYPE>', 'content type of the input (default: application/json)');
  flag(command, '--wait', 'wait until all have ended; exit code 3 unless all succeed');
  flag(command, '--queue <QUEUE>', 'queue to wait in (default: default)');
  flag(command, '--priority <N>', 'higher goes first; waiting makes up for it', {
    parse: wholeNumber(-1000, 1000),
  });
  flag(command, '--retries <N>', 'further tries after one that failed by itself', {
    parse: wholeNumber(0, 100),
  });
  flag(command, '--retry-initial <DURATION>', 'wait before the first retry, then doubled', {
    parse: durationFlag,
  });
  flag(command, '--retry-max <DURATION>', 'longest wait before a retry', { parse: durationFlag });
  flag(command, '--execution-timeout <DURATION>', 'longest time of one try', { parse: durationFlag });
  flag(command, '--partition-policy <POLICY>', 'when its agent is lost: reassign, single_run or hold', {
    parse: oneOf(PARTITION_POLICIES),
  });
  // These three have settings of the coordinator as namesakes: their variables must not reach into every task.
  const own = (name: string) => ({ parse: durationFlag, variable: `HOLDFAST_TASK_${name}` });
  flag(command, '--queued-timeout <DURATION>', 'longest wait in the queue', own('QUEUED_TIMEOUT'));
  flag(command, '--kill-grace <DURATION>', 'time between SIGTERM and SIGKILL', own('KILL_GRACE'));
  flag(command, '--hold-timeout <DURATION>', 'policy hold gives up waiting after this', own('HOLD_TIMEOUT'));
  flag(command, '--concurrency-key <KEY>', 'tasks that share it run at most --concurrency-limit at once');
  flag(command, '--concurrency-limit <N>', 'how many of the key run at once (default: 1)', {
    parse: wholeNumber(1, 10_000),
  });
  flag(command, '--start-after <INSTANT>', 'scheduled until then, such as 2026-01-31T08:00:00Z', {
    parse: instantFlag,
  });
  flag(command, '--start-in <DURATION>', 'scheduled for so long from now, such as 10m', {
    parse: durationFlag,
  });
  flag(command, '--start-before <INSTANT>', 'fails as expired unless it starts before this', {
    parse: instantFlag,
  });
  listFlag(command, '--require-label <NAME=VALUE>', 'label that the agent must have; repeatable', {
    parse: pairs,
  });
  listFlag(command, '--env <NAME=VALUE>', 'variable of the command; repeatable', { parse: pairs });
  flag(command, '--working-directory <DIR>', 'where the command runs (default: a directory of its own)', {
    parse: shortText(WORKING_DIRECTORY_BYTES),
  });
  flag(command, '--memory <SIZE>', 'memory of the command, such as 512MiB; beyond it the command is killed', {
    parse: bytesFlag,
  });
  flag(command, '--cpu <CPUS>', 'CPU of the command, such as 500m or 2', { parse: cpuFlag });
  flag(command, '--idempotency-key <KEY>', 'a second submission with it returns the first task');
  clientAction<SubmitFlags>(context, command, submit);
}

/** An instant is one for all tries of the call: a repeated submission must have the same content. */
function withStartIn(session: Session, flags: SubmitFlags): SubmitFlags {
  if (flags.startIn === undefined) return flags;
  if (flags.startAfter !== undefined)
    throw usage(
      'there is --start-in as well as --start-after',
      'both say when it may start',
      'leave one out',
    );
  return { ...flags, startAfter: new Date(session.terminal.now() + flags.startIn) };
}

async function submit(session: Session, argv: readonly string[], given: SubmitFlags): Promise<void> {
  const flags = withStartIn(session, given);
  const many = flags.file !== undefined;
  const lines =
    flags.file === undefined
      ? [{ line: 1, spec: await fromFlags(session, argv, flags) }]
      : await readFile(session, argv, flags);
  // A key of our own makes each batch safe to send again when its answer was lost.
  const drawn = session.terminal.randomId();
  const specs = lines.map(({ line, spec }) => ({
    ...spec,
    idempotencyKey: spec.idempotencyKey || `cli-${drawn}-${line}`,
  }));

  const { output } = session.settings;
  const ids: string[] = [];
  const accepted: (SubmittedTask & { line: number })[] = [];
  for (const batch of submissionsOf(specs)) {
    const at = accepted.length;
    const answers = await submitSafely(session, batch).catch((error: unknown) => {
      if (at > 0) session.terminal.err.print(`the first ${at} tasks were accepted, the rest was not\n`);
      throw error;
    });
    accepted.push(...answers.map((answer, i) => ({ ...answer, line: lines[at + i]?.line ?? 0 })));
    ids.push(...answers.map((answer) => answer.taskId));
    // Ids go out at once: somebody may be waiting for them.
    if (output === 'table' || output === 'name') {
      session.terminal.out.print(answers.map((answer) => `${answer.taskId}\n`).join(''));
    }
  }
  if (flags.wait) return finish(session, ids, many);
  if (output === 'table' || output === 'name') return;
  if (!many) return showTask(session, ids[0] ?? '');
  const data = accepted.map(({ taskId, existing, line }) => ({ taskId, existing, line }));
  await session.show({ data, names: ids, table: () => '' });
}

async function finish(session: Session, ids: readonly string[], many: boolean): Promise<void> {
  const tasks = await awaitTasks(session, ids);
  const { output } = session.settings;
  if (output !== 'table' && output !== 'name') {
    if (many)
      await session.show({ data: tasks.map((task) => taskShape(task, true)), names: ids, table: () => '' });
    else await showTask(session, ids[0] ?? '');
  }
  requireSuccess(tasks);
  if (output !== 'table') return;
  const [only, second] = tasks;
  const result = only !== undefined && second === undefined ? await resultWords(session, only.taskId) : '';
  session.terminal.err.print(`${successWords(tasks, result)}\n`);
}

/** Longer results are looked at with `task describe`. */
const RESULT_SHOWN = 200;

/** What a task has to say for itself; empty when it has no result, or none for people. A watch brings no results. */
async function resultWords(session: Session, taskId: string): Promise<string> {
  const { result, resultEncoding } = resultShape(await session.client.tasks.get(taskId, session.call));
  if (result === null) return '';
  const text = JSON.stringify(result);
  if (text.length > RESULT_SHOWN || resultEncoding !== undefined)
    return `; result: holdfast task describe ${taskId}`;
  return `; result ${text}`;
}

/** The last words about tasks that all succeeded; times are the coordinator's. */
function successWords(tasks: readonly Task[], result: string): string {
  const from = Math.min(...tasks.map((task) => task.submittedAt?.getTime() ?? Number.NaN));
  const to = Math.max(...tasks.map((task) => task.endedAt?.getTime() ?? Number.NaN));
  const span = Number.isNaN(to - from) ? '' : ` in ${exactSpanWords(to - from)}`;
  const [only, second] = tasks;
  return only !== undefined && second === undefined
    ? `success${span}${result}; output: holdfast task logs ${only.taskId}`
    : `success of all ${tasks.length} tasks${span}; output: holdfast task logs ID`;
}

const exactSpanWords = (ms: number): string => (ms < SECOND ? `${Math.round(ms)} ms` : spanWords(ms));

async function showTask(session: Session, taskId: string): Promise<void> {
  const task = await session.client.tasks.get(taskId, session.call);
  const { terminal, colours } = session;
  await session.show(taskView(task, { out: terminal.out, colours, now: terminal.now() }));
}

const ATTEMPTS = 5;
const RETRY_MS = 500;

/** Sends a batch again when the answer was lost or the coordinator was busy; each task has its idempotency key. */
async function submitSafely(session: Session, batch: readonly TaskSpec[]): Promise<readonly SubmittedTask[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await session.client.tasks.submit(batch, session.call);
    } catch (error) {
      const again = attempt < ATTEMPTS && isTransient(error) && !(await neverThere(session.client, error));
      if (!again) throw error;
      session.terminal.err.print(`${(error as Error).message}; trying again\n`);
      await pause(RETRY_MS * attempt, session.terminal.interrupt);
    }
  }
}

/** A coordinator that refuses connections is not a lost answer: say so at once. */
async function neverThere(client: Client, error: unknown): Promise<boolean> {
  if (!(error instanceof HoldfastError) || error.code !== 'COORDINATOR_UNREACHABLE') return false;
  return client.coordinator({ timeoutMs: 1_000 }).then(
    () => false,
    (second: unknown) => second instanceof HoldfastError && second.code === 'COORDINATOR_UNREACHABLE',
  );
}

async function fromFlags(session: Session, argv: readonly string[], flags: SubmitFlags): Promise<TaskSpec> {
  const { idempotencyKey, handler, env, workingDirectory } = flags;
  const choices = { ...defaultsOf(flags), idempotencyKey };
  if (handler !== undefined) {
    refuseCommandFlags(argv, flags);
    return { ...choices, handler, ...(await readInput(session, flags)) };
  }
  if (flags.input !== undefined || flags.inputType !== undefined) {
    throw usage('there is an input but no handler', 'only handlers take one', 'name it with --handler');
  }
  if (argv.length === 0) {
    throw usage('there is no command to run', 'a task needs a program', 'holdfast task submit -- echo hello');
  }
  const limits = { memoryLimitBytes: flags.memory, cpuLimitMillis: flags.cpu };
  return { ...choices, command: argv, env, workingDirectory, ...limits };
}

function defaultsOf(flags: SubmitFlags): TaskChoices {
  const backoff = flags.retryInitial !== undefined || flags.retryMax !== undefined;
  return {
    queue: flags.queue,
    priority: flags.priority,
    retries: flags.retries,
    retryBackoff: backoff ? { initialMs: flags.retryInitial, maxMs: flags.retryMax } : undefined,
    executionTimeoutMs: flags.executionTimeout,
    queuedTimeoutMs: flags.queuedTimeout,
    partitionPolicy: flags.partitionPolicy,
    killGraceMs: flags.killGrace,
    holdTimeoutMs: flags.holdTimeout,
    concurrencyKey: flags.concurrencyKey,
    concurrencyLimit: flags.concurrencyLimit,
    startAfter: flags.startAfter,
    startBefore: flags.startBefore,
    requiredLabels: flags.requireLabel,
  };
}

const MOST_SHOWN = 20;

/** Every line is judged before anything is submitted; flags are the defaults of lines that do not say. */
async function readFile(session: Session, argv: readonly string[], flags: SubmitFlags): Promise<TaskLine[]> {
  const path = flags.file ?? '-';
  if (argv.length > 0 || flags.handler !== undefined || flags.input !== undefined) {
    const what = argv.length > 0 ? 'a command' : 'a handler or its input';
    throw usage(`there is ${what} as well as --file`, 'one of them names the tasks', 'leave one out');
  }
  if (flags.idempotencyKey !== undefined) {
    throw usage(
      '--idempotency-key names one task, --file many',
      'each needs its own',
      'write "idempotencyKey" in the lines',
    );
  }
  const name = path === '-' ? 'stdin' : path;
  const text = path === '-' ? await session.terminal.readInput() : readText(path);
  const { parseTaskFile } = await import('./task-file.js');
  const { tasks, problems } = parseTaskFile(name, text);
  if (problems.length > 0) {
    const shown = problems.slice(0, MOST_SHOWN);
    const rest = problems.length - shown.length;
    const last = {
      what: `${rest} more faults`,
      because: `only the first ${MOST_SHOWN} are shown`,
      try: 'correct these and submit again; nothing was submitted',
    };
    throw new Failure(EXIT.usage, 'BAD_TASK_FILE', rest > 0 ? [...shown, last] : shown);
  }
  if (tasks.length === 0)
    throw usage(`${name} has no task in it`, 'every line is blank', 'write one JSON object a line');
  const defaults = withoutGaps(defaultsOf(flags));
  const forCommands = withoutGaps({ env: flags.env, workingDirectory: flags.workingDirectory });
  return tasks.map(({ line, spec }) => {
    const more = spec.command === undefined ? {} : forCommands;
    return { line, spec: { ...defaults, ...more, ...withoutGaps(spec) } as TaskSpec };
  });
}

const withoutGaps = (spec: object): object =>
  Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw usage(`cannot read ${path}`, (error as Error).message, 'check the path and its rights');
  }
}
