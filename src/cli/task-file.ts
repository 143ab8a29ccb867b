import { z } from 'zod';
import type { TaskSpec } from '../client/index.js';
import { PARTITION_POLICIES } from '../client/index.js';
import { parseBytes, parseCpu } from '../kit/amount.js';
import { parseDuration } from '../kit/duration.js';
import { NAME_PATTERN } from '../kit/ids.js';
import { parseInstant } from '../kit/instant.js';
import { didYouMean, nearest } from '../kit/suggest.js';
import type { Problem } from './failure.js';
import { WORKING_DIRECTORY_BYTES } from './limits.js';
import { shorten } from './words.js';

/*
 * Each message is a rule in words for people, and becomes the "because" of a fault.
 */
const DURATION_RULE = 'it must be a duration with its unit in quotes, such as "15s"';
const duration = z.string(DURATION_RULE).transform((text, context) => {
  const ms = parseDuration(text);
  if (ms === undefined) context.addIssue({ code: 'custom', message: DURATION_RULE });
  return ms ?? 0;
});
const amount = (rule: string, parse: (text: string) => number | undefined) =>
  z.string(rule).transform((text, context) => {
    const value = parse(text);
    if (value === undefined) context.addIssue({ code: 'custom', message: rule });
    return value ?? 0;
  });
const INSTANT_RULE = 'it must be an instant with its zone, such as "2026-01-31T08:00:00Z"';
const instant = z.string(INSTANT_RULE).transform((text, context) => {
  const at = parseInstant(text);
  if (at === undefined) context.addIssue({ code: 'custom', message: INSTANT_RULE });
  return at ?? new Date(0);
});
const STRINGS_RULE = 'it must be an object of strings';
const strings = z.record(z.string(), z.string('it must be a string'), STRINGS_RULE);
const COMMAND_RULE = 'it must be a list of 1 to 1024 strings, a program and its arguments';
const HANDLER_RULE = 'it must be the name of a handler: 1 to 128 characters of A-Z a-z 0-9 . _ -';
const QUEUE_RULE = 'it must be 1 to 128 characters of A-Z a-z 0-9 . _ - and start with a letter or digit';
const whole = (low: number, high: number) => {
  const rule = `it must be a whole number from ${low} to ${high}`;
  return z.int(rule).min(low, rule).max(high, rule);
};
const text = (fits: (given: string) => boolean = () => true, limit = '') =>
  z.string(`it must be a string${limit}`).refine(fits, `it must be a string${limit}`);

const retryBackoff = z.strictObject(
  { initial: duration.optional(), max: duration.optional() },
  'it must be an object with initial and max',
);

/** The fields of a line of a task file. What is left out has the coordinator's default. */
const fields = z.strictObject(
  {
    queue: z.string(QUEUE_RULE).regex(NAME_PATTERN, QUEUE_RULE).optional(),
    command: z
      .array(z.string('it must be a string'), COMMAND_RULE)
      .min(1, COMMAND_RULE)
      .max(1024, COMMAND_RULE)
      .optional(),
    handler: z.string(HANDLER_RULE).regex(NAME_PATTERN, HANDLER_RULE).optional(),
    input: z.unknown().optional(),
    env: strings.optional(),
    workingDirectory: text(
      (given) => Buffer.byteLength(given) <= WORKING_DIRECTORY_BYTES,
      ` of at most ${WORKING_DIRECTORY_BYTES} bytes`,
    ).optional(),
    memory: amount('it must be a size with its unit, such as "512MiB"', parseBytes).optional(),
    cpu: amount('it must be a number of CPUs, such as "500m" or "2"', parseCpu).optional(),
    priority: whole(-1000, 1000).optional(),
    retries: whole(0, 100).optional(),
    retryBackoff: retryBackoff.optional(),
    executionTimeout: duration.optional(),
    queuedTimeout: duration.optional(),
    partitionPolicy: z
      .enum(PARTITION_POLICIES, `it must be one of ${PARTITION_POLICIES.join(', ')}`)
      .optional(),
    killGrace: duration.optional(),
    holdTimeout: duration.optional(),
    concurrencyKey: text((given) => given.length <= 256, ' of at most 256 characters').optional(),
    concurrencyLimit: whole(1, 10_000).optional(),
    startAfter: instant.optional(),
    startBefore: instant.optional(),
    requiredLabels: strings.optional(),
    idempotencyKey: text((given) => given.length <= 256, ' of at most 256 characters').optional(),
    traceparent: text().optional(),
  },
  'each line must be a JSON object',
);

/** What does not go together on one line. The first that matches is told, with its field. */
const MISFITS: readonly {
  readonly field: keyof typeof fields.shape;
  readonly when: (line: z.output<typeof fields>) => boolean;
  readonly because: string;
}[] = [
  {
    field: 'command',
    when: (l) => l.command === undefined && l.handler === undefined,
    because: COMMAND_RULE,
  },
  {
    field: 'handler',
    when: (l) => l.command !== undefined && l.handler !== undefined,
    because: 'a task has a command or a handler, never both',
  },
  {
    field: 'input',
    when: ({ input, handler }) => input !== undefined && !handler,
    because: 'only a handler takes one',
  },
  {
    field: 'env',
    when: (l) => l.handler !== undefined && l.env !== undefined,
    because: 'a handler is called with an input, not with variables',
  },
  {
    field: 'workingDirectory',
    when: (l) => l.handler !== undefined && l.workingDirectory !== undefined,
    because: 'a handler is called with an input, not in a directory',
  },
  {
    field: 'memory',
    when: (l) => l.handler !== undefined && l.memory !== undefined,
    because: "a handler has its worker's memory (--handler-memory)",
  },
  {
    field: 'cpu',
    when: (l) => l.handler !== undefined && l.cpu !== undefined,
    because: 'only commands have a CPU limit',
  },
];

const taskLine = fields.superRefine((line, context) => {
  const misfit = MISFITS.find(({ when }) => when(line));
  if (misfit !== undefined)
    context.addIssue({ code: 'custom', path: [misfit.field], message: misfit.because, input: line });
});

/** How each field is written. */
const EXAMPLES: Readonly<Record<keyof typeof fields.shape, unknown>> = {
  queue: 'default',
  command: ['echo', 'hello'],
  handler: 'resize',
  input: { width: 320 },
  env: { NAME: 'value' },
  workingDirectory: '/srv/reports',
  memory: '512MiB',
  cpu: '500m',
  priority: 10,
  retries: 2,
  retryBackoff: { initial: '5s', max: '10m' },
  executionTimeout: '15m',
  queuedTimeout: '1h',
  partitionPolicy: PARTITION_POLICIES[0],
  killGrace: '10s',
  holdTimeout: '30m',
  concurrencyKey: 'customer-17',
  concurrencyLimit: 1,
  startAfter: '2026-01-31T08:00:00Z',
  startBefore: '2026-01-31T09:00:00Z',
  requiredLabels: { zone: 'a' },
  idempotencyKey: 'report-2026-01-31',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
};
const WHOLE_EXAMPLE = 'write a whole object on one line, such as {"command": ["echo", "hello"]}';

/** A task of a file, and the line it stands on (from 1). */
export interface TaskLine {
  readonly line: number;
  readonly spec: TaskSpec;
}

/** Every task of a JSON Lines text, or everything that is wrong with it. Blank lines are left out. */
export function parseTaskFile(name: string, text: string): { tasks: TaskLine[]; problems: Problem[] } {
  const tasks: TaskLine[] = [];
  const problems: Problem[] = [];
  const complain = (line: number, { what, ...more }: Problem): void => {
    problems.push({ what: `${name}:${line}: ${what}`, ...more });
  };
  for (const [index, raw] of text.split('\n').entries()) {
    const line = index + 1;
    if (raw.trim() === '') continue;
    const json = parseJson(raw);
    if ('fault' in json) {
      complain(line, { what: 'this line is not JSON', because: json.fault, try: WHOLE_EXAMPLE });
      continue;
    }
    const parsed = taskLine.safeParse(json.value);
    if (parsed.success) tasks.push({ line, spec: toSpec(parsed.data) });
    else
      for (const issue of parsed.error.issues)
        for (const problem of describe(issue, json.value)) complain(line, problem);
  }
  return { tasks, problems };
}

const parseJson = (text: string): { value: unknown } | { fault: string } => {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { fault: (error as Error).message };
  }
};

/** Words for people: unknown fields with a suggestion, anything else with its field and its value. */
function describe(issue: z.core.$ZodIssue, line: unknown): Problem[] {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(path === 'retryBackoff' ? retryBackoff.shape : fields.shape);
    return issue.keys.map((key) => ({
      what: `unknown field ${JSON.stringify(key)}${didYouMean(key, known)}`,
      because: `${path === '' ? 'a task' : path} has ${known.join(', ')}`,
      try: `write ${nearest(key, known) ?? 'one of these'}, or leave it out`,
    }));
  }
  const because = issue.message;
  if (path === '') return [{ what: 'this line is no task', because, try: WHOLE_EXAMPLE }];
  const field = String(issue.path[0]) as keyof typeof EXAMPLES;
  const suggestion = `write ${JSON.stringify(field)}: ${JSON.stringify(EXAMPLES[field])}`;
  const value = issue.path.reduce<unknown>((of, key) => (of as Record<PropertyKey, unknown>)?.[key], line);
  if (value === undefined) return [{ what: `${path} is missing`, because, try: suggestion }];
  // Variables are where secrets go.
  const shown = field === 'env' ? 'this' : shorten(JSON.stringify(value));
  return [{ what: `${path} cannot be ${shown}`, because, try: suggestion }];
}

function toSpec(line: z.output<typeof taskLine>): TaskSpec {
  const { command, env, workingDirectory, handler = '', input } = line;
  const limits = { memoryLimitBytes: line.memory, cpuLimitMillis: line.cpu };
  return {
    ...(command === undefined ? { handler, input } : { command, env, workingDirectory, ...limits }),
    queue: line.queue,
    priority: line.priority,
    retries: line.retries,
    retryBackoff: line.retryBackoff && { initialMs: line.retryBackoff.initial, maxMs: line.retryBackoff.max },
    executionTimeoutMs: line.executionTimeout,
    queuedTimeoutMs: line.queuedTimeout,
    partitionPolicy: line.partitionPolicy,
    killGraceMs: line.killGrace,
    holdTimeoutMs: line.holdTimeout,
    concurrencyKey: line.concurrencyKey,
    concurrencyLimit: line.concurrencyLimit,
    startAfter: line.startAfter,
    startBefore: line.startBefore,
    requiredLabels: line.requiredLabels,
    idempotencyKey: line.idempotencyKey,
    traceparent: line.traceparent,
  };
}
