import { z } from 'zod';
import { type AssetCondition, DEFINITION_LIMITS } from '../../core/dag/definition.js';
import { bytes, choice, cpu, duration, flag, json, list, name, named, text, wait, whole } from './fields.js';

/*
 * What a DAG file may hold, field by field. The JSON Schema for editors is written from here (docs/reference/dag.schema.json),
 * so that each description is one that people read. What needs more than one field is judged in ../check.
 */

const TRIGGER_RULES = [
  'all_success',
  'all_failed',
  'all_done',
  'all_done_min_one_success',
  'all_skipped',
  'one_failed',
  'one_success',
  'one_done',
  'none_failed',
  'none_failed_min_one_success',
  'none_skipped',
  'always',
] as const;

const PARTITION_POLICIES = ['reassign', 'single_run', 'hold'] as const;

const asset = text(256, 1).describe('Name of an asset, such as s3://reports/daily.');
const assets = list(asset, 'assets', 64);
const TEMPLATE_LENGTH = 65_536;
const template = text(TEMPLATE_LENGTH);
const EXPAND_RULE =
  'it must be one expression that gives a list, such as "{{ params.months }}": a fixed list goes into params';
const env = named(template, 'texts', 256).describe('Variables of the command. Templates.');

/** Fields that default_args may hold as well. */
const common = {
  env: env.optional(),
  trigger_rule: choice(...TRIGGER_RULES)
    .optional()
    .describe("Airflow's: what the ends of its needs must be. Default all_success."),
  retries: whole(0, 100)
    .optional()
    .describe('Further tries after one that failed. Default 0. Infrastructure losses count apart.'),
  retry_backoff: z
    .strictObject(
      {
        initial: duration
          .optional()
          .describe('Before the second try; doubled for each further one. Default 1s.'),
        max: duration.optional().describe('At most. Default 5m.'),
      },
      'it must be an object with initial and max',
    )
    .optional()
    .describe('How long to wait before a retry; half of it is jitter.'),
  execution_timeout: wait.optional().describe('A try that takes longer is stopped and fails. Default none.'),
  queued_timeout: wait
    .optional()
    .describe("Queued for longer than this, the task fails. Default the coordinator's, 600s."),
  kill_grace: duration.optional().describe('Between SIGTERM and SIGKILL. Default 10s.'),
  hold_timeout: wait.optional().describe('Policy hold gives up waiting after this. Default 24h.'),
  queue: name.optional().describe('Workers of this queue run it. Default default.'),
  priority: whole(-1000, 1000).optional().describe('Higher ones first. Default 0.'),
  labels: named(text(128), 'labels', 32).optional().describe('Labels that a worker must have.'),
  pool: name.optional().describe('Pool whose slots it takes. Default default_pool.'),
  pool_slots: whole(1, 1_000_000).optional().describe('Slots of the pool that it takes. Default 1.'),
  partition_policy: choice(...PARTITION_POLICIES)
    .optional()
    .describe('What happens when its worker is lost: reassign (default), single_run or hold.'),
  memory_limit: bytes.optional().describe('Of the command, such as 512MiB.'),
  cpu_limit: cpu.optional().describe('Of the command, such as "500m" or "2".'),
};

const trigger = z.strictObject(
  {
    kind: name.describe("date_time, delta, file, http, asset, external, or one of a triggerer's own."),
    input: json.optional().describe('What the trigger takes. Every text within is a template.'),
    timeout: wait.optional().describe('The task fails when the event has not come by then. Default never.'),
  },
  'it must be an object with kind, and input and timeout where wanted',
);

const taskFields = {
  command: z
    .union(
      [text(65_536, 1), list(template, 'texts', 1024).min(1, 'it must hold the program at least')],
      'it must be a list of texts, a program and its arguments, or one text for the shell',
    )
    .optional()
    .describe(
      'Program and arguments, each a template; or one text, run by /bin/sh -c, in which params, results and the like are handed over by env.',
    ),
  handler: name.optional().describe('Handler of a worker, instead of a command.'),
  input: json.optional().describe("The handler's input. Every text within is a template."),
  working_directory: text(4096).optional().describe('Of the command. Template. Default one of its own.'),
  needs: z
    .union(
      [name, list(name, 'tasks', DEFINITION_LIMITS.tasks)],
      'it must be the id of a task, or a list of them',
    )
    .optional()
    .describe('Tasks that come first.'),
  when: template
    .optional()
    .describe('One expression that must be true for the task to run; else it is skipped.'),
  short_circuit: flag
    .optional()
    .describe('Everything downstream is skipped when its result is false, null, 0 or empty. Default false.'),
  expand: z
    .string(EXPAND_RULE)
    .max(TEMPLATE_LENGTH, EXPAND_RULE)
    .optional()
    .describe('One expression that gives a list: one instance for each element, known to templates as item.'),
  wait: trigger.optional().describe('What to wait for before its first try, without a slot of a worker.'),
  ...common,
  inlets: assets.optional().describe('Assets that it reads.'),
  outlets: assets.optional().describe('Assets that its success updates.'),
};

const taskBody = z.strictObject(taskFields, 'it must be an object with command, handler or neither');
const taskInList = z.strictObject(
  { task_id: name.describe('Unique within the DAG.'), ...taskFields },
  'it must be an object with task_id',
);

const TASKS_RULE = 'it must be a list of tasks, or an object of them by id';
const tooManyTasks = (count: number): string =>
  `it holds ${count} tasks, and a DAG has at most ${DEFINITION_LIMITS.tasks}: map one task over a list (expand), or divide the DAG`;
const countOf = (value: unknown): number => Object.keys(value as object).length;
const tasks = z.union(
  [
    z
      .array(taskInList, TASKS_RULE)
      .min(1, 'it must hold a task at least')
      .max(DEFINITION_LIMITS.tasks, { error: ({ input }) => tooManyTasks(countOf(input)) }),
    z
      .record(name, taskBody, TASKS_RULE)
      .refine((value) => Object.keys(value).length > 0, 'it must hold a task at least')
      .refine((value) => countOf(value) <= DEFINITION_LIMITS.tasks, {
        error: ({ input }) => tooManyTasks(countOf(input)),
      }),
  ],
  TASKS_RULE,
);

const CONDITION_RULE = 'it must be an asset, a list of them, or an object with all or any';
type ConditionInput = string | ConditionInput[] | { all: ConditionInput[] } | { any: ConditionInput[] };
const condition: z.ZodType<AssetCondition, ConditionInput> = z.lazy(() =>
  z.union(
    [
      asset.transform((one): AssetCondition => ({ kind: 'asset', asset: one })),
      conditions.transform((of): AssetCondition => ({ kind: 'all', of })),
      z
        .strictObject({ all: conditions }, CONDITION_RULE)
        .transform(({ all }): AssetCondition => ({ kind: 'all', of: all })),
      z
        .strictObject({ any: conditions }, CONDITION_RULE)
        .transform(({ any }): AssetCondition => ({ kind: 'any', of: any })),
    ],
    CONDITION_RULE,
  ),
);
const conditions = z.array(condition, CONDITION_RULE).min(1, 'it must name an asset at least').max(256);

const CRON = 'Five or six fields of cron (the first of six are seconds), or a preset such as @daily.';
const SCHEDULE_RULE =
  'it must be a cron expression, a preset such as @daily, {cron, timezone}, {every: 15m}, {assets: […]}, or null';
const schedule = z.union(
  [
    z.null(),
    text(256, 1).describe(CRON),
    z.strictObject({ cron: text(256, 1).describe(CRON), timezone: text(64, 1).optional() }, SCHEDULE_RULE),
    z.strictObject({ every: wait.describe('Elapsed time, counted from the start date.') }, SCHEDULE_RULE),
    z.strictObject({ assets: condition.describe('Which assets must have had an event.') }, SCHEDULE_RULE),
  ],
  SCHEDULE_RULE,
);

const PARAM_TYPES = ['string', 'integer', 'number', 'boolean', 'array', 'object'] as const;
const PARAM_RULE = 'it must be a default, or an object with type';
const param = z.union(
  [
    z.strictObject(
      {
        type: choice(...PARAM_TYPES),
        default: json
          .optional()
          .describe('Without one, whoever triggers a run must give a value; such a DAG has no schedule.'),
        description: text(4096).optional(),
        enum: list(json, 'values', 256).optional().describe('Only these values.'),
        minimum: z.number('it must be a number').optional(),
        maximum: z.number('it must be a number').optional(),
      },
      PARAM_RULE,
    ),
    text(65_536),
    z.number(PARAM_RULE),
    z.boolean(),
    z.array(json),
  ],
  PARAM_RULE,
);

const date = text(64, 1);
const DATE = "A date, or a date and time, with its zone or in the DAG's: 2026-01-31, 2026-01-31T08:00:00Z.";

/** A DAG as files have it, after YAML or JSON. */
export const dagFile = z.strictObject(
  {
    $schema: z.string().optional().describe('For editors.'),
    dag_id: name.describe('Unique in the whole installation.'),
    description: text(4096).optional().describe('For people.'),
    tags: list(text(128, 1), 'tags', 64).optional().describe('For people, to find it by.'),
    schedule: schedule.optional().describe('When runs are created. Default never, but by hand.'),
    timezone: text(64, 1)
      .optional()
      .describe('IANA name: of the schedule, and of dates without a zone. Default UTC.'),
    start_date: date.optional().describe(`No run has a logical date before it. ${DATE}`),
    end_date: date.optional().describe(`No run has a logical date after it. ${DATE}`),
    catchup: flag
      .optional()
      .describe(
        'Whether instants that passed while nobody looked get a run each. Default false: the newest only.',
      ),
    max_active_runs: whole(1, 10_000).optional().describe('Runs that are running at once. Default 16.'),
    max_active_tasks: whole(1, 100_000)
      .optional()
      .describe('Task instances of a run that are queued or running at once. Default 16.'),
    dagrun_timeout: wait
      .optional()
      .describe('A run that runs for longer fails, and what of it has not ended is cancelled. Default none.'),
    is_paused_upon_creation: flag.optional().describe('Default false.'),
    params: named(param, 'params', 256)
      .optional()
      .describe('Values that runs may be given, with their defaults.'),
    default_args: z
      .strictObject(common, 'it must be an object of fields of tasks')
      .optional()
      .describe('Fields of every task that does not have them itself.'),
    tasks: tasks.describe('By id, or as a list.'),
  },
  'it must be an object with dag_id and tasks',
);

export type DagFileInput = z.input<typeof dagFile>;
export type DagFile = z.output<typeof dagFile>;
export type TaskFields = z.output<typeof taskBody>;
export type TaskInput = z.input<typeof taskBody>;
export type ParamFields = NonNullable<DagFile['params']>[string];

/** Names of fields, to suggest from. */
export const COMMON_FIELDS = Object.keys(common);
export const TASK_FIELDS = Object.keys(taskFields);
export const PARAM_FIELDS = ['type', 'default', 'description', 'enum', 'minimum', 'maximum'];
