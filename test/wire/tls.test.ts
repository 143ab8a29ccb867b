import { copyFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { realClock } from '../../src/agent/clock.js';
import type { AgentEvent } from '../../src/agent/core/events.js';
import { Link } from '../../src/agent/link.js';
import { connect, type HoldfastError, type TlsOptions } from '../../src/client/index.js';
import { DEFAULT_POLICY } from '../../src/core/policy.js';
import type { Log } from '../../src/kit/log.js';
import { startCoordinator } from '../../src/server/coordinator.js';
import type { Coordinator } from '../../src/server/options.js';
import type { ServerTlsFiles } from '../../src/server/tls.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { Authority } from './support/certificates.js';

setLogVerbosity(logVerbosity.NONE);

const HOUR = 3_600_000;
let ours: Authority;
let others: Authority;
beforeAll(() => {
  ours = new Authority('ours');
  others = new Authority('others');
});
afterAll(() => {
  ours.close();
  others.close();
});

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Started {
  readonly coordinator: Coordinator;
  readonly said: string[];
}

async function start(tls: ServerTlsFiles | null): Promise<Started> {
  const said: string[] = [];
  const say = (_fields: object, text?: string): void => void said.push(text ?? '');
  const log: Log = { debug: () => {}, info: say, warn: say, error: say };
  const coordinator = await startCoordinator({
    ...{ host: '127.0.0.1', port: 0, logDirectory: null, log, tls },
    ...{ store: new MemoryStore(), policy: DEFAULT_POLICY },
  });
  closing.push(() => coordinator.stop());
  return { coordinator, said };
}

const server = (): ServerTlsFiles => ({ ...ours.server(), clientCaFile: null });

/** What a client is told that dials like this: the address that it reached, or why it could not. */
async function told(address: string, tls?: TlsOptions): Promise<string> {
  const client = connect(address, { tls, retry: false });
  try {
    return (await client.coordinator()).coordinatorId === '' ? 'nobody' : 'served';
  } catch (error) {
    const { code, reason } = error as HoldfastError;
    return `${code}: ${reason}`;
  } finally {
    client.close();
  }
}

describe('a coordinator that has a certificate', () => {
  test('serves clients that trust who has signed it, by name and by address', async () => {
    const { coordinator } = await start(server());
    const tls = { caFile: ours.caFile };
    expect(await told(coordinator.address, tls)).toBe('served');
    expect(await told(coordinator.address.replace('127.0.0.1', 'localhost'), tls)).toBe('served');
    expect(await told(coordinator.address, { ...tls, serverName: 'localhost' })).toBe('served');
  });

  test.each<[string, (address: string) => Promise<string>, RegExp]>([
    [
      'trusts other authorities',
      (address) => told(address, { caFile: others.caFile }),
      /^TLS_FAILED: .*not signed by an authority that is trusted here/,
    ],
    [
      'trusts only the authorities of the world',
      (address) => told(address, {}),
      /^TLS_FAILED: .*not signed by an authority that is trusted here/,
    ],
    [
      'wants another name',
      (address) => told(address, { caFile: ours.caFile, serverName: 'elsewhere.example' }),
      /^TLS_FAILED: its certificate is for another name/,
    ],
    [
      'speaks plaintext',
      (address) => told(address),
      /^COORDINATOR_UNREACHABLE: the connection was closed as soon as it was made/,
    ],
  ])('a client that %s is told why it cannot', async (_name, dial, words) => {
    const { coordinator } = await start(server());
    expect(await dial(coordinator.address)).toMatch(words);
  });

  test('a client that speaks TLS to one without is told that it does not', async () => {
    const { coordinator } = await start(null);
    expect(await told(coordinator.address, { caFile: ours.caFile })).toBe(
      'TLS_FAILED: it does not speak TLS',
    );
  });

  test('files that cannot be used are told before anything is dialled', () => {
    const [one, two] = [ours.issue('one'), ours.issue('two')];
    const outdated = ours.issue('outdated', { validMs: [Date.now() - 2 * HOUR, Date.now() - HOUR] });
    const faultOf = (tls: TlsOptions): string => {
      try {
        connect('127.0.0.1:1', { tls }).close();
        return '';
      } catch (error) {
        const { code, what, reason } = error as HoldfastError;
        return `${code}: ${what}: ${reason}`;
      }
    };
    expect(faultOf({ caFile: ours.path('nowhere.pem') })).toMatch(
      /INVALID_OPTIONS: cannot read .*no such file/,
    );
    expect(faultOf({ caFile: one.keyFile })).toMatch(/holds no certificate/);
    expect(faultOf({ certFile: one.certFile })).toMatch(/a certificate is given alone/);
    expect(faultOf({ certFile: one.certFile, keyFile: two.keyFile })).toMatch(/does not belong to/);
    expect(faultOf(outdated)).toMatch(/outdated.pem has expired: it was valid until/);
    expect(faultOf({ caFile: ours.caFile, ...one })).toBe('');
  });
});

describe('a certificate that is replaced while the coordinator runs', () => {
  test('counts for who comes from then on; who is there stays, and what is unusable changes nothing', async () => {
    const files = server();
    const { coordinator, said } = await start(files);
    const before = connect(coordinator.address, { tls: { caFile: ours.caFile }, retry: false });
    closing.push(() => before.close());
    await before.coordinator();

    writeFileSync(files.certFile, 'half a file');
    coordinator.readCertificates();
    coordinator.readCertificates();
    expect(said.filter((line) => line.includes('what was read before stays'))).toHaveLength(1);
    expect(await told(coordinator.address, { caFile: ours.caFile })).toBe('served');

    const replaced = others.server();
    copyFileSync(replaced.keyFile, files.keyFile);
    coordinator.readCertificates();
    expect(await told(coordinator.address, { caFile: ours.caFile })).toBe('served');
    copyFileSync(replaced.certFile, files.certFile);
    coordinator.readCertificates();
    expect(said).toContain('new certificates are in use');
    expect(await told(coordinator.address, { caFile: others.caFile })).toBe('served');
    expect(await told(coordinator.address, { caFile: ours.caFile })).toMatch(/^TLS_FAILED/);
    // The connection from before goes on.
    await before.coordinator();
  });
});

describe('an agent', () => {
  const lost = (
    address: string,
    tls: TlsOptions | null,
  ): Promise<Extract<AgentEvent, { kind: 'stream_lost' }>> =>
    new Promise((resolve) => {
      const happened = (event: AgentEvent): void => {
        if (event.kind === 'stream_lost') resolve(event);
      };
      const listener = { happened, logAcknowledged: () => {}, bundleTold: () => {} };
      const link = new Link(address, realClock, listener, tls);
      closing.push(() => link.hangUp());
      link.dial(1n, 0);
    });

  test('that does not trust the coordinator waits as one that is denied does, and says why', async () => {
    const { coordinator } = await start(server());
    expect(await lost(coordinator.address, { caFile: others.caFile })).toMatchObject({
      denied: true,
      why: expect.stringContaining(
        'not signed by an authority that is trusted here. Try: name the authority',
      ),
    });
  });

  test('that finds nobody, or speaks plaintext to a coordinator with TLS, tries again soon', async () => {
    const { coordinator } = await start(server());
    expect(await lost(coordinator.address, null)).toMatchObject({
      denied: false,
      why: expect.stringContaining('if the coordinator speaks TLS'),
    });
    expect(await lost('127.0.0.1:1', { caFile: ours.caFile })).toMatchObject({
      denied: false,
      why: 'no connection to 127.0.0.1:1',
    });
  });

  test('whose own files have become unusable is told which', async () => {
    const { coordinator } = await start(server());
    const gone = ours.path('gone.pem');
    expect(await lost(coordinator.address, { caFile: gone })).toMatchObject({
      denied: true,
      why: expect.stringContaining(
        `cannot read the authorities file ${gone}: there is no such file. Try: mend`,
      ),
    });
  });

  test('whose connection was accepted leaves the coordinator half a minute for the handshake', async () => {
    // Accepts, and takes as long as it likes.
    const slow = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => slow.once('listening', resolve));
    const { port } = slow.address() as AddressInfo;
    const spoken = new Promise<void>((resolve) => {
      slow.once('connection', (socket) => {
        socket.once('data', () => resolve());
        closing.push(() => {
          socket.destroy();
          slow.close();
        });
      });
    });
    const limits: number[] = [];
    let fire = (): void => {};
    const setTimer = (ms: number, late: () => void) => {
      if (ms === 0) return realClock.setTimer(ms, late);
      limits.push(ms);
      fire = late;
      return { cancel: () => {} };
    };
    const whys: string[] = [];
    const happened = (event: AgentEvent): void => {
      if (event.kind === 'stream_lost') whys.push(event.why);
    };
    const listener = { happened, logAcknowledged: () => {}, bundleTold: () => {} };
    const link = new Link(`127.0.0.1:${port}`, { ...realClock, setTimer }, listener, { caFile: ours.caFile });
    closing.push(() => link.hangUp());
    link.dial(1n, 0);
    await spoken;
    expect(limits).toEqual([10_000, 30_000]);
    fire();
    expect(whys).toEqual([`no answer from 127.0.0.1:${port}`]);
  });
});
