import { Metadata, type ServerUnaryCall, type ServiceError, type sendUnaryData } from '@grpc/grpc-js';
import type { Reply } from '../core/inputs.js';
import type { Unanswered } from '../engine/engine.js';
import type { Log } from '../kit/log.js';
import { CALL_STATUS, type CallCode } from '../wire/status.js';

/** A call that is refused, for a reason the caller can act on. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: CallCode;
  readonly because: string;
  readonly try: string;
  constructor(code: CallCode, what: string, because: string, tryThis: string) {
    super(what);
    this.code = code;
    this.because = because;
    this.try = tryThis;
  }
}

/** A fault as gRPC's error: the stable code, the reason and the advice travel in the trailing metadata. */
export function serviceError(fault: Fault): Partial<ServiceError> {
  const metadata = new Metadata();
  metadata.set('holdfast-code', fault.code);
  metadata.set('holdfast-because', encodeURIComponent(fault.because));
  metadata.set('holdfast-try', encodeURIComponent(fault.try));
  return { code: CALL_STATUS[fault.code], details: fault.message, metadata };
}

/** The fault of anything thrown; what is not ours tells the caller nothing of our insides. */
export function faultOf(error: unknown, log: Log): Fault {
  if (error instanceof Fault) return error;
  log.error({ error: String(error), stack: (error as Error).stack }, 'a call failed');
  return new Fault(
    'INTERNAL',
    'internal error',
    'something that should not happen did; the log has it',
    'try again',
  );
}

/** A unary method from a function: everything thrown becomes a status, nothing ends the process. */
export function unary<Q, S>(log: Log, answer: (request: Q) => Promise<S>) {
  return (call: ServerUnaryCall<Q, S>, callback: sendUnaryData<S>): void => {
    void respond(log, () => answer(call.request), callback);
  };
}

async function respond<S>(log: Log, answer: () => Promise<S>, callback: sendUnaryData<S>): Promise<void> {
  let response: S;
  try {
    // Also what is thrown at once, before there is a promise to reject.
    response = await answer();
  } catch (error) {
    return callback(serviceError(faultOf(error, log)));
  }
  callback(null, response);
}

/** The reply that was asked for; a Fault for every other answer. */
export function expectReply<K extends Reply['kind']>(
  kind: K,
  reply: Reply | Unanswered,
): Extract<Reply, { kind: K }> {
  if (reply.kind === kind) return reply as Extract<Reply, { kind: K }>;
  switch (reply.kind) {
    case 'refused':
      throw new Fault(reply.fault.code, reply.fault.what, reply.fault.because, reply.fault.try);
    case 'overloaded':
      throw new Fault(
        'OVERLOADED',
        'too many calls wait',
        'the inbox of the coordinator is full',
        'try again in a second',
      );
    case 'store_full':
      throw new Fault(
        'STORE_FULL',
        'the store has no space',
        'its disk is full',
        'free some space, then try again',
      );
    case 'stopped':
      throw new Fault(
        'STOPPING',
        'the coordinator is stopping',
        'it was asked to',
        'try again once it is back',
      );
    case 'submitted':
    case 'task':
    case 'agent':
    case 'queue':
    case 'steered':
    case 'run':
    case 'dag':
    case 'pool':
    case 'trigger':
    case 'instances':
    case 'backfill':
    case 'asset_event':
      throw new Error(`a reply of kind ${reply.kind} to a call that wants ${kind}`);
  }
}
