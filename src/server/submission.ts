import type { Context, NewTask } from '../core/inputs.js';
import { leaseTerms } from '../core/lease.js';
import type { Policy } from '../core/policy.js';
import type { CommandWork, PartitionPolicy } from '../core/rows.js';
import type { Backoff } from '../kit/backoff.js';
import type { TaskId } from '../kit/ids.js';
import { limitLabelsOf } from '../kit/limit-labels.js';
import type { WallMs } from '../kit/time.js';
import type { TaskSpec } from '../wire/gen/holdfast/v1/task_service.js';
import { LIMITS } from '../wire/limits.js';
import { partitionPolicies } from '../wire/names.js';
import { millisOf } from '../wire/time.js';
import { Fault } from './fault.js';
import { Malformed, nameOf } from './fields.js';
import { contentHashOf, type Wrong, workOf } from './submitted-work.js';
import { labelsOf } from './translate-up.js';

const DAY_MS = 24 * 3_600_000;

/** Checks one submitted task and fills in the defaults. Throws Fault INVALID_TASK that says which task and field. */
export function newTaskOf(
  spec: TaskSpec,
  index: number,
  taskId: TaskId,
  { policy, wall }: Pick<Context, 'policy' | 'wall'>,
): NewTask {
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
  const partitionPolicy = partitionPolicyOf(spec, wrong);
  if (Buffer.byteLength(spec.idempotencyKey) > 256)
    wrong('idempotency_key is longer than 256 bytes', 'it is kept as long as its task', 'use a shorter one');
  const { initialMs, maxMs } = backoffOf(spec, policy, wrong);
  const { concurrencyKey, concurrencyLimit } = concurrencyOf(spec, wrong);
  const { startAfter, startBefore } = windowOf(spec, wall, wrong);
  const work = workOf(spec.work, wrong);
  const labels = checked(() => labelsOf(spec.requiredLabels));
  const task: NewTask = {
    taskId,
    queue: spec.queue === '' ? 'default' : checked(() => nameOf('queue', spec.queue)),
    priority: range('priority', spec.priority, -1_000, 1_000),
    requiredLabels: work.kind === 'command' ? withLimits(labels, work) : labels,
    handler: work.kind === 'handler' ? work.name : '',
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
    concurrencyKey,
    concurrencyLimit,
    startAfter,
    startBefore,
    idempotencyKey: spec.idempotencyKey,
    // Nothing but a key brings two submissions together.
    contentHash: spec.idempotencyKey === '' ? '' : contentHashOf(spec),
    spec: {
      taskId,
      work,
      traceparent: spec.traceparent.slice(0, LIMITS.nameLength),
    },
  };
  refuseOverlap(task, policy, wrong);
  return task;
}

function partitionPolicyOf({ partitionPolicy, holdTimeout }: TaskSpec, wrong: Wrong): PartitionPolicy {
  const policy = partitionPolicy === 0 ? 'reassign' : partitionPolicies.from(partitionPolicy);
  if (policy === undefined) {
    return wrong(
      `partition_policy ${partitionPolicy} is unknown`,
      'this coordinator does not know it',
      'use REASSIGN, SINGLE_RUN or HOLD',
    );
  }
  if (holdTimeout !== undefined && policy !== 'hold')
    wrong('hold_timeout is set', `the partition policy is ${policy}`, 'leave it out, or use policy HOLD');
  return policy;
}

/** What an agent must have: what was asked for, and that it enforces the limits of a command that has some. */
function withLimits(labels: Readonly<Record<string, string>>, work: CommandWork) {
  const isUnlimited = work.memoryLimitBytes === null && work.cpuLimitMillis === null;
  return isUnlimited ? labels : { ...labels, ...limitLabelsOf(work) };
}

/** When it may start first. That `start_before` is still to come is judged with the task: a known key is never late. */
function windowOf(spec: TaskSpec, wall: WallMs, wrong: Wrong): Pick<NewTask, 'startAfter' | 'startBefore'> {
  const startAfter = instantOf('start_after', spec.startAfter, wall, 10, wrong);
  const startBefore = instantOf('start_before', spec.startBefore, wall, 20, wrong);
  if (startAfter !== null && startBefore !== null && startBefore <= startAfter) {
    wrong(
      `start_before is ${new Date(startBefore).toISOString()}`,
      `start_after is ${new Date(startAfter).toISOString()}, so it could never start`,
      'let start_before be later than start_after',
    );
  }
  return { startAfter, startBefore };
}

function concurrencyOf(
  { concurrencyKey, concurrencyLimit: limit }: TaskSpec,
  wrong: Wrong,
): Pick<NewTask, 'concurrencyKey' | 'concurrencyLimit'> {
  if (Buffer.byteLength(concurrencyKey) > 256)
    wrong('concurrency_key is longer than 256 bytes', 'it names a lane of the queue', 'use a shorter one');
  if (!concurrencyKey.isWellFormed())
    wrong('concurrency_key is no text', 'half a character is missing', 'correct it');
  if (concurrencyKey === '' && limit !== 0)
    wrong('concurrency_limit is set', 'there is no concurrency_key', 'set a key, or leave it out');
  if (limit > 10_000) wrong(`concurrency_limit is ${limit}`, 'it must lie between 1 and 10000', 'correct it');
  return { concurrencyKey, concurrencyLimit: limit === 0 ? 1 : limit };
}

function instantOf(
  field: string,
  at: Date | undefined,
  wall: WallMs,
  years: number,
  wrong: Wrong,
): WallMs | null {
  if (at === undefined) return null;
  const instant = at.getTime();
  if (Number.isNaN(instant) || instant < 0 || instant > (wall as number) + years * 366 * DAY_MS) {
    const what = Number.isNaN(instant) ? 'no instant' : at.toISOString();
    wrong(`${field} is ${what}`, `it must lie between 1970 and ${years} years from now`, 'correct it');
  }
  return instant as WallMs;
}

function backoffOf({ retryBackoff }: TaskSpec, policy: Policy, wrong: Wrong): Backoff {
  const initialMs = millisOf(retryBackoff?.initial) ?? policy.task.retryBackoff.initialMs;
  const maxMs = millisOf(retryBackoff?.max) ?? policy.task.retryBackoff.maxMs;
  if (maxMs < initialMs) {
    wrong(
      'retry_backoff.max is shorter than its initial wait',
      'the wait grows from one to the other',
      'make it longer',
    );
  }
  return { initialMs, maxMs };
}

/** P11: under hold, a run that may last longer than the hold could still be running when the next one starts. */
function refuseOverlap(task: NewTask, policy: Policy, wrong: Wrong): void {
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
