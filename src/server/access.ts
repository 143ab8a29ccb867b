import {
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
} from '@grpc/grpc-js';
import type { AgentKind } from '../core/rows.js';
import type { Clock } from '../engine/clock.js';
import type { Log } from '../kit/log.js';
import { between, type MonoMs } from '../kit/time.js';
import { type Caller, callerOf, type Role } from './callers.js';
import { Fault, serviceError } from './fault.js';

interface Rule {
  readonly name: string;
  /** Path of the method, `/package.Service/Method`. */
  readonly when: RegExp;
  readonly then: readonly Role[] | 'everybody';
}

/** Who may call what, where callers say who they are: the first row that matches. What no row matches, nobody may. */
const RULES: readonly Rule[] = [
  {
    name: 'whether it serves is told to everybody whom an authority vouches for',
    when: /^\/grpc\.health\.v1\.Health\//,
    then: 'everybody',
  },
  {
    name: 'agents, and nobody else, open the stream of an agent',
    when: /^\/holdfast\.v1\.AgentService\//,
    then: ['agent'],
  },
  {
    name: 'viewers and operators read',
    when: /^\/holdfast\.v1\.(Task|Dag|Fleet)Service\/(Get|List|Describe|Explain|Watch|Read)[A-Z]/,
    then: ['viewer', 'operator'],
  },
  {
    name: 'operators do everything else of the public API',
    when: /^\/holdfast\.v1\.(Task|Dag|Fleet)Service\//,
    then: ['operator'],
  },
];

/** Why `caller` may not call the method at `path`; null when it may. */
export function refuseCall(path: string, caller: Caller, nowMs: number): Fault | null {
  switch (caller.kind) {
    case 'anybody':
      return null;
    case 'stranger':
      return allowed(path) === 'everybody' ? null : unknownCaller(caller.why);
    case 'agent':
    case 'operator':
    case 'viewer': {
      if (caller.notAfterMs <= nowMs) return unknownCaller('it has expired since the connection was made');
      const roles = allowed(path);
      return roles === 'everybody' || roles.includes(caller.kind) ? null : denied(path, caller.kind);
    }
  }
}

const allowed = (path: string): Rule['then'] => RULES.find(({ when }) => when.test(path))?.then ?? [];

const unknownCaller = (why: string): Fault =>
  new Fault(
    'UNAUTHENTICATED',
    'the certificate of this call names nobody who is known here',
    why,
    'use a certificate whose alternative name is a spiffe:// URI of an agent, an operator or a viewer',
  );

function denied(path: string, role: Role): Fault {
  const roles = allowed(path);
  const who =
    roles.length === 0 ? 'nobody' : (roles as readonly Role[]).map((each) => `${each}s`).join(' and ');
  return new Fault(
    'PERMISSION_DENIED',
    `${path} is not for ${role}s`,
    `it may be called by ${who}`,
    'call with another certificate, whose name says so',
  );
}

/** Why a Hello is not its sender's to say; null when it is. Judged before anything is known of it elsewhere. */
export function refuseHello(
  caller: Caller,
  hello: { readonly agentId: string; readonly kind: AgentKind },
): string | null {
  if (caller.kind === 'anybody') return null;
  if (caller.kind !== 'agent') return 'the certificate of this stream is not that of an agent';
  if (caller.agentId !== hello.agentId) {
    return `the certificate of this stream is that of agent ${caller.agentId}, not of ${hello.agentId}`;
  }
  if (caller.agentKind === null || caller.agentKind === hello.kind) return null;
  return `the certificate of this stream is for a ${caller.agentKind}, and agent ${hello.agentId} is a ${hello.kind}`;
}

/** Between two lines about callers that are turned away: each may come as often as it likes. */
const COMPLAINT_MS = 1_000;

/** Turns calls away before their first message is read. Calls that are let through are not looked at again. */
export function doorkeeper(clock: Pick<Clock, 'wall' | 'mono'>, log: Log): ServerInterceptor {
  let toldAt: MonoMs | null = null;
  let untold = 0;
  const tell = (path: string, caller: Caller, { code, because }: Fault): void => {
    const now = clock.mono();
    if (toldAt !== null && between(toldAt, now) < COMPLAINT_MS) return void untold++;
    const name = 'name' in caller ? caller.name : '';
    log.warn({ event: 'call_refused', code, path, caller: name, because, untold }, 'a call was turned away');
    [toldAt, untold] = [now, 0];
  };
  return ({ path }, call) => {
    const caller = callerOf(call.getAuthContext(), true);
    const fault = refuseCall(path, caller, clock.wall() as number);
    // A wrapper would see every message of every stream, and has nothing to say to them.
    if (fault === null) return call as ServerInterceptingCall;
    tell(path, caller, fault);
    // The answer takes the place of the metadata: without them the library does not call the method.
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata(() =>
        call.sendStatus(serviceError(fault) as Parameters<typeof call.sendStatus>[0]),
      )
      .build();
    const responder = new ResponderBuilder().withStart((next) => next(listener)).build();
    return new ServerInterceptingCall(call, responder);
  };
}
