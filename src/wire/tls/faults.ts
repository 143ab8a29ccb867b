/** Why a connection could not be secured. */
export interface TlsFault {
  /** Stable within this table. */
  readonly name: string;
  readonly because: string;
  readonly try: string;
  /** Whether trying again soon is of no use, because somebody has to change something first. */
  readonly lasting: boolean;
}

interface Rule extends TlsFault {
  /** Whether the rule is for connections with TLS, or for those without. */
  readonly secured: boolean;
  /** Its group `said`, if any, says more than `because`. */
  readonly when: RegExp;
}

/** What grpc-js and OpenSSL say of a connection that failed, and what it means; the first row that matches. */
const RULES: readonly Rule[] = [
  {
    name: 'plaintext server',
    secured: true,
    when: /wrong version number|packet length too long|record layer failure/,
    because: 'it does not speak TLS',
    try: 'leave out --tls and --tls-ca, or start it with --tls-cert and --tls-key',
    lasting: true,
  },
  {
    name: 'own files',
    secured: true,
    when: /CertificateError: (?<said>.*?)(?: \(\d{4}-\S+\))?\. Resolution note|CertificateError/s,
    because: 'the files for TLS cannot be used',
    try: 'mend the files that --tls-ca, --tls-client-cert and --tls-client-key name; they are read at each attempt',
    lasting: true,
  },
  {
    name: 'other name',
    secured: true,
    when: /ERR_TLS_CERT_ALTNAME_INVALID|does not match certificate/,
    because: 'its certificate is for another name',
    try: 'dial a name that the certificate has, or say which one it has with --tls-server-name',
    lasting: true,
  },
  {
    name: 'expired',
    secured: true,
    when: /certificate has expired|CERT_HAS_EXPIRED/,
    because: 'its certificate has expired',
    try: 'give the coordinator a new one: it reads its files again by itself',
    lasting: true,
  },
  {
    name: 'not yet valid',
    secured: true,
    when: /certificate is not yet valid|CERT_NOT_YET_VALID/,
    because: 'its certificate is not valid yet',
    try: "check this machine's clock",
    lasting: true,
  },
  {
    name: 'unknown authority',
    secured: true,
    when: /unable to (verify|get)|self-signed|self signed|UNABLE_TO|SELF_SIGNED|certificate signature failure/,
    because: 'its certificate is not signed by an authority that is trusted here',
    try: 'name the authority that signed it with --tls-ca FILE',
    lasting: true,
  },
  {
    name: 'certificate wanted',
    secured: true,
    when: /alert number 116|certificate required/,
    because: 'it wants a certificate of its callers',
    try: 'name yours with --tls-client-cert FILE and --tls-client-key FILE',
    lasting: true,
  },
  {
    name: 'certificate refused',
    secured: true,
    when: /alert number 4[2-8]|alert (bad|unsupported|unknown|revoked|expired) c|unknown ca/,
    because: 'it does not accept the certificate of this side',
    try: 'have it signed by an authority of its --tls-client-ca, and see that it has not expired',
    lasting: true,
  },
  {
    name: 'other version',
    secured: true,
    when: /alert number 70|protocol version|no shared cipher|handshake failure/,
    because: 'the two sides have no version of TLS in common: Holdfast speaks TLS 1.3',
    try: 'let both sides speak TLS 1.3',
    lasting: true,
  },
  {
    name: 'closed in the handshake',
    secured: true,
    when: /before secure TLS connection|Failed to connect/,
    because: 'the connection was closed during the handshake or right after it',
    try: 'try again; a coordinator with --tls-client-ca does so to certificates that it does not accept',
    lasting: false,
  },
  {
    name: 'closed without TLS',
    secured: false,
    when: /Failed to connect|Protocol error|ERR_HTTP2/,
    because: 'the connection was closed as soon as it was made',
    try: 'if the coordinator speaks TLS, name the authority of its certificate with --tls-ca FILE (or --tls)',
    lasting: false,
  },
];

/** What the text of a failed connection says of TLS; null when that is not what went wrong. */
export function tlsFaultOf(details: string, secured: boolean): TlsFault | null {
  for (const { secured: meant, when, ...fault } of RULES) {
    const match = meant === secured ? when.exec(details) : null;
    if (match !== null) return { ...fault, because: match.groups?.said ?? fault.because };
  }
  return null;
}
