import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import type { Clock } from '../engine/clock.js';
import type { Timers } from '../engine/timers.js';
import type { Log } from '../kit/log.js';
import { readAuthorities, readKeyPair } from '../wire/tls/certificates.js';

/** The files of a coordinator that speaks TLS; PEM, read again while it runs. */
export interface ServerTlsFiles {
  /** Its certificate, with the intermediate ones behind it. */
  readonly certFile: string;
  /** The private key of `certFile`. */
  readonly keyFile: string;
  /** Authorities of which one must have signed the certificate of every caller; null lets in anybody. */
  readonly clientCaFile: string | null;
}

/** How often the files are looked at. A machine that issues certificates replaces them hours before their end. */
const LOOK_AGAIN_MS = 10_000;
/** A peer that has not finished its handshake by then holds a socket for nothing; agents give up no earlier. */
const HANDSHAKE_MS = 30_000;

/**
 * No session is resumed: a resumed one is not checked against the authorities again, and would outlive both a certificate's
 * end and an authority that was taken out of the file.
 */
const FIXED: SecureContextOptions = { minVersion: 'TLSv1.3', secureOptions: constants.SSL_OP_NO_TICKET };

interface Files {
  readonly context: SecureContextOptions;
  /** The bytes of all files: what was read before is not taken again. */
  readonly fingerprint: string;
  readonly authorities: string;
  readonly notAfterMs: number;
}

/** What certificates are read with. */
export interface TlsHost {
  readonly files: ServerTlsFiles;
  readonly clock: Pick<Clock, 'wall'>;
  readonly timers: Timers;
  readonly log: Log;
  /** Other authorities vouch for callers from now on: those who are here already must come again. */
  authoritiesChanged(): void;
}

/** Certificate and key of the coordinator, exchanged under the running server whenever their files change. */
export class ServerTls extends ServerCredentials {
  readonly #host: TlsHost;
  readonly #timer: { cancel(): void };
  #read: Files;
  /** What was last found wrong with the files, told once. */
  #trouble = '';

  /** Throws CertificateError when the files cannot be used. */
  static open(host: TlsHost): ServerTls {
    return new ServerTls(host, readFiles(host));
  }

  private constructor(host: TlsHost, read: Files) {
    const asks = host.files.clientCaFile !== null;
    super(
      { ...FIXED, requestCert: asks, rejectUnauthorized: asks, handshakeTimeout: HANDSHAKE_MS },
      read.context,
    );
    this.#host = host;
    this.#read = read;
    this.#timer = host.timers.every(LOOK_AGAIN_MS, () => this.reload());
  }

  override _equals(other: ServerCredentials): boolean {
    return other === this;
  }

  /** Whether the certificate that callers are shown is over: nobody new can connect. */
  get expired(): boolean {
    return this.#read.notAfterMs <= (this.#host.clock.wall() as number);
  }

  /** Reads the files; what cannot be used changes nothing, and is told. Open streams go on with what they began with. */
  reload(): void {
    const { log, files } = this.#host;
    let next: Files;
    try {
      next = readFiles(this.#host);
    } catch (error) {
      const text = String(error);
      if (text !== this.#trouble)
        log.error({ event: 'certificate_unusable', error: text }, `${text}; what was read before stays`);
      this.#trouble = text;
      return;
    }
    this.#trouble = '';
    if (next.fingerprint === this.#read.fingerprint) return;
    const others = next.authorities !== this.#read.authorities;
    this.#read = next;
    this.updateSecureContextOptions(next.context);
    const notAfter = new Date(next.notAfterMs).toISOString();
    log.info(
      { event: 'certificate_read', certFile: files.certFile, notAfter },
      'new certificates are in use',
    );
    if (others) this.#host.authoritiesChanged();
  }

  close(): void {
    this.#timer.cancel();
  }
}

function readFiles({ files, clock }: TlsHost): Files {
  const nowMs = clock.wall() as number;
  const { cert, key, notAfterMs } = readKeyPair(files.certFile, files.keyFile, nowMs);
  const ca = files.clientCaFile === null ? undefined : readAuthorities(files.clientCaFile, nowMs);
  const authorities = ca?.toString('latin1') ?? '';
  return {
    context: { ...FIXED, cert: [cert], key: [key], ca },
    fingerprint: [cert.toString('latin1'), key.toString('latin1'), authorities].join('\0'),
    authorities,
    notAfterMs,
  };
}
