import { dagIdOf, type Instance, type Resumption } from '../core/dag/rows.js';
import type { TriggerStart } from '../core/frames.js';
import type { Deferral, Report, TriggerEvent, TriggerFailure } from '../core/inputs.js';
import { NAME_PATTERN } from '../kit/ids.js';
import type * as proto from '../wire/gen/holdfast/v1/agent_service.js';
import { LIMITS } from '../wire/limits.js';
import { durationOf, millisOf } from '../wire/time.js';
import { nameOf, textOf, tokenOf } from './fields.js';

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** What a task waits for; what makes no sense is a failure of its try, because the agent's own protocol is in order. */
export function deferralOf(deferral: proto.Deferral | undefined): Pick<Report, 'deferral'> | RefusedDeferral {
  if (deferral === undefined) return refused('invalid_deferral', 'the deferral says nothing of a trigger');
  const { kind, input, state, timeout } = deferral;
  if (!NAME_PATTERN.test(kind))
    return refused('invalid_deferral', `${JSON.stringify(kind.slice(0, 140))} is no kind of a trigger`);
  const checked: Deferral = {
    kind,
    input: jsonOf(input) ?? '',
    state: state.length === 0 ? '' : (jsonOf(state) ?? ''),
    timeoutMs: millisOf(timeout) ?? null,
  };
  for (const [name, bytes, text] of [
    ['input', input, checked.input],
    ['state', state, checked.state],
  ] as const) {
    if (bytes.length > LIMITS.triggerBytes)
      return refused('deferral_too_large', tooLarge(name, bytes.length));
    if (text === '' && (bytes.length > 0 || name === 'input'))
      return refused('invalid_deferral', `the ${name} of the deferral is not JSON`);
  }
  return { deferral: checked };
}

interface RefusedDeferral {
  readonly kind: 'failed';
  readonly reason: string;
  readonly message: string;
}

function refused(reason: string, message: string): RefusedDeferral {
  return { kind: 'failed', reason, message };
}

function tooLarge(name: string, bytes: number): string {
  return `the ${name} has ${bytes} bytes; at most ${LIMITS.triggerBytes} travel: store it elsewhere and hand on its address`;
}

/** JSON text as it came; null when it is none. */
function jsonOf(bytes: Uint8Array): string | null {
  try {
    const text = UTF8.decode(bytes);
    JSON.parse(text);
    return text;
  } catch {
    return null;
  }
}

/** An event that makes no sense is a failure of its trigger: the stream of all the others goes on. */
export function eventOf(event: proto.TriggerEvent): TriggerEvent {
  const payload = event.payload.length === 0 ? 'null' : jsonOf(event.payload);
  const { triggerId, eventId } = event;
  return {
    triggerId: nameOf('trigger_events.trigger_id', triggerId),
    token: tokenOf('trigger_events.token', event.token),
    eventId: nameOf('trigger_events.event_id', eventId),
    payload: payload ?? 'null',
    failure: failureOf(event, payload !== null),
  };
}

function failureOf({ failure, payload }: proto.TriggerEvent, isJson: boolean): TriggerFailure | null {
  if (failure !== undefined) {
    const reason = textOf(failure.reason, LIMITS.nameLength) || 'trigger_failed';
    return { reason, message: textOf(failure.message, LIMITS.messageLength) };
  }
  if (payload.length > LIMITS.triggerBytes)
    return { reason: 'payload_too_large', message: tooLarge('payload of the event', payload.length) };
  return isJson ? null : { reason: 'invalid_event', message: 'the payload of the event is not JSON' };
}

export function triggerStartOf({ waitedMs, input, ...start }: TriggerStart): proto.TriggerStart {
  return { ...start, input: Buffer.from(input), waited: durationOf(waitedMs) };
}

export function resumptionOf({ event, state }: Resumption): proto.Resumption {
  return { event: Buffer.from(event), state: Buffer.from(state) };
}

export function instanceOf({ run, task, mapIndex }: Instance): proto.TaskInstance {
  const dagId = dagIdOf(run);
  return { dagId, runId: run.slice(dagId.length + 1), taskId: task, mapIndex };
}
