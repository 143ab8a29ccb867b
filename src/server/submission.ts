import { createHash } from 'node:crypto';
import type { NewTask } from '../core/inputs.js';
import { leaseTerms } from '../core/lease.js';
import type { Policy } from '../core/policy.js';
import type { CommandWork } from '../core/rows.js';
import type { TaskId } from '../kit/ids.js';
import { TaskSpec } from '../wire/gen/holdfast/v1/task_service.js';
import type { Work } from '../wire/gen/holdfast/v1/types.js';
import { LIMITS } from '../wire/limits.js';
import { partitionPolicies } from '../wire/names.js';
import { millisOf } from '../wire/time.js';
import { Fault } from './fault.js';
import { labelsOf, Malformed, nameOf } from './translate-up.js';

const DAY_MS = 24 * 3_600_000;

/** Checks one submitted task and fills in the defaults. Throws Fault INVALID_TASK that says which task and field. */
export function newTaskOf(spec: TaskSpec, index: number, taskId: TaskId, policy: Policy): NewTask {
  const wrong = (what: string, because: string, advice: string): never => {
    throw new Fault('INVALID_TASK', `task ${index + 1} of the batch: ${what}`, because, advice);
  };
  const checked = <T>(check: () => T): T => {
    try {
      return check();
    } catch (error) {
      if (error instanceof Malformed) return wrong(error.message, 'it has another form', 'correct it');
      throw error;
    }
  };
  const range = (field: string, value: number, low: number, high: number): number =>
    value >= low && value <= high
      ? value
      : wrong(`${field} is ${value}`, `it must lie between ${low} and ${high}`, 'correct it');
  const partitionPolicy =
    spec.partitionPolicy === 0 ? 'reassign' : partitionPolicies.from(spec.partitionPolicy);
  if (partitionPolicy === undefined) {
    return wrong(
      `partition_policy ${spec.partitionPolicy} is unknown`,
      'this coordinator does not know it',
      'use REASSIGN, SINGLE_RUN or HOLD',
    );
  }
  if (spec.holdTimeout !== undefined && partitionPolicy !== 'hold') {
    wrong(
      'hold_timeout is set',
      `the partition policy is ${partitionPolicy}`,
      'leave it out, or use policy HOLD',
    );
  }
  if (Buffer.byteLength(spec.idempotencyKey) > 256)
    wrong('idempotency_key is longer than 256 bytes', 'it is kept for ever', 'use a shorter one');
  const initialMs = millisOf(spec.retryBackoff?.initial) ?? policy.task.retryBackoff.initialMs;
  const maxMs = millisOf(spec.retryBackoff?.max) ?? policy.task.retryBackoff.maxMs;
  if (maxMs < initialMs)
    wrong(
      'retry_backoff.max is shorter than its initial wait',
      'the wait grows from one to the other',
      'make it longer',
    );
  const task: NewTask = {
    taskId,
    queue: spec.queue === '' ? 'default' : checked(() => nameOf('queue', spec.queue)),
    priority: range('priority', spec.priority, -1_000, 1_000),
    requiredLabels: checked(() => labelsOf(spec.requiredLabels)),
    partitionPolicy,
    retries: range('retries', spec.retries, 0, 100),
    retryBackoff: {
      initialMs: range('retry_backoff.initial', initialMs, 1, DAY_MS),
      maxMs: range('retry_backoff.max', maxMs, 1, 30 * DAY_MS),
    },
    executionTimeoutMs:
      spec.executionTimeout === undefined
        ? null
        : range('execution_timeout', millisOf(spec.executionTimeout), 1, 365 * DAY_MS),
    queuedTimeoutMs: range(
      'queued_timeout',
      millisOf(spec.queuedTimeout) ?? policy.queuedTimeoutMs,
      1,
      365 * DAY_MS,
    ),
    killGraceMs: range('kill_grace', millisOf(spec.killGrace) ?? policy.task.killGraceMs, 0, 3_600_000),
    holdTimeoutMs: range(
      'hold_timeout',
      millisOf(spec.holdTimeout) ?? policy.task.holdTimeoutMs,
      1,
      365 * DAY_MS,
    ),
    idempotencyKey: spec.idempotencyKey,
    contentHash: contentHashOf(spec),
    spec: {
      taskId,
      work: workOf(spec.work, wrong),
      traceparent: spec.traceparent.slice(0, LIMITS.nameLength),
    },
  };
  refuseOverlap(task, policy, wrong);
  return task;
}

/** P11: under hold, a run that may last longer than the hold could still be running when the next one starts. */
function refuseOverlap(
  task: NewTask,
  policy: Policy,
  wrong: (what: string, because: string, advice: string) => never,
): void {
  if (task.partitionPolicy !== 'hold') return;
  const { leaseMs } = leaseTerms(policy.heartbeatIntervalMs);
  const longest = leaseMs + (task.executionTimeoutMs ?? 0) + 1.03 * task.killGraceMs;
  if (task.holdTimeoutMs >= longest) return;
  wrong(
    `hold_timeout is ${task.holdTimeoutMs} ms`,
    `a lost run may go on for ${Math.ceil(longest)} ms (lease, execution timeout and kill grace), so two could overlap`,
    `use a hold_timeout of at least ${Math.ceil(longest)} ms`,
  );
}

function workOf(
  work: Work | undefined,
  wrong: (what: string, because: string, advice: string) => never,
): CommandWork {
  if (work?.work?.$case !== 'command') {
    return wrong('it has no work', 'a command is needed', 'set work.command.argv, such as ["echo", "hello"]');
  }
  const { argv, env, workingDirectory } = work.work.value;
  if (Buffer.byteLength(workingDirectory) > 4_096) {
    wrong(
      'its working directory is longer than 4096 bytes',
      'no system takes a longer path',
      'use a shorter one',
    );
  }
  if (argv.length === 0 || argv[0] === '')
    wrong('its command is empty', 'there is nothing to run', 'set argv');
  const bytes = argv.reduce((sum, word) => sum + Buffer.byteLength(word), 0);
  if (argv.length > 1_024 || bytes > 64 * 1024) {
    wrong(
      `its command has ${argv.length} words and ${bytes} bytes`,
      'at most 1024 words and 64 KiB travel',
      'pass the rest in a file',
    );
  }
  let envBytes = 0;
  for (const [name, value] of env) {
    envBytes += Buffer.byteLength(name) + Buffer.byteLength(value);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      wrong(
        `env ${JSON.stringify(name.slice(0, 64))} is not a variable's name`,
        'no shell could read it',
        'rename it',
      );
    if (name.startsWith('HOLDFAST_'))
      wrong(`env ${name} is reserved`, 'the agent sets these itself', 'use another prefix');
  }
  if (envBytes > 64 * 1024)
    wrong(`its env has ${envBytes} bytes`, 'at most 64 KiB travel', 'pass the rest in a file');
  const words = [...argv, workingDirectory, ...env.values()];
  if (words.some((word) => word.includes('\0')))
    wrong('its command has a NUL character', 'no system call takes one', 'remove it');
  return { kind: 'command', argv, env: Object.fromEntries(env), workingDirectory };
}

/** SHA-256 of what was submitted, its key left out: tells the same submission from another one with the same key. */
function contentHashOf(spec: TaskSpec): string {
  const content = { ...spec, idempotencyKey: '', traceparent: '' };
  const sorted = { ...content, requiredLabels: sortedMap(spec.requiredLabels) };
  const command = spec.work?.work?.$case === 'command' ? spec.work.work.value : null;
  const work = command && {
    work: { $case: 'command', value: { ...command, env: sortedMap(command.env) } } as const,
  };
  const bytes = TaskSpec.encode({ ...sorted, work: work ?? undefined }).finish();
  return createHash('sha256').update(bytes).digest('hex');
}

function sortedMap(map: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
}
