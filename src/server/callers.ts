import type { AgentKind } from '../core/rows.js';
import { NAME_PATTERN } from '../kit/ids.js';
import type { AgentCall } from './outbox.js';

/** What callers may be. Nobody is two of them. */
export type Role = 'agent' | 'operator' | 'viewer';

/** Who calls, on the word of an authority: from the certificate alone, never from what a message says. */
export type Caller =
  /** The coordinator asks nobody who they are. */
  | { readonly kind: 'anybody' }
  /** A certificate of an authority of ours that names nobody whom we know. */
  | { readonly kind: 'stranger'; readonly why: string }
  | ({ readonly kind: 'agent' } & AgentIdentity & Vouched)
  | ({ readonly kind: 'operator' } & Vouched)
  | ({ readonly kind: 'viewer' } & Vouched);

interface AgentIdentity {
  readonly agentId: string;
  /** Null: an agent of any kind. */
  readonly agentKind: AgentKind | null;
}

interface Vouched {
  /** The name in the certificate, for the log. */
  readonly name: string;
  /** Milliseconds since 1970 after which it counts no more. */
  readonly notAfterMs: number;
}

const ANYBODY: Caller = { kind: 'anybody' };

const KINDS: Readonly<Record<string, AgentKind | null>> = {
  any: null,
  worker: 'worker',
  triggerer: 'triggerer',
  'dag-processor': 'dag_processor',
};

/** What the connection of a call is known by. */
type AuthContext = ReturnType<AgentCall['getAuthContext']>;
type Certificate = NonNullable<AuthContext['sslPeerCertificate']>;

/** Who is at the other end of a connection; `asks`: whether this coordinator wants certificates. */
export function callerOf(context: AuthContext, asks: boolean): Caller {
  if (!asks) return ANYBODY;
  const certificate = context.sslPeerCertificate;
  return certificate === undefined ? stranger('there is no certificate') : callerNamed(certificate);
}

const stranger = (why: string): Caller => ({ kind: 'stranger', why });

/** The caller that a verified certificate names. */
export function callerNamed({
  subjectaltname = '',
  valid_to,
}: Pick<Certificate, 'subjectaltname' | 'valid_to'>): Caller {
  // Quotes appear around names made to look like several; no name that counts here needs any.
  if (subjectaltname.includes('"')) return stranger('its alternative names are malformed');
  const names = subjectaltname.split(', ').flatMap((each) => /^URI:(spiffe:\/\/.*)$/.exec(each)?.[1] ?? []);
  const [name] = names;
  if (name === undefined || names.length > 1) {
    return stranger(`it has ${names.length} names that begin with spiffe://, and must have one`);
  }
  const vouched = { name, notAfterMs: Date.parse(valid_to) };
  const [, role, ...rest] = name.slice('spiffe://'.length).split('/');
  if ((role === 'operator' || role === 'viewer') && rest.length <= 1) return { kind: role, ...vouched };
  const [kind = '', agentId = ''] = rest;
  if (role !== 'agent' || rest.length !== 2 || !Object.hasOwn(KINDS, kind) || !NAME_PATTERN.test(agentId)) {
    return stranger(`${name} is none of /agent/KIND/AGENT_ID, /operator and /viewer`);
  }
  return { kind: 'agent', agentId, agentKind: KINDS[kind] ?? null, ...vouched };
}
