import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';

interface Run {
  readonly taskId: string;
  readonly token: string;
  readonly agentId: string;
  readonly from: number;
  readonly until: number;
  readonly end: string;
}
interface Proxy {
  readonly address: string;
  cut(): void;
  heal(): void;
  close(): void;
}

// Scripts have no types; what is used of them is said here.
const scripts = '../../scripts/demo';
const { Footprints, overlapsOf } = (await import(`${scripts}/footprints.mjs`)) as {
  Footprints: new (file: string) => { refresh(): { runs: Map<string, Run> }; openOn(agentId: string): Run[] };
  overlapsOf: (runs: readonly Run[]) => readonly (readonly [Run, Run])[];
};
const { openProxy } = (await import(`${scripts}/proxy.mjs`)) as {
  openProxy: (target: string) => Promise<Proxy>;
};

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanUp.splice(0)) clean();
});

describe('two runs of one task at the same time are seen', () => {
  const run = (taskId: string, token: string, from: number, until: number, end = 'end'): Run => ({
    taskId,
    token,
    agentId: 'w',
    from,
    until,
    end,
  });

  test.each<[string, readonly Run[], number]>([
    ['one after the other', [run('a', '1', 0, 1_000), run('a', '2', 1_000, 2_000)], 0],
    ['both at once', [run('a', '1', 0, 1_001), run('a', '2', 1_000, 2_000)], 1],
    ['one within the other, told in another order', [run('a', '2', 500, 600), run('a', '1', 0, 1_000)], 1],
    ['runs of different tasks', [run('a', '1', 0, 1_000), run('b', '2', 0, 1_000)], 0],
    ['killed shortly before the other', [run('a', '1', 0, 950, ''), run('a', '2', 1_000, 2_000)], 1],
    ['killed well before the other', [run('a', '1', 0, 800, ''), run('a', '2', 1_000, 2_000)], 0],
  ])('%s', (_, runs, pairs) => {
    expect(overlapsOf(runs)).toHaveLength(pairs);
  });

  test('footprints are read as they grow, half a line waits for its rest', () => {
    const folder = mkdtempSync(join(tmpdir(), 'footprints-'));
    cleanUp.push(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'file');
    const mark = (what: string, at: number): string =>
      `${JSON.stringify({ what, at, taskId: 'a', token: '7', agentId: 'w' })}\n`;
    const footprints = new Footprints(file);
    expect(footprints.refresh().runs.size).toBe(0);
    const text = mark('start', 5) + mark('alive', 105) + mark('end', 200);
    writeFileSync(file, text.slice(0, -10));
    footprints.refresh();
    expect(footprints.openOn('w')).toMatchObject([{ from: 5, until: 105, end: '' }]);
    writeFileSync(file, text);
    expect(footprints.refresh().runs.get('7')).toMatchObject({ from: 5, until: 200, end: 'end' });
    expect(footprints.openOn('w')).toEqual([]);
  });
});

describe('a cut network', () => {
  async function stand() {
    const echo = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    await new Promise((resolve) => echo.once('listening', resolve));
    const proxy = await openProxy(`127.0.0.1:${(echo.address() as { port: number }).port}`);
    cleanUp.push(() => {
      proxy.close();
      echo.close();
    });
    return proxy;
  }
  function dial(proxy: Proxy): {
    socket: Socket;
    heard: () => string;
    until: (text: string) => Promise<void>;
  } {
    const [host, port] = proxy.address.split(':');
    const socket = connect(Number(port), host);
    cleanUp.push(() => socket.destroy());
    let heard = '';
    socket.on('data', (data) => {
      heard += String(data);
    });
    const until = async (text: string): Promise<void> => {
      while (heard !== text) await new Promise((resolve) => socket.once('data', resolve));
    };
    return { socket, heard: () => heard, until };
  }

  test('keeps every byte, of old and new connections, until it is healed', async () => {
    const proxy = await stand();
    const old = dial(proxy);
    old.socket.write('a');
    await old.until('a');
    proxy.cut();
    old.socket.write('b');
    const fresh = dial(proxy);
    await new Promise((resolve) => fresh.socket.once('connect', resolve));
    fresh.socket.write('c');
    // Another connection, past the proxy, comes round meanwhile: time enough for what must not pass.
    const other = dial(await stand());
    other.socket.write('x');
    await other.until('x');
    expect([old.heard(), fresh.heard()]).toEqual(['a', '']);
    expect([old.socket.destroyed, fresh.socket.destroyed]).toEqual([false, false]);
    proxy.heal();
    await Promise.all([old.until('ab'), fresh.until('c')]);
  });
});
