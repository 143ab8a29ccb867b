// What TLS needs in a bench: a certificate of its own making, and how everything that is started here hears of it.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { connect } from '../../dist/client/index.js';

/** A certificate for localhost, valid for a day. */
export function certificate(folder) {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...name, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  });
  return { key, cert };
}

/** From here on coordinators that are started speak TLS, and agents and clients to them: by their environment. */
export function speakTls(folder) {
  const { key, cert } = certificate(folder);
  Object.assign(process.env, { HOLDFAST_TLS_CERT: cert, HOLDFAST_TLS_KEY: key, HOLDFAST_TLS_CA: cert });
}

/** How this run dials; nothing without `--tls`. */
export function tlsOfRun() {
  const caFile = process.env.HOLDFAST_TLS_CA;
  return caFile === undefined ? undefined : { caFile, serverName: 'localhost' };
}

export const dial = (address) => connect(address, { tls: tlsOfRun() });
