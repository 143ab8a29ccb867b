import { NO_EPOCH, NO_TOKEN } from '../../kit/ids.js';
import { invariant } from '../../kit/invariant.js';
import { later } from '../../kit/time.js';
import type { Draft } from '../draft.js';
import { failTry } from '../failure.js';
import type { Deferral, Report, TriggerFailure } from '../inputs.js';
import { about, askedOf, fulfil } from '../requests.js';
import type { OpenPermit, TaskRow } from '../rows.js';
import { leaveQueue, move } from '../task.js';
import type { Json, TriggerTemplate } from './definition.js';
import { fillInput, type Scope } from './fill.js';
import { endUnrun, makeWaiting, type NewInstance } from './instances.js';
import type { TriggerRow } from './rows.js';

/** What travels with a deferral and an event at most. Beyond it the try fails and says so. */
const TRIGGER_LIMITS = {
  /** Bytes of a trigger's input, of the state that is kept, and of an event's payload, each. */
  payloadBytes: 64 * 1024,
} as const;

/** The run has given its slot back until an event (P16): its token closes as by any end. */
export function deferTask(
  draft: Draft,
  task: TaskRow & { readonly open: OpenPermit },
  { deferral, reason, message }: Report,
): void {
  // P15: a deferral is no end; what an operator has asked for must not wait for anything.
  const asked = askedOf(task);
  if (asked !== null) return void fulfil(draft, task, asked);
  const input = deferral === undefined ? null : checkedInput(draft, deferral);
  if (deferral === undefined || input === null) {
    const why = deferral === undefined ? message : `a trigger of kind ${deferral.kind} needs another input`;
    return failTry(draft, task, { ...INVALID, reason: reason || INVALID.reason, message: why });
  }
  const deferred = draft.put(
    move(task, 'deferTask', { ...waiting(draft, task, deferral), reason: deferral.kind }),
    { event: 'deferred', ...about(task.open), reason: deferral.kind },
  );
  putTrigger(draft, deferred, { ...deferral, input });
}

const INVALID = { reason: 'invalid_deferral', exitCode: null, final: false } as const;

/** What is the same of every task that waits for an event, whatever it was before. */
function waiting(draft: Draft, task: TaskRow, { timeoutMs }: Pick<Deferral, 'timeoutMs'>) {
  return {
    ...leaveQueue(task, draft.ctx.service),
    open: null,
    stopRequest: null,
    queuedMs: 0,
    neverStarted: 0,
    resume: null,
    notBefore: timeoutMs === null ? null : later(draft.ctx.service, timeoutMs),
  };
}

/** Of kinds that the core serves, with what it has to remember; null when it cannot be waited for. */
function checkedInput(draft: Draft, { kind, input }: Pick<Deferral, 'kind' | 'input'>): string | null {
  if (kind !== 'asset') return input;
  const { asset } = (JSON.parse(input) ?? {}) as { readonly asset?: unknown };
  if (typeof asset !== 'string' || asset === '') return null;
  return JSON.stringify({ asset, after: draft.dags.asset(asset)?.lastEvent ?? 0 });
}

function putTrigger(draft: Draft, task: TaskRow, deferral: Deferral): TriggerRow {
  return draft.dags.putTrigger({
    // Never used twice: each deferral has added to its task's history.
    triggerId: `${task.taskId}.${task.historyCount}`,
    version: 0,
    taskId: task.taskId,
    kind: deferral.kind,
    input: deferral.input,
    state: deferral.state,
    createdAt: draft.ctx.wall,
    timeoutAt: task.notBefore,
    token: NO_TOKEN,
    epoch: NO_EPOCH,
    agentId: '',
  });
}

/** An instance that waits for an event before its first try. */
export function startWait(
  draft: Draft,
  instance: NewInstance,
  { kind, input: template, timeoutMs }: TriggerTemplate,
  scope: Scope,
): 'left' | 'ended' {
  const filled = fillInput(template, scope);
  const fail = (reason: string, message: string) => {
    endUnrun(draft, instance, { edge: 'failTask', reason, message });
    return 'ended' as const;
  };
  if (!filled.ok) {
    const { what, because, try: advice } = filled.fault;
    return fail('template', `${what}, because ${because}; ${advice}`);
  }
  const text = JSON.stringify(filled.value);
  if (text.length > TRIGGER_LIMITS.payloadBytes) {
    return fail('wait_too_large', `the input of ${kind} has more than ${TRIGGER_LIMITS.payloadBytes} bytes`);
  }
  const input = checkedInput(draft, { kind, input: text });
  if (input === null) return fail('invalid_wait', `a trigger of kind ${kind} needs another input`);
  const row = makeWaiting(draft, instance, kind, timeoutMs);
  putTrigger(draft, row, { kind, input, state: '', timeoutMs });
  return 'left';
}

/** The event of a deferred task has come: it goes on in the same try, an instance once it has room in its pool. */
export function resumeTask(draft: Draft, task: TaskRow, trigger: TriggerRow, payload: string): void {
  invariant(task.taskId === trigger.taskId, 'a trigger resumes its own task');
  const change = { resume: { state: trigger.state, event: payload }, notBefore: null, queuedMs: 0 };
  const happening = { event: 'resumed', reason: trigger.kind } as const;
  if (task.instance !== null) draft.put(move(task, 'resumeInstance', change), happening);
  else draft.put(move(task, 'resumeTask', { ...change, queuedSince: draft.ctx.service }), happening);
}

/** What it waits for does not come: its try fails, and a retry begins from the beginning. */
export function failDeferred(draft: Draft, task: TaskRow, { reason, message }: TriggerFailure): void {
  failTry(draft, task, { reason, message, exitCode: null, final: false });
}

/** The event that an instance has waited for before its first try; undefined before it has come. */
export function eventOf(task: Pick<TaskRow, 'resume'> | undefined): Json | undefined {
  return task?.resume ? (JSON.parse(task.resume.event) as Json) : undefined;
}
