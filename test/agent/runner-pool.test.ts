import { describe, expect, test } from '@jest/globals';
import type { ChildDeath, HandlerChild } from '../../src/agent/runner/child.js';
import { HandlerPool, type Tenant } from '../../src/agent/runner/pool.js';
import type { HandlerPoolOptions, RunnerMessage, Traces } from '../../src/agent/runner/protocol.js';
import type { RunPorts } from '../../src/agent/runner/run.js';

/** A child without a process: what the pool sees of one. */
class Child {
  readonly pgid: number;
  calls = 0;
  isLoaded = false;
  isNoted = false;
  canBeFollowed = true;
  isLate = false;
  /** What it has said and the pool has not heard. */
  unheard: () => void = () => {};
  residentBytes = 0;
  retired = false;
  looks = 0;
  constructor(pgid: number) {
    this.pgid = pgid;
  }
  catchUp(): void {
    this.unheard();
  }
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
  readonly groups: string[] = [];
  readonly pool: HandlerPool;
  private now = 0;
  private orders = 0;
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
    const guardian = { within: (ms: number) => ({ monoMs: this.now + ms, wallMs: 0, bootMs: 0 }) };
    const send = (message: RunnerMessage): void => {
      if ('pgid' in message) this.groups.push(`${message.kind} ${message.pgid}`);
    };
    const ports = { clock: { setTimer }, guardian, send } as unknown as RunPorts;
    const opening = {
      ready: (names: readonly string[]) => void this.opened.push(`ready ${names.join()}`),
      failed: (text: string) => void this.opened.push(text),
    };
    this.pool = new HandlerPool(all, ports, opening, (id) => {
      const child = new Child(100 + id);
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
    this.pool.noted(this.child(n).pgid);
  }

  /** Runs that come in one turn. */
  acquire(...tenants: readonly Tenant[]): void {
    for (const tenant of tenants) this.pool.acquire(tenant);
    this.pool.serve();
  }

  /** The run that a child is at ends, after so long. */
  ends(n: number, tookMs = 0.1, traces: Partial<Traces> = {}): void {
    const outcome = { kind: 'success', result: null, resultType: '' } as const;
    const all = { wrote: false, spawned: false, stopped: false, ...traces };
    this.pool.word(this.at(n), { kind: 'done', outcome, tookMs, ...all });
  }

  dies(n: number): void {
    this.child(n).retired = true;
    this.pool.dead(this.at(n), DEATH);
  }

  child = (n: number): Child => this.children[n] as Child;
  at = (n: number): HandlerChild => this.children[n] as unknown as HandlerChild;
  released = (n: number): void => this.pool.release(this.at(n));

  tenant(name: string, more: Partial<Tenant> = {}): Tenant {
    const index = (child: HandlerChild) => this.children.indexOf(child as unknown as Child);
    const given = (child: HandlerChild, how: string): boolean => {
      this.child(index(child)).calls++;
      mine = child;
      number = ++this.orders;
      return this.told.push(`${name} ${how} ${index(child)}`) > 0;
    };
    let mine: HandlerChild | null = null;
    let number = 0;
    return {
      ...{ handler: 'echo', isExclusive: false },
      housed: (child) => given(child, 'in'),
      sent: (child) => given(child, 'behind others in'),
      begins: () => void this.told.push(`${name} begins`),
      isNumber: (told) => told === number,
      takenBack: () => this.told.push(`${name} taken back`) > 0,
      homeless: (text) => void this.told.push(`${name} homeless: ${text}`),
      word: (word) => {
        if (word.kind === 'done' && mine !== null) this.pool.release(mine);
      },
      bereaved: ({ how }) => void this.told.push(`${name} bereaved: ${how}`),
      ...more,
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
    scene.acquire(...['a', 'b', 'c', 'd'].map((name) => scene.tenant(name)));
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
    scene.acquire(a, b, c);
    scene.pool.leave(b);
    scene.released(0);
    expect(scene.told).toEqual(['a in 0', 'c in 0']);
  });

  test('a child that is not needed to stay warm goes after 30 s without a call, and no warm one does', () => {
    const scene = new Scene({ warm: 1, most: 2 });
    scene.loads(0);
    scene.acquire(scene.tenant('a'), scene.tenant('b'));
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
    scene.acquire(scene.tenant('a'), scene.tenant('b'));
    scene.released(0);
    expect(scene.child(0).retired).toBe(false);
    scene.released(0);
    expect([scene.child(0).retired, scene.children.length]).toEqual([true, 2]);
    scene.loads(1);
    scene.acquire(scene.tenant('c'));
    scene.child(1).residentBytes = 51 * MIB;
    scene.released(1);
    expect([scene.child(1).retired, scene.children.length]).toEqual([true, 3]);
  });

  test('a module that crashes is loaded again after a second, not in a circle, and who waits is told why', () => {
    const scene = new Scene({ warm: 1, most: 1 });
    scene.loads(0);
    scene.dies(0);
    expect(scene.children).toHaveLength(2);
    scene.acquire(scene.tenant('a'));
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
    scene.acquire(scene.tenant('a'));
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

  test('a child has no call before the agent has journalled its group, and its end is told when it is gone', () => {
    const scene = new Scene({ most: 1 });
    scene.pool.word(scene.at(0), { kind: 'loaded', handlers: ['echo'] });
    scene.acquire(scene.tenant('a'));
    expect([scene.groups, scene.told]).toEqual([['groupMade 101'], []]);
    scene.pool.noted(101);
    expect(scene.told).toEqual(['a in 0']);
    scene.dies(0);
    expect(scene.groups).toEqual(['groupMade 101', 'groupGone 101', 'groupMade 102']);
  });
});

/** One child, whose handler was quick once: `a` runs in it, the others wait for it. */
function quick(names: readonly string[], more: Partial<Tenant> = {}, most = 1): Scene {
  const scene = new Scene({ most });
  scene.loads(0);
  scene.acquire(scene.tenant('first'));
  scene.ends(0);
  scene.told.length = 0;
  scene.acquire(...names.map((name) => scene.tenant(name, more)));
  return scene;
}

describe('calls of quick handlers', () => {
  test('that wait are sent behind another, and begin in their order', () => {
    const scene = quick(['a', 'b', 'c']);
    scene.ends(0);
    scene.ends(0);
    expect(scene.told).toEqual([
      ...['a in 0', 'b behind others in 0', 'c behind others in 0'],
      ...['b begins', 'c begins'],
    ]);
  });

  test('are not sent behind any more when one was slow, or left something to see to', () => {
    for (const end of [{ ms: 30 }, { ms: 0.1, wrote: true }, { ms: 0.1, spawned: true }]) {
      const scene = quick(['a']);
      scene.ends(0, end.ms, end);
      scene.acquire(scene.tenant('b'), scene.tenant('c'));
      expect(scene.told).toEqual(['a in 0', 'b in 0']);
    }
  });

  test('go to one child until it has a millisecond of work, sixteen at most behind one, and then to the next', () => {
    const names = Array.from({ length: 40 }, (_, i) => `t${i}`);
    for (const [ms, behind] of [
      [0.01, 16],
      [0.3, 2],
    ] as const) {
      const scene = new Scene({ warm: 2, runsPerChild: 100 });
      scene.loads(0);
      scene.loads(1);
      scene.acquire(scene.tenant('first'));
      scene.ends(1, ms);
      scene.told.length = 0;
      scene.acquire(...names.map((name) => scene.tenant(name)));
      const count = (child: number) => scene.told.filter((line) => line.endsWith(` ${child}`)).length;
      expect([count(0), count(1)]).toEqual([1 + behind, 1 + behind]);
    }
  });

  test('that must never have two copies have their child to themselves', () => {
    const scene = quick(['a', 'b'], { isExclusive: true });
    expect(scene.told).toEqual(['a in 0']);
  });

  test('are taken back from a child that is busy, and the next that is free has them first', () => {
    const scene = quick(['a', 'b', 'c']);
    scene.acquire(scene.tenant('d'));
    scene.child(0).isLate = true;
    scene.pass(25);
    expect(scene.told.slice(3)).toEqual(['b taken back', 'c taken back']);
    scene.dies(0);
    scene.loads(1);
    expect(scene.told.slice(5)).toEqual([
      'a bereaved: its process ended by SIGKILL',
      'b in 1',
      ...['c behind others in 1', 'd behind others in 1'],
    ]);
  });

  test('are not taken back when the child has said in time that they began', () => {
    const scene = quick(['a', 'b', 'c']);
    scene.child(0).isLate = true;
    scene.child(0).unheard = () => {
      scene.child(0).unheard = () => {};
      scene.ends(0);
    };
    scene.pass(25);
    expect(scene.told.slice(3)).toEqual(['b begins', 'c taken back']);
  });

  test('that a child hands back go to the next that is free, and what it says of them twice changes nothing', () => {
    const scene = quick(['a', 'b', 'c']);
    scene.pool.word(scene.at(0), { kind: 'left', numbers: [3] });
    expect(scene.told.slice(3)).toEqual(['b taken back']);
    scene.ends(0);
    scene.pool.word(scene.at(0), { kind: 'left', numbers: [3] });
    expect(scene.told.slice(4)).toEqual(['c begins', 'b behind others in 0']);
  });

  test('behind one that kills its child are called in another', () => {
    const scene = quick(['a', 'b']);
    scene.dies(0);
    scene.loads(1);
    expect(scene.told.slice(2)).toEqual([
      'a bereaved: its process ended by SIGKILL',
      'b taken back',
      'b in 1',
    ]);
  });
});
