import type { Draft } from './draft.js';
import type { CallInput } from './inputs.js';

/** An operator limits how many tasks of a queue run at once, or lifts the limit; what runs already goes on. */
export function limitQueue(draft: Draft, call: Extract<CallInput, { kind: 'limit_queue' }>): void {
  const known = draft.queue(call.queue);
  const { queues: limit } = draft.ctx.policy.limits;
  if (known === undefined && draft.state.queues.size + draft.queues.size >= limit) {
    return draft.reply(call.callId, {
      kind: 'refused',
      fault: {
        code: 'TOO_MANY_QUEUES',
        what: `${limit} queues have had limits`,
        because: 'each is kept for ever',
        try: 'use fewer queues',
      },
    });
  }
  const queue = draft.putQueue({ queue: call.queue, version: 0, limit: call.limit });
  draft.reply(call.callId, { kind: 'queue', queue });
}
