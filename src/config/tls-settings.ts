import { boolean, text } from './kinds.js';
import { setting } from './setting.js';

const file = (flag: string, doc: string, otherwise = 'none') =>
  setting<string>({ flag, kind: text('FILE'), fallback: null, doc, otherwise });

/** How a coordinator proves who it is, and asks the same of its callers. */
export const SERVER_TLS_SETTINGS = {
  'server.tlsCert': file(
    'tls-cert',
    'certificate of the coordinator (PEM, intermediate ones behind it); with --tls-key it speaks TLS 1.3 only',
    'plaintext',
  ),
  'server.tlsKey': file('tls-key', 'private key of --tls-cert (PEM)'),
  'server.tlsClientCa': file(
    'tls-client-ca',
    'authorities (PEM); callers need a certificate that one of them has signed, and are what it says they are',
    'callers are not asked who they are',
  ),
  'server.allowAnonymous': setting({
    flag: 'allow-anonymous',
    kind: boolean,
    fallback: false,
    doc: 'listen beyond this machine with TLS but without --tls-client-ca: anybody who reaches the port may run commands',
  }),
} as const;

/** How agents and clients see to whom they speak, and say who they are. */
export const CLIENT_TLS_SETTINGS = {
  'tls.enabled': setting<boolean>({
    flag: 'tls',
    kind: boolean,
    fallback: null,
    doc: 'speak TLS to the coordinator',
    otherwise: 'true when another --tls- flag is given',
  }),
  'tls.ca': file(
    'tls-ca',
    "authorities of which one has signed the coordinator's certificate (PEM)",
    'those that Node trusts',
  ),
  'tls.clientCert': file('tls-client-cert', 'certificate that says who this agent or caller is (PEM)'),
  'tls.clientKey': file('tls-client-key', 'private key of --tls-client-cert (PEM)'),
  'tls.serverName': setting<string>({
    flag: 'tls-server-name',
    kind: text('NAME'),
    fallback: null,
    doc: "name that the coordinator's certificate must have",
    otherwise: 'the host of --coordinator',
  }),
} as const;
