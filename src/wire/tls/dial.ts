import { isIP, type Socket } from 'node:net';
import { checkServerIdentity, createSecureContext } from 'node:tls';
import { ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js';
import { CertificateError, type KeyPair, readAuthorities, readKeyPair } from './certificates.js';

/** How a coordinator that speaks TLS is dialled. All files are PEM, and read again for each connection. */
export interface TlsOptions {
  /** Authorities of which one must have signed the coordinator's certificate. Default: those that Node trusts. */
  readonly caFile?: string | undefined;
  /** Certificate that says who this side is, for a coordinator that asks; with `keyFile` or not at all. */
  readonly certFile?: string | undefined;
  /** The private key of `certFile`. */
  readonly keyFile?: string | undefined;
  /** Name that the coordinator's certificate must have. Default: the host that is dialled. */
  readonly serverName?: string | undefined;
}

/** What a gRPC client is made of to dial an address. */
export interface Dialling {
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
}

const PLAINTEXT: Dialling = { credentials: credentials.createInsecure(), options: {} };

/** What dialling needs to know, and tells. */
export interface DialHost {
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** The other side has accepted the connection; its handshake is still to come. */
  accepted?(): void;
}

/** How to dial `address` (HOST:PORT): in plaintext when `tls` is null. */
export function dialling(address: string, tls: TlsOptions | null, dialHost: DialHost): Dialling {
  if (tls === null) return PLAINTEXT;
  const host = hostOf(address);
  const name = tls.serverName ?? host;
  return {
    credentials: new FileCredentials(tls, name, dialHost),
    // The handshake may name a host, never an IP address (RFC 6066); what is checked is `name` in any case.
    options: { 'grpc.ssl_target_name_override': isIP(name) === 0 ? name : NAMELESS },
  };
}

const NAMELESS = 'coordinator';

/** Reads every file once, so that a mistake is told before anything is dialled. Throws CertificateError. */
export function checkTls(tls: TlsOptions, nowMs: number): void {
  read(tls, nowMs);
}

interface Read {
  readonly ca: Buffer | undefined;
  readonly pair: KeyPair | undefined;
}

function read({ caFile, certFile, keyFile }: TlsOptions, nowMs: number): Read {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new CertificateError(
      `${certFile === undefined ? 'a private key' : 'a certificate'} is given alone`,
      'neither is of use without the other',
      'name both the certificate and its private key',
    );
  }
  return {
    ca: caFile === undefined ? undefined : readAuthorities(caFile, nowMs),
    pair: certFile === undefined || keyFile === undefined ? undefined : readKeyPair(certFile, keyFile, nowMs),
  };
}

type Connector = ReturnType<ChannelCredentials['_createSecureConnector']>;

/**
 * Credentials that read their files for each connection: certificates live for hours where they are issued by a machine,
 * and a client for weeks.
 */
class FileCredentials extends ChannelCredentials {
  readonly #tls: TlsOptions;
  readonly #name: string;
  readonly #host: DialHost;

  constructor(tls: TlsOptions, name: string, host: DialHost) {
    super();
    this.#tls = tls;
    this.#name = name;
    this.#host = host;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return other === this;
  }

  override _createSecureConnector(...[target, options, calls]: Parameters<Create>): Connector {
    const fresh = (): Connector => this.#fresh()._createSecureConnector(target, options, calls);
    const callCredentials = credentials.createInsecure()._createSecureConnector(target, options, calls);
    return {
      // Not async: what the files are guilty of must come as a rejection all the same.
      connect: (socket: Socket) =>
        new Promise((resolve) => {
          this.#host.accepted?.();
          resolve(fresh().connect(socket));
        }),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials.getCallCredentials(),
      destroy: () => {},
    };
  }

  #fresh(): ChannelCredentials {
    const { ca, pair } = read(this.#tls, this.#host.wallMs());
    const context = createSecureContext({
      ca,
      cert: pair?.cert,
      key: pair?.key,
      minVersion: 'TLSv1.3',
    });
    return credentials.createFromSecureContext(context, {
      checkServerIdentity: (_asked, certificate) => checkServerIdentity(this.#name, certificate),
    });
  }
}

type Create = ChannelCredentials['_createSecureConnector'];

/** `host` of `host:port` and of `[host]:port`. */
const hostOf = (address: string): string => address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
