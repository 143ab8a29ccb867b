import type { Timer } from '../clock.js';
import { type ChildDeath, type ChildListener, HandlerChild } from './child.js';
import type { GateEnd } from './guardian.js';
import { Paces } from './paces.js';
import { type ChildWord, type HandlerPoolOptions, isNoisy } from './protocol.js';
import type { RunPorts } from './run.js';

/** Who waits for a child, or has one. */
export interface Tenant {
  readonly handler: string;
  /** It has its child to itself: nothing is sent behind it, nor it behind others. */
  readonly isExclusive: boolean;
  /** A child is there, with nothing else to do. False: it may not start any more, and is over. */
  housed(child: HandlerChild): boolean;
  /** Behind others in a child, where it begins by then or never. False as above. */
  sent(child: HandlerChild, startBy: GateEnd): boolean;
  /** The one before it in its child has ended. */
  begins(): void;
  /** Whether that is the number of its order to the child. */
  isNumber(number: number): boolean;
  /** It has not begun in the child that it was sent to, and will not. False: it wants no other, and is over. */
  takenBack(): boolean;
  /** There will be none. */
  homeless(text: string): void;
  word(word: ChildWord): void;
  /** Its child is dead. */
  bereaved(death: ChildDeath): void;
}

/** How the first child fared. */
export interface PoolOpening {
  ready(handlers: readonly string[]): void;
  failed(text: string): void;
}

/** Between two looks at the memory of the children, in milliseconds. */
const MEMORY_MS = 100;
/** A child that is not needed to stay warm goes after this long without a call, in milliseconds. */
const IDLE_MS = 30_000;
/** After a child that died before it was ready, in milliseconds: a module that crashes must not be loaded in a circle. */
const CRASH_PAUSE_MS = 1_000;
/** Children made at once: more would only make each other slow. */
const MAX_LOADING = 4;
/** A run behind another in its child begins within this time, in milliseconds, or any child that is free has it. */
const FOLLOW_MS = 25;
/**
 * Work of one child at a time, in milliseconds, as far as its handlers were quick until now. So much goes to one child
 * before the next is woken: to wake a process, and to run its code where it is not warm, costs as much.
 */
const AHEAD_MS = 1;
/** Calls behind another at a time: each saves two processes a turn of their loops, and the first few save the most. */
const MOST_AHEAD = 16;
/** The share of its memory that a child may hold on to between two runs; one with more is replaced. */
const KEPT_SHARE = 0.5;

const ENTRY = new URL('../handlers/child.js', import.meta.url);

/**
 * The children that handlers run in: some kept warm, more made when runs wait for one, one run each at a time. Runs of
 * quick handlers that wait are sent behind one another, and taken back when they do not begin at once. A child is replaced
 * after so many runs, when it keeps too much memory, and when it dies; nothing of that is the agent's work.
 */
export class HandlerPool implements ChildListener {
  private readonly options: HandlerPoolOptions;
  private readonly ports: RunPorts;
  private readonly spawnChild: (id: number) => HandlerChild;
  private readonly children = new Set<HandlerChild>();
  private readonly loading = new Set<HandlerChild>();
  private readonly idle: HandlerChild[] = [];
  /** What each child has: first the run that it is at, then those behind it. */
  private readonly tenants = new Map<HandlerChild, Tenant[]>();
  private readonly paces = new Paces();
  private readonly waiting: Tenant[] = [];
  private readonly faults = new Map<HandlerChild, string>();
  private opening: PoolOpening | null;
  private made = 0;
  private closed = false;
  private paused = false;
  private timer: Timer | null = null;
  private following: Timer | null = null;
  private allDead: () => void = () => {};

  /** Makes the first child; the others follow when it has loaded the module. */
  constructor(
    options: HandlerPoolOptions,
    ports: RunPorts,
    opening: PoolOpening,
    spawnChild = (id: number): HandlerChild => new HandlerChild(id, options, ports, this, ENTRY),
  ) {
    this.spawnChild = spawnChild;
    this.options = options;
    this.ports = ports;
    this.opening = opening;
    this.make();
    this.watchMemory();
  }

  /** Answered by `housed` or `homeless`: by the next `serve` when a child is idle. */
  acquire(tenant: Tenant): void {
    this.waiting.push(tenant);
  }

  /** Who waits goes to idle children: all that came in one turn, so that one can have several of them. */
  serve(): void {
    while (this.waiting.length > 0) {
      const child = this.idle.pop();
      if (child === undefined) return this.fill();
      this.occupy(child);
    }
  }

  /** A run that waits for a child wants none any more. */
  leave(tenant: Tenant): void {
    const at = this.waiting.indexOf(tenant);
    if (at !== -1) this.waiting.splice(at, 1);
  }

  /** The run that the child was at has ended: it is at the next, or takes one, unless it has served its time. */
  release(child: HandlerChild): void {
    const behind = this.tenants.get(child) ?? [];
    behind.shift();
    behind[0]?.begins();
    if (child.retired) return;
    if (this.hasServed(child)) {
      if (behind.length === 0) this.retire(child);
    } else this.occupy(child);
  }

  private hasServed(child: HandlerChild): boolean {
    const kept = child.residentBytes > this.options.memoryBytes * KEPT_SHARE;
    return kept || child.calls >= this.options.runsPerChild;
  }

  /** Gives the child what waits: a run if it has none, and some behind it. Once at its last run, it is given more. */
  private occupy(child: HandlerChild): void {
    const has = this.tenantsOf(child);
    while (has.length === 0) {
      const next = this.waiting.shift();
      if (next === undefined) {
        this.idle.push(child);
        return this.watchIdle(child);
      }
      if (next.housed(child)) has.push(next);
    }
    if (has.length === 1) this.send(child, has);
  }

  private tenantsOf(child: HandlerChild): Tenant[] {
    const has = this.tenants.get(child) ?? [];
    this.tenants.set(child, has);
    return has;
  }

  /** Nobody waits behind more than a moment's work. */
  private send(child: HandlerChild, has: Tenant[]): void {
    if (this.waiting.length === 0 || !child.canBeFollowed || has[0]?.isExclusive) return;
    const startBy = this.ports.guardian.within(FOLLOW_MS);
    let work = this.paces.of(has[0]?.handler ?? '');
    for (let most = MOST_AHEAD; most > 0 && child.calls < this.options.runsPerChild; most--) {
      const [next] = this.waiting;
      if (next === undefined || next.isExclusive) break;
      work += this.paces.of(next.handler);
      if (work > AHEAD_MS) break;
      this.waiting.shift();
      if (next.sent(child, startBy)) has.push(next);
    }
    if (has.length > 1) this.watchFollowers();
  }

  /** A child that is busy cannot hand anything back; but what was not begun in time never will be. */
  private watchFollowers(): void {
    this.following ??= this.ports.clock.setTimer(FOLLOW_MS, () => {
      this.following = null;
      for (const [child, has] of this.tenants) if (has.length > 1) this.takeLate(child);
    });
  }

  private takeLate(child: HandlerChild): void {
    if (!child.isLate) return this.watchFollowers();
    // What it has told of the runs before them comes first: one of them may have begun in time.
    child.catchUp();
    if (child.isLate) this.takeBack(this.tenantsOf(child).splice(1));
    else this.watchFollowers();
  }

  /** In front of what waits, in their order. */
  private takeBack(tenants: readonly Tenant[]): void {
    this.waiting.unshift(...tenants.filter((tenant) => tenant.takenBack()));
    this.serve();
  }

  private leftBy(child: HandlerChild, numbers: readonly number[]): void {
    const has = this.tenantsOf(child);
    const isLeft = (tenant: Tenant): boolean => numbers.some((number) => tenant.isNumber(number));
    const left = has.filter(isLeft);
    if (left.length === 0) return;
    const stay = has.filter((tenant) => !isLeft(tenant));
    this.tenants.set(child, stay);
    if (stay[0] !== has[0]) stay[0]?.begins();
    this.takeBack(left);
    if (stay.length === 0 && !child.retired) this.release(child);
  }

  /** Kills a child and makes another where one is needed. */
  retire(child: HandlerChild): void {
    const at = this.idle.indexOf(child);
    if (at !== -1) this.idle.splice(at, 1);
    child.kill();
    this.fill();
  }

  /** Settles when every child is dead. */
  async close(): Promise<void> {
    this.closed = true;
    this.timer?.cancel();
    this.following?.cancel();
    for (const child of this.children) child.kill();
    if (this.children.size === 0) return;
    await new Promise<void>((resolve) => {
      this.allDead = resolve;
    });
  }

  word(child: HandlerChild, word: ChildWord): void {
    switch (word.kind) {
      case 'loaded':
        child.isLoaded = true;
        this.opening?.ready(word.handlers);
        this.opening = null;
        return this.enter(child);
      case 'unusable':
        this.faults.set(child, word.text);
        return child.kill();
      case 'left':
        return this.leftBy(child, word.numbers);
      case 'done':
        this.pace(child, word);
        return this.tenants.get(child)?.[0]?.word(word);
      case 'said':
        return this.tenants.get(child)?.[0]?.word(word);
    }
  }

  private pace(child: HandlerChild, word: Extract<ChildWord, { kind: 'done' }>): void {
    const handler = this.tenants.get(child)?.[0]?.handler;
    if (handler !== undefined) this.paces.took(handler, word.tookMs, isNoisy(word));
  }

  /** The agent has journalled the group. */
  noted(pgid: number): void {
    for (const child of this.children) {
      if (child.pgid !== pgid || child.isNoted) continue;
      child.isNoted = true;
      this.enter(child);
    }
  }

  private enter(child: HandlerChild): void {
    if (!child.isLoaded || !child.isNoted || !this.loading.delete(child)) return this.fill();
    if (!child.retired) this.release(child);
    this.fill();
  }

  dead(child: HandlerChild, death: ChildDeath): void {
    this.children.delete(child);
    const at = this.idle.indexOf(child);
    if (at !== -1) this.idle.splice(at, 1);
    const [tenant, ...behind] = this.tenants.get(child) ?? [];
    this.tenants.delete(child);
    this.ports.send({ kind: 'groupGone', pgid: child.pgid });
    const wasLoading = this.loading.delete(child);
    if (wasLoading && !child.isLoaded) this.notLoaded(this.faults.get(child) ?? death.how);
    else if (tenant !== undefined) tenant.bereaved(death);
    else if (at !== -1 && !this.closed) {
      this.ports.send({ kind: 'note', text: `an idle process for handlers died: ${death.how}` });
    }
    this.faults.delete(child);
    if (this.children.size === 0) this.allDead();
    this.takeBack(behind);
    this.fill();
  }

  /** Whoever waits for this child is told why there is none: the next run may find the module mended. */
  private notLoaded(how: string): void {
    const text = `the handlers module ${this.options.module} is of no use: ${how}`;
    this.opening?.failed(text);
    this.opening = null;
    for (const tenant of this.waiting.splice(0)) tenant.homeless(text);
    this.paused = true;
    this.ports.clock.setTimer(CRASH_PAUSE_MS, () => {
      this.paused = false;
      this.fill();
    });
  }

  /** As many children as are to be warm, and one on the way for each run that waits. */
  private fill(): void {
    if (this.closed || this.paused || this.opening !== null) return;
    while (this.loading.size < MAX_LOADING && this.wantsMore()) if (!this.make()) return;
  }

  /** Without those that are dying: they are as good as gone. */
  private get living(): number {
    let living = 0;
    for (const { retired } of this.children) if (!retired) living++;
    return living;
  }

  private wantsMore(): boolean {
    const { warm, most } = this.options;
    const { living } = this;
    return living < warm || (living < most && this.loading.size < this.waiting.length);
  }

  private make(): boolean {
    try {
      const child = this.spawnChild(++this.made);
      this.children.add(child);
      this.loading.add(child);
      this.ports.send({ kind: 'groupMade', pgid: child.pgid });
      return true;
    } catch (error) {
      this.notLoaded((error as Error).message);
      return false;
    }
  }

  private watchIdle(child: HandlerChild): void {
    if (this.living <= this.options.warm) return;
    const { calls } = child;
    this.ports.clock.setTimer(IDLE_MS, () => {
      const unused = child.calls === calls && this.idle.includes(child);
      if (unused && this.living > this.options.warm) this.retire(child);
    });
  }

  private watchMemory(): void {
    this.timer = this.ports.clock.setTimer(MEMORY_MS, () => {
      for (const child of this.children) child.lookAtMemory();
      if (!this.closed) this.watchMemory();
    });
  }
}
