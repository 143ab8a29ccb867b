import { describe, expect, test } from '@jest/globals';
import type { ChildDeath, HandlerChild } from '../../src/agent/runner/child.js';
import { HandlerPool, type Tenant } from '../../src/agent/runner/pool.js';
import type { HandlerPoolOptions } from '../../src/agent/runner/protocol.js';
import type { RunPorts } from '../../src/agent/runner/run.js';

/** A child without a process: what the pool sees of one. */
class Child {
  calls = 0;
  residentBytes = 0;
  retired = false;
  looks = 0;
  kill(): void {
    this.retired = true;
  }
  lookAtMemory(): void {
    this.looks++;
  }
}

interface Alarm {
  readonly at: number;
  readonly ring: () => void;
}

const MIB = 1024 * 1024;
const DEATH: ChildDeath = { how: 'its process ended by SIGKILL', outOfMemory: false };

/** A pool whose children and clock are the test's. */
class Scene {
  readonly children: Child[] = [];
  readonly told: string[] = [];
  readonly opened: string[] = [];
  readonly pool: HandlerPool;
  private now = 0;
  private alarms: Alarm[] = [];

  constructor(options: Partial<HandlerPoolOptions> = {}) {
    const setTimer = (ms: number, ring: () => void) => {
      const alarm = { at: this.now + ms, ring };
      this.alarms.push(alarm);
      const cancel = (): void => {
        this.alarms = this.alarms.filter((one) => one !== alarm);
      };
      return { cancel };
    };
    const all: HandlerPoolOptions = {
      isolation: 'process',
      ...{ module: 'file:///handlers.js', env: {}, warm: 1, most: 2 },
      ...{ runsPerChild: 10, memoryBytes: 100 * MIB },
      ...options,
    };
    const ports = { clock: { setTimer }, send: () => {} } as unknown as RunPorts;
    const opening = {
      ready: (names: readonly string[]) => void this.opened.push(`ready ${names.join()}`),
      failed: (text: string) => void this.opened.push(text),
    };
    this.pool = new HandlerPool(all, ports, opening, () => {
      const child = new Child();
      this.children.push(child);
      return child as unknown as HandlerChild;
    });
  }

  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const next = this.alarms.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.alarms.splice(this.alarms.indexOf(next), 1);
      this.now = next.at;
      next.ring();
    }
    this.now = end;
  }

  loads(n: number): void {
    this.pool.word(this.at(n), { kind: 'loaded', handlers: ['echo'] });
  }

  dies(n: number): void {
    this.child(n).retired = true;
    this.pool.dead(this.at(n), DEATH);
  }

  child = (n: number): Child => this.children[n] as Child;
  at = (n: number): HandlerChild => this.children[n] as unknown as HandlerChild;
  released = (n: number): void => {
    this.child(n).calls++;
    this.pool.release(this.at(n));
  };

  tenant(name: string): Tenant {
    const index = (child: HandlerChild) => this.children.indexOf(child as unknown as Child);
    return {
      housed: (child) => void this.told.push(`${name} in ${index(child)}`),
      homeless: (text) => void this.told.push(`${name} homeless: ${text}`),
      word: () => {},
      bereaved: ({ how }) => void this.told.push(`${name} bereaved: ${how}`),
    };
  }
}

describe('the pool of processes for handlers', () => {
  test('makes one child first, and the other warm ones once it has shown that the module loads', () => {
    const scene = new Scene({ warm: 2 });
    expect(scene.children).toHaveLength(1);
    scene.loads(0);
    expect(scene.opened).toEqual(['ready echo']);
    expect(scene.children).toHaveLength(2);
  });

  test('runs beyond the most children wait, and have the first child that is free, in their order', () => {
    const scene = new Scene({ warm: 1, most: 2 });
    scene.loads(0);
    for (const name of ['a', 'b', 'c', 'd']) scene.pool.acquire(scene.tenant(name));
    expect(scene.children).toHaveLength(2);
    scene.loads(1);
    scene.released(1);
    scene.released(0);
    expect(scene.told).toEqual(['a in 0', 'b in 1', 'c in 1', 'd in 0']);
  });

  test('a run that no longer wants a child gets none', () => {
    const scene = new Scene({ most: 1 });
    scene.loads(0);
    const [a, b, c] = ['a', 'b', 'c'].map((name) => scene.tenant(name)) as [Tenant, Tenant, Tenant];
    for (const one of [a, b, c]) scene.pool.acquire(one);
    scene.pool.leave(b);
    scene.released(0);
    expect(scene.told).toEqual(['a in 0', 'c in 0']);
  });

  test('a child that is not needed to stay warm goes after 30 s without a call, and no warm one does', () => {
    const scene = new Scene({ warm: 1, most: 2 });
    scene.loads(0);
    for (const name of ['a', 'b']) scene.pool.acquire(scene.tenant(name));
    scene.loads(1);
    scene.released(0);
    scene.released(1);
    scene.pass(29_999);
    expect(scene.children.map(({ retired }) => retired)).toEqual([false, false]);
    scene.pass(1);
    scene.pass(60_000);
    expect(scene.children.map(({ retired }) => retired)).toEqual([true, false]);
  });

  test('a child is replaced after its last run, and when it keeps more than half of its memory after one', () => {
    const scene = new Scene({ warm: 1, most: 1, runsPerChild: 2 });
    scene.loads(0);
    scene.released(0);
    expect(scene.child(0).retired).toBe(false);
    scene.released(0);
    expect([scene.child(0).retired, scene.children.length]).toEqual([true, 2]);
    scene.loads(1);
    scene.child(1).residentBytes = 51 * MIB;
    scene.released(1);
    expect([scene.child(1).retired, scene.children.length]).toEqual([true, 3]);
  });

  test('a module that crashes is loaded again after a second, not in a circle, and who waits is told why', () => {
    const scene = new Scene({ warm: 1, most: 1 });
    scene.loads(0);
    scene.dies(0);
    expect(scene.children).toHaveLength(2);
    scene.pool.acquire(scene.tenant('a'));
    scene.dies(1);
    expect(scene.told).toEqual([expect.stringMatching(/^a homeless: .*ended by SIGKILL/)]);
    scene.pass(999);
    expect(scene.children).toHaveLength(2);
    scene.pass(1);
    expect(scene.children).toHaveLength(3);
  });

  test('the first child that cannot load the module says so to the agent that starts', () => {
    const scene = new Scene();
    scene.pool.word(scene.at(0), { kind: 'unusable', text: 'it has no handlers' });
    scene.dies(0);
    expect(scene.opened).toEqual([expect.stringMatching(/is of no use: it has no handlers/)]);
  });

  test('the death of a child is told to its run, and another child is made', () => {
    const scene = new Scene({ warm: 1, most: 1 });
    scene.loads(0);
    scene.pool.acquire(scene.tenant('a'));
    scene.dies(0);
    expect(scene.told).toEqual(['a in 0', 'a bereaved: its process ended by SIGKILL']);
    expect(scene.children).toHaveLength(2);
  });

  test('every child is looked at ten times a second', () => {
    const scene = new Scene();
    scene.pass(1_000);
    expect(scene.child(0).looks).toBe(10);
  });

  test('closing kills every child, and settles when the last is dead', async () => {
    const scene = new Scene({ warm: 2 });
    scene.loads(0);
    const closed = scene.pool.close();
    expect(scene.children.map(({ retired }) => retired)).toEqual([true, true]);
    scene.dies(0);
    scene.dies(1);
    await closed;
    expect(scene.children).toHaveLength(2);
  });
});
