import { describe, expect, test } from '@jest/globals';
import { DEFAULT_POLICY } from '../../../src/core/policy.js';
import { bundleIn, inFile, Processor } from './processors.js';
import { DagWorld, dag, task } from './support.js';

const L = 3 * DEFAULT_POLICY.heartbeatIntervalMs;

async function world(): Promise<DagWorld> {
  return DagWorld.with([]);
}

/** Time passes; these go on with their heartbeats. */
async function pass(w: DagWorld, ms: number, ...alive: readonly Processor[]): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    await w.pass(Math.min(1_000, left));
    for (const one of alive) await one.beat();
  }
}

describe('who holds a bundle (P17)', () => {
  test('the first live DAG processor that names a bundle holds it, the others stand by', async () => {
    const w = await world();
    const first = await new Processor(w, 'first').connect();
    const second = await new Processor(w, 'second').connect();
    expect([first.holding(), second.holding()]).toEqual([true, false]);
    expect(bundleIn(w)).toMatchObject({ agentId: 'first', sequence: 0n, hash: '', receivedAt: null });
  });

  test('each bundle of a processor is held apart from the others', async () => {
    const w = await world();
    const first = await new Processor(w, 'first', ['a', 'b']).connect();
    const second = await new Processor(w, 'second', ['b', 'c']).connect();
    expect(first.holds.map(({ bundle, held }) => [bundle, held])).toEqual([
      ['a', true],
      ['b', true],
    ]);
    expect(second.holds.map(({ bundle, held }) => [bundle, held])).toEqual([
      ['b', false],
      ['c', true],
    ]);
  });

  test('a hold lasts over lost streams, for as long as the lease does', async () => {
    const w = await world();
    const first = await new Processor(w, 'first').connect();
    const second = await new Processor(w, 'second').connect();
    await first.lose();
    await pass(w, L - 1_000, second);
    expect(second.holding()).toBe(false);
    await first.connect();
    expect([first.holding(), second.holding()]).toEqual([true, false]);
  });

  test('when the lease of the holder ends the next one by epoch is told to hold it, and what is in force', async () => {
    const w = await world();
    const first = await new Processor(w, 'first').connect();
    const second = await new Processor(w, 'second').connect();
    const third = await new Processor(w, 'third').connect();
    await first.snapshot([inFile(dag('etl', [task('a')]))], { hash: 'of the first' });
    await pass(w, L + 1_000, second, third);
    expect(second.holds.at(-1)).toMatchObject({ held: true, hash: 'of the first' });
    expect(third.holding()).toBe(false);
    expect(w.notes.filter(({ kind }) => kind === 'bundle_held')).toMatchObject([
      { agentId: 'first' },
      { agentId: 'second' },
    ]);
  });

  test('a goodbye of the holder passes the bundle on at once', async () => {
    const w = await world();
    const first = await new Processor(w, 'first').connect();
    const second = await new Processor(w, 'second').connect();
    await first.goodbye();
    expect(second.holding()).toBe(true);
  });

  test('a holder that comes back after its lease stands by behind the one that took over', async () => {
    const w = await world();
    const first = await new Processor(w, 'first').connect();
    const second = await new Processor(w, 'second').connect();
    await pass(w, L + 1_000, second);
    await first.connect(true);
    expect([first.holding(), second.holding()]).toEqual([false, true]);
    await second.goodbye();
    expect(first.holding()).toBe(true);
  });

  test('with no processor left nobody holds it, and whoever comes next does', async () => {
    const w = await world();
    const first = await new Processor(w, 'first').connect();
    await first.goodbye();
    const { epoch } = bundleIn(w);
    expect(w.engine.state.sessions.get(epoch)?.state).not.toBe('live');
    await first.connect(true);
    expect(first.holding()).toBe(true);
    expect(bundleIn(w).epoch).toBeGreaterThan(epoch);
  });

  test('the hold is durable: after a restart of the coordinator it is the same one', async () => {
    const w = await world();
    const first = await new Processor(w, 'first').connect();
    const second = await new Processor(w, 'second').connect();
    await w.restart();
    await second.connect();
    expect(second.holding()).toBe(false);
    await first.connect();
    expect(first.holding()).toBe(true);
  });

  test('the bundles of a session are those of its first Hello', async () => {
    const w = await world();
    await new Processor(w, 'first').connect();
    const second = await new Processor(w, 'second', ['other']).connect();
    await second.connect(false, { bundles: ['main', 'other'] });
    expect(second.holds.map(({ bundle }) => bundle)).toEqual(['other']);
  });

  test('a processor that comes and goes within one batch holds nothing afterwards', async () => {
    const w = await world();
    const first = new Processor(w, 'first');
    first.hello();
    w.engine.put({ kind: 'stream_closed', streamId: first.streamId });
    await w.idle();
    const second = await new Processor(w, 'second').connect();
    expect(second.holding()).toBe(false);
    await pass(w, L + 1_000, second);
    expect(second.holding()).toBe(true);
  });
});
