import {
  type DagDefinition,
  DEFAULT_POOL,
  type Json,
  type Param,
  type Schedule,
  type TaskDefinition,
  type WorkTemplate,
} from '../../core/dag/definition.js';
import { typeOfParam } from '../../core/dag/params.js';
import { limitLabelsOf } from '../../kit/limit-labels.js';
import { HOUR, MINUTE, SECOND, type WallMs } from '../../kit/time.js';
import { instantOf } from '../zone.js';
import type { DagFile, ParamFields, TaskFields } from './schema.js';

/** A task of a file with its default arguments, and the path at which it stands there. */
export interface FileTask {
  readonly taskId: string;
  readonly path: readonly (string | number)[];
  readonly own: TaskFields;
  readonly fields: TaskFields;
}

/** The tasks in the order of the file, whichever of the two forms they have. */
export function tasksOf(file: DagFile): readonly FileTask[] {
  const defaults = file.default_args ?? {};
  if (Array.isArray(file.tasks)) {
    return file.tasks.map(({ task_id: taskId, ...own }, n) => ({
      taskId,
      path: ['tasks', n],
      own,
      fields: { ...defaults, ...own },
    }));
  }
  return Object.entries(file.tasks).map(([taskId, own]) => ({
    taskId,
    path: ['tasks', taskId],
    own,
    fields: { ...defaults, ...own },
  }));
}

export const needsOf = ({ needs = [] }: TaskFields): readonly string[] =>
  typeof needs === 'string' ? [needs] : needs;

/** The definition with all defaults filled in. `tasks` come in the order that it has them. */
export function define(file: DagFile, tasks: readonly FileTask[]): DagDefinition {
  const timezone = timezoneOf(file);
  return {
    dagId: file.dag_id,
    description: file.description ?? '',
    tags: [...new Set(file.tags ?? [])],
    schedule: scheduleOf(file),
    startDate: dateOf(file.start_date, timezone),
    endDate: dateOf(file.end_date, timezone),
    catchup: file.catchup ?? false,
    maxActiveRuns: file.max_active_runs ?? 16,
    maxActiveTasks: file.max_active_tasks ?? 16,
    dagrunTimeoutMs: file.dagrun_timeout ?? null,
    pausedUponCreation: file.is_paused_upon_creation ?? false,
    params: Object.fromEntries(
      Object.entries(file.params ?? {}).map(([name, param]) => [name, paramOf(param)]),
    ),
    tasks: tasks.map(taskOf),
  };
}

export const timezoneOf = (file: DagFile): string => file.timezone ?? 'UTC';

export const dateOf = (written: string | undefined, timezone: string): WallMs | null =>
  written === undefined ? null : (instantOf(written, timezone) ?? null);

export function scheduleOf(file: DagFile): Schedule {
  const { schedule = null } = file;
  const timezone = timezoneOf(file);
  if (schedule === null) return { kind: 'none' };
  if (typeof schedule === 'string') return { kind: 'cron', expression: spaced(schedule), timezone };
  if ('cron' in schedule) {
    return { kind: 'cron', expression: spaced(schedule.cron), timezone: schedule.timezone ?? timezone };
  }
  if ('every' in schedule) return { kind: 'interval', everyMs: schedule.every };
  return { kind: 'assets', condition: schedule.assets };
}

/** Blanks say nothing in it, and two spellings of one schedule should be one. */
const spaced = (expression: string): string => expression.trim().replace(/\s+/g, ' ');

/** In the short form the value is the default, and says the type. */
export function paramOf(param: ParamFields): Param {
  const unbounded = { description: '', oneOf: [], minimum: null, maximum: null };
  if (typeof param !== 'object' || Array.isArray(param)) {
    const value = param as Json;
    return { ...unbounded, type: typeOfParam(value) ?? 'string', default: value };
  }
  return {
    type: param.type,
    ...(param.default === undefined ? {} : { default: param.default as Json }),
    description: param.description ?? '',
    oneOf: (param.enum ?? []) as readonly Json[],
    minimum: param.minimum ?? null,
    maximum: param.maximum ?? null,
  };
}

/** As the coordinator has them for tasks that are submitted without saying. */
const DEFAULTS = {
  retryBackoff: { initialMs: SECOND, maxMs: 5 * MINUTE },
  killGraceMs: 10 * SECOND,
  holdTimeoutMs: 24 * HOUR,
} as const;

function taskOf({ taskId, fields }: FileTask): TaskDefinition {
  const work = workOf(fields);
  return {
    taskId,
    work,
    needs: needsOf(fields),
    triggerRule: fields.trigger_rule ?? 'all_success',
    when: fields.when?.trim() ?? '',
    shortCircuit: fields.short_circuit ?? false,
    expand: fields.expand?.trim() ?? '',
    wait:
      fields.wait === undefined
        ? null
        : {
            kind: fields.wait.kind,
            input: (fields.wait.input ?? {}) as Json,
            timeoutMs: fields.wait.timeout ?? null,
          },
    retries: fields.retries ?? 0,
    retryBackoff: {
      initialMs: fields.retry_backoff?.initial ?? DEFAULTS.retryBackoff.initialMs,
      maxMs: fields.retry_backoff?.max ?? DEFAULTS.retryBackoff.maxMs,
    },
    executionTimeoutMs: fields.execution_timeout ?? null,
    queuedTimeoutMs: fields.queued_timeout ?? null,
    killGraceMs: fields.kill_grace ?? DEFAULTS.killGraceMs,
    queue: fields.queue ?? 'default',
    priority: fields.priority ?? 0,
    // Whoever cannot enforce a limit is not offered the command.
    requiredLabels: { ...fields.labels, ...(work.kind === 'command' ? limitLabelsOf(work) : {}) },
    pool: fields.pool ?? DEFAULT_POOL,
    poolSlots: fields.pool_slots ?? 1,
    partitionPolicy: fields.partition_policy ?? 'reassign',
    holdTimeoutMs: fields.hold_timeout ?? DEFAULTS.holdTimeoutMs,
    inlets: fields.inlets ?? [],
    outlets: fields.outlets ?? [],
  };
}

function workOf(fields: TaskFields): WorkTemplate {
  const { command, handler } = fields;
  if (handler !== undefined) return { kind: 'handler', name: handler, input: (fields.input ?? null) as Json };
  if (command === undefined) return { kind: 'none' };
  return {
    kind: 'command',
    argv: typeof command === 'string' ? [...SHELL, command] : command,
    env: fields.env ?? {},
    workingDirectory: fields.working_directory ?? '',
    memoryLimitBytes: fields.memory_limit ?? null,
    cpuLimitMillis: fields.cpu_limit ?? null,
  };
}

/** What runs a command that is one text. */
const SHELL = ['/bin/sh', '-c'] as const;
