import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Files of certificates and keys that cannot be used: what is wrong, why, and what to try. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
  readonly what: string;
  readonly because: string;
  readonly try: string;
  constructor(what: string, because: string, tryThis: string) {
    super(`${what}: ${because}`);
    this.what = what;
    this.because = because;
    this.try = tryThis;
  }
}

/** A certificate with whatever its authority wants sent along, and its private key: both PEM, found to belong together. */
export interface KeyPair {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Milliseconds since 1970 after which the certificate counts for nobody. */
  readonly notAfterMs: number;
}

/** A certificate and its key, both valid at `nowMs`. Throws CertificateError. */
export function readKeyPair(certFile: string, keyFile: string, nowMs: number): KeyPair {
  const cert = readPem(certFile, 'certificate');
  const key = readPem(keyFile, 'private key');
  const leaf = parse(certFile, cert);
  refuseOutdated(certFile, leaf, nowMs);
  let fits: boolean;
  try {
    fits = leaf.checkPrivateKey(createPrivateKey(key));
  } catch {
    throw new CertificateError(
      `the private key ${keyFile} cannot be used`,
      'it is not a private key in PEM form, or a passphrase protects it',
      'give the key as PEM without a passphrase, readable by its owner only',
    );
  }
  if (!fits) {
    throw new CertificateError(
      `the private key ${keyFile} does not belong to the certificate ${certFile}`,
      'the certificate was made for another key',
      'name the two files of one pair; while a pair is replaced, both files must be',
    );
  }
  return { cert, key, notAfterMs: leaf.validToDate.getTime() };
}

/** The certificates of authorities in a file, one of them valid at `nowMs` at least. Throws CertificateError. */
export function readAuthorities(file: string, nowMs: number): Buffer {
  const pem = readPem(file, 'authorities');
  const each = pem.toString('latin1').match(ONE_CERTIFICATE) ?? [];
  const parsed = each.map((text) => parse(file, Buffer.from(text, 'latin1')));
  const [first] = parsed;
  if (first === undefined) return refuse(file);
  // A bundle carries the old authority beside the new one while certificates are replaced.
  if (parsed.every((authority) => authority.validToDate.getTime() <= nowMs))
    refuseOutdated(file, first, nowMs);
  return pem;
}

const ONE_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

function readPem(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CertificateError(
      `cannot read the ${what} file ${file}`,
      code === 'ENOENT' ? 'there is no such file' : message,
      'check the path and its rights',
    );
  }
}

function parse(file: string, pem: Buffer): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    return refuse(file);
  }
}

function refuse(file: string): never {
  throw new CertificateError(
    `the file ${file} holds no certificate`,
    'it has no block that begins with BEGIN CERTIFICATE, or that block is damaged',
    'give certificates in PEM form',
  );
}

function refuseOutdated(file: string, certificate: X509Certificate, nowMs: number): void {
  const { validFromDate, validToDate } = certificate;
  if (validToDate.getTime() <= nowMs) {
    const because = `it was valid until ${validToDate.toISOString()}`;
    throw new CertificateError(`the certificate ${file} has expired`, because, 'put a new one in its place');
  }
  if (validFromDate.getTime() > nowMs) {
    const because = `it is valid from ${validFromDate.toISOString()} on`;
    const check = "check this machine's clock, or wait";
    throw new CertificateError(`the certificate ${file} is not valid yet`, because, check);
  }
}
