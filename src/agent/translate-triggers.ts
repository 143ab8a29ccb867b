import type { Epoch, TaskId, Token } from '../kit/ids.js';
import type * as proto from '../wire/gen/holdfast/v1/agent_service.js';
import { LIMITS } from '../wire/limits.js';
import { durationOf, millisOf } from '../wire/time.js';
import type { Deferral, Resumption, TriggerEvent, TriggerStart } from './core/messages.js';

const UTF8 = new TextDecoder();

export function deferralOf({ kind, input, state, timeoutMs }: Deferral): proto.Deferral {
  const timeout = timeoutMs === null ? undefined : durationOf(timeoutMs);
  return { kind, input: Buffer.from(input), state: Buffer.from(state), timeout };
}

export function resumptionOf({ event, state }: proto.Resumption): Resumption {
  return { event: event.length === 0 ? 'null' : UTF8.decode(event), state: UTF8.decode(state) };
}

export function triggerStartOf(start: proto.TriggerStart): TriggerStart {
  return {
    triggerId: start.triggerId,
    token: start.token as Token,
    epoch: start.epoch as Epoch,
    kind: start.kind,
    input: UTF8.decode(start.input),
    taskId: start.taskId as TaskId,
    waitedMs: millisOf(start.waited) ?? 0,
  };
}

export function triggerEventOf({ payload, failure, ...event }: TriggerEvent): proto.TriggerEvent {
  return {
    ...event,
    payload: failure === null ? Buffer.from(payload) : Buffer.alloc(0),
    failure:
      failure === null
        ? undefined
        : { reason: failure.reason, message: failure.message.slice(0, LIMITS.messageLength) },
  };
}
