import { resolve } from 'node:path';
import { ConfigError, type Problem } from '../config/problem.js';
import type { Config } from '../config/resolve.js';
import type { SettingKey } from '../config/settings.js';
import type { ServerTlsFiles } from '../server/tls.js';
import { CertificateError, readAuthorities, readKeyPair } from '../wire/tls/certificates.js';
import { checkTls, type TlsOptions } from '../wire/tls/dial.js';

/** How agents and clients dial; null for plaintext. Throws ConfigError when a file cannot be used. */
export function clientTlsOf(config: Config, nowMs: number): TlsOptions | null {
  const path = (key: 'tls.ca' | 'tls.clientCert' | 'tls.clientKey'): string | undefined => {
    const given = config.find(key);
    return given === null ? undefined : resolve(given);
  };
  const tls: TlsOptions = {
    caFile: path('tls.ca'),
    certFile: path('tls.clientCert'),
    keyFile: path('tls.clientKey'),
    serverName: config.find('tls.serverName') ?? undefined,
  };
  const meant = Object.values(tls).some((value) => value !== undefined);
  if (!(config.find('tls.enabled') ?? meant)) return null;
  refuseUnusable(() => checkTls(tls, nowMs));
  return tls;
}

/** The files of a coordinator that speaks TLS; null for plaintext. Throws ConfigError when one cannot be used. */
export function serverTlsOf(config: Config, nowMs: number): ServerTlsFiles | null {
  const certFile = config.find('server.tlsCert');
  const keyFile = config.find('server.tlsKey');
  const clientCaFile = config.find('server.tlsClientCa');
  if (certFile === null && keyFile === null && clientCaFile === null) return null;
  if (certFile === null) throw lacking('server.tlsCert', '--tls-cert FILE');
  if (keyFile === null) throw lacking('server.tlsKey', '--tls-key FILE');
  const files = {
    certFile: resolve(certFile),
    keyFile: resolve(keyFile),
    clientCaFile: clientCaFile === null ? null : resolve(clientCaFile),
  };
  refuseUnusable(() => {
    readKeyPair(files.certFile, files.keyFile, nowMs);
    if (files.clientCaFile !== null) readAuthorities(files.clientCaFile, nowMs);
  });
  return files;
}

const lacking = (key: SettingKey, flag: string): ConfigError =>
  new ConfigError([
    {
      what: `${key} is missing`,
      because: 'a coordinator that speaks TLS has a certificate and its private key',
      try: `name the file with ${flag}`,
    },
  ]);

function refuseUnusable(check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    const { what, because, try: advice }: Problem = error;
    throw new ConfigError([{ what, because, try: advice }]);
  }
}
