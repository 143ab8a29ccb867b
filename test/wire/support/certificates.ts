import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkServerIdentity, createSecureContext } from 'node:tls';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';

/** Bytes in the form of DER: a tag, a length, the contents. */
function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  const length =
    body.length < 128
      ? [body.length]
      : body.length < 256
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const COMMON_NAME = oid('550403');
const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));

const nameOf = (text: string): Buffer =>
  sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(text)))));

const time = (ms: number): Buffer =>
  der(0x18, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]|\..*/g, '')}Z`));

const extension = (id: string, critical: boolean, value: Buffer): Buffer =>
  sequence(oid(id), ...(critical ? [der(0x01, Buffer.from([255]))] : []), der(0x04, value));

const pem = (label: string, bytes: Buffer): string => {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
};

/** What a certificate says besides its key. */
export interface Wanted {
  /** `DNS:`, `IP:` (version 4) and `URI:` names. */
  readonly names?: readonly string[];
  readonly validMs?: readonly [from: number, to: number];
}

function alternative(text: string): Buffer {
  const [kind = '', ...rest] = text.split(':');
  const value = rest.join(':');
  if (kind === 'IP') return der(0x87, Buffer.from(value.split('.').map(Number)));
  return der(kind === 'URI' ? 0x86 : 0x82, Buffer.from(value));
}

const HOUR = 3_600_000;

/** An authority of the test's own, and the files of what it signs: all in one folder, gone with `close`. */
export class Authority {
  readonly folder: string;
  readonly caFile: string;
  readonly #name: string;
  readonly #key: KeyObject;

  constructor(name = 'authority') {
    this.folder = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
    this.#name = name;
    this.#key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    this.caFile = this.#write(`${name}.pem`, this.#certificate(name, this.#key, {}, true));
  }

  /** A certificate and its key, as two files; the same name writes over them. */
  issue(name: string, wanted: Wanted = {}): { certFile: string; keyFile: string } {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const certFile = this.#write(`${name}.pem`, this.#certificate(name, privateKey, wanted, false));
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { certFile, keyFile: this.#write(`${name}.key`, key) };
  }

  /** A certificate for the coordinator on this machine. */
  server(wanted: Wanted = {}): { certFile: string; keyFile: string } {
    return this.issue('server', { names: ['DNS:localhost', 'IP:127.0.0.1'], ...wanted });
  }

  /** One for an agent or a caller: its one name is a SPIFFE id. */
  caller(path: string, wanted: Wanted = {}): { certFile: string; keyFile: string } {
    const names = [`URI:spiffe://example.org/${path}`];
    return this.issue(path.replaceAll('/', '-'), { names, ...wanted });
  }

  /** How a caller dials that trusts this authority, with a certificate of its own if it has one. */
  trusting(pair?: { readonly certFile: string; readonly keyFile: string }): ChannelCredentials {
    const own =
      pair === undefined ? {} : { cert: readFileSync(pair.certFile), key: readFileSync(pair.keyFile) };
    const context = createSecureContext({ ca: readFileSync(this.caFile), ...own });
    return credentials.createFromSecureContext(context, {
      checkServerIdentity: (_host, certificate) => checkServerIdentity('localhost', certificate),
    });
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #write(name: string, text: string): string {
    const file = this.path(name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  #certificate(
    subject: string,
    key: KeyObject,
    { names = [], validMs }: Wanted,
    isAuthority: boolean,
  ): string {
    const [from, to] = validMs ?? [Date.now() - HOUR, Date.now() + HOUR];
    const extensions = [
      extension('551d13', true, sequence(...(isAuthority ? [der(0x01, Buffer.from([255]))] : []))),
      ...(names.length === 0 ? [] : [extension('551d11', false, sequence(...names.map(alternative)))]),
    ];
    const body = sequence(
      der(0xa0, der(0x02, Buffer.from([2]))),
      der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
      ECDSA_SHA256,
      nameOf(this.#name),
      sequence(time(from), time(to)),
      nameOf(subject),
      publicOf(key),
      der(0xa3, sequence(...extensions)),
    );
    const signature = sign('sha256', body, this.#key);
    return pem(
      'CERTIFICATE',
      sequence(body, ECDSA_SHA256, der(0x03, Buffer.concat([Buffer.from([0]), signature]))),
    );
  }
}

const publicOf = (key: KeyObject): Buffer => createPublicKey(key).export({ type: 'spki', format: 'der' });
