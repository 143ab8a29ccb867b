import { z } from 'zod';
import type { TaskSpec } from '../client/index.js';
import { PARTITION_POLICIES } from '../client/index.js';
import { parseDuration } from '../kit/duration.js';
import { NAME_PATTERN } from '../kit/ids.js';
import { didYouMean } from '../kit/suggest.js';
import type { Problem } from './failure.js';

const DURATION_RULE = 'expected a duration with its unit, such as "15s"';
const duration = z.string({ error: DURATION_RULE }).transform((text, context) => {
  const ms = parseDuration(text);
  if (ms === undefined) context.addIssue({ code: 'custom', message: DURATION_RULE });
  return ms ?? 0;
});
const strings = z.record(z.string(), z.string());

/** One line of a task file. What is left out has the coordinator's default. */
const taskLine = z.strictObject({
  queue: z.string().regex(NAME_PATTERN, 'expected 1 to 128 characters of A-Z a-z 0-9 . _ -').optional(),
  command: z.array(z.string()).min(1, 'expected a program and its arguments').max(1024),
  env: strings.optional(),
  workingDirectory: z.string().optional(),
  priority: z.int().min(-1000).max(1000).optional(),
  retries: z.int().min(0).max(100).optional(),
  retryBackoff: z.strictObject({ initial: duration.optional(), max: duration.optional() }).optional(),
  executionTimeout: duration.optional(),
  queuedTimeout: duration.optional(),
  partitionPolicy: z.enum(PARTITION_POLICIES).optional(),
  killGrace: duration.optional(),
  holdTimeout: duration.optional(),
  requiredLabels: strings.optional(),
  idempotencyKey: z.string().max(256).optional(),
  traceparent: z.string().optional(),
});

/** A task of a file, and the line it stands on (from 1). */
export interface TaskLine {
  readonly line: number;
  readonly spec: TaskSpec;
}

/** Every task of a JSON Lines text, or everything that is wrong with it. Blank lines are left out. */
export function parseTaskFile(name: string, text: string): { tasks: TaskLine[]; problems: Problem[] } {
  const tasks: TaskLine[] = [];
  const problems: Problem[] = [];
  const complain = (line: number, what: string, because: string): void => {
    problems.push({ what: `${name}:${line}: ${what}`, because, try: '' });
  };
  for (const [index, raw] of text.split('\n').entries()) {
    const line = index + 1;
    if (raw.trim() === '') continue;
    const json = parseJson(raw);
    if ('fault' in json) {
      complain(line, 'this line is not JSON', json.fault);
      continue;
    }
    const parsed = taskLine.safeParse(json.value);
    if (parsed.success) tasks.push({ line, spec: toSpec(parsed.data) });
    else
      for (const issue of parsed.error.issues) for (const what of describe(issue)) complain(line, what, '');
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

/** Words for people: unknown fields with a suggestion, anything else with its field in front. */
function describe(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(path === 'retryBackoff' ? { initial: 0, max: 0 } : taskLine.shape);
    return issue.keys.map((key) => `unknown field ${JSON.stringify(key)}${didYouMean(key, known)}`);
  }
  const message = issue.message.replace(/^Invalid input: /, '').replace(/^Invalid option: /, '');
  if (path === 'command' && message.includes('received undefined')) return ['command is missing'];
  return [path === '' ? message : `${path}: ${message}`];
}

function toSpec(line: z.output<typeof taskLine>): TaskSpec {
  return {
    queue: line.queue,
    command: line.command,
    env: line.env,
    workingDirectory: line.workingDirectory,
    priority: line.priority,
    retries: line.retries,
    retryBackoff: line.retryBackoff && { initialMs: line.retryBackoff.initial, maxMs: line.retryBackoff.max },
    executionTimeoutMs: line.executionTimeout,
    queuedTimeoutMs: line.queuedTimeout,
    partitionPolicy: line.partitionPolicy,
    killGraceMs: line.killGrace,
    holdTimeoutMs: line.holdTimeout,
    requiredLabels: line.requiredLabels,
    idempotencyKey: line.idempotencyKey,
    traceparent: line.traceparent,
  };
}
