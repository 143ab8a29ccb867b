import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ConfigError } from '../../src/config/problem.js';
import { type Config, resolveConfig, type Sources } from '../../src/config/resolve.js';
import { clientTlsOf, serverTlsOf } from '../../src/main/tls.js';
import { Authority } from '../wire/support/certificates.js';

let authority: Authority;
beforeAll(() => {
  authority = new Authority();
});
afterAll(() => authority.close());

const read = (flags: Sources['flags'], env: NodeJS.ProcessEnv = {}): Promise<Config> =>
  resolveConfig({
    flags,
    env,
    cwd: authority.folder,
    home: authority.folder,
    configFile: undefined,
    defaults: {},
  });

const problemOf = (run: () => unknown): string => {
  try {
    run();
    return '';
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ what, because, try: advice }) => `${what}: ${because}. ${advice}`).join();
  }
};

const HOUR = 3_600_000;

describe('agents and callers speak TLS', () => {
  test('when any of its flags or variables is given, unless one says that they do not', async () => {
    const { caFile } = authority;
    expect(clientTlsOf(await read({}), Date.now())).toBeNull();
    expect(clientTlsOf(await read({ 'tls.enabled': 'true' }), Date.now())).toEqual({});
    expect(clientTlsOf(await read({}, { HOLDFAST_TLS_CA: caFile }), Date.now())).toEqual({ caFile });
    const off = await read({ 'tls.enabled': 'false' }, { HOLDFAST_TLS_CA: '/nowhere' });
    expect(clientTlsOf(off, Date.now())).toBeNull();
  });

  test('with files that are there and belong together', async () => {
    const { certFile } = authority.issue('caller');
    const alone = await read({ 'tls.clientCert': certFile });
    expect(problemOf(() => clientTlsOf(alone, Date.now()))).toMatch(/a certificate is given alone/);
    const absent = await read({ 'tls.ca': '/nowhere/ca.pem' });
    expect(problemOf(() => clientTlsOf(absent, Date.now()))).toMatch(/cannot read .*: there is no such file/);
  });
});

describe('a coordinator speaks TLS', () => {
  test('when it is given a certificate with its key, each of which has to be there', async () => {
    const { certFile, keyFile } = authority.server();
    const flags = { 'server.tlsCert': certFile, 'server.tlsKey': keyFile };
    expect(serverTlsOf(await read({}), Date.now())).toBeNull();
    expect(serverTlsOf(await read(flags), Date.now())).toEqual({ certFile, keyFile, clientCaFile: null });
    const alone = await read({ 'server.tlsClientCa': authority.caFile });
    expect(problemOf(() => serverTlsOf(alone, Date.now()))).toMatch(
      /server.tlsCert is missing.*--tls-cert FILE/,
    );
    const keyless = await read({ 'server.tlsCert': certFile });
    expect(problemOf(() => serverTlsOf(keyless, Date.now()))).toMatch(/server.tlsKey is missing/);
  });

  test('and does not start with a key of another certificate, or a certificate that is over or yet to come', async () => {
    const { certFile, keyFile } = authority.server();
    const other = authority.issue('other').keyFile;
    const pair = await read({ 'server.tlsCert': certFile, 'server.tlsKey': other });
    expect(problemOf(() => serverTlsOf(pair, Date.now()))).toMatch(/does not belong to the certificate/);
    const good = await read({ 'server.tlsCert': certFile, 'server.tlsKey': keyFile });
    expect(problemOf(() => serverTlsOf(good, Date.now() + 2 * HOUR))).toMatch(
      /has expired: it was valid until/,
    );
    expect(problemOf(() => serverTlsOf(good, Date.now() - 2 * HOUR))).toMatch(
      /not valid yet: it is valid from/,
    );
  });
});
