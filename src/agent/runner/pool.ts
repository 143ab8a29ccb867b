import type { Timer } from '../clock.js';
import { type ChildDeath, type ChildListener, HandlerChild } from './child.js';
import type { ChildWord, HandlerPoolOptions } from './protocol.js';
import type { RunPorts } from './run.js';

/** Who waits for a child, or has one. */
export interface Tenant {
  /** A child is there, and held for it. */
  housed(child: HandlerChild): void;
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
/** The share of its memory that a child may hold on to between two runs; one with more is replaced. */
const KEPT_SHARE = 0.5;

const ENTRY = new URL('../handlers/child.js', import.meta.url);

/**
 * The children that handlers run in: some kept warm, more made when runs wait for one, one run each at a time. A child
 * is replaced after so many runs, when it keeps too much memory, and when it dies; nothing of that is the agent's work.
 */
export class HandlerPool implements ChildListener {
  private readonly options: HandlerPoolOptions;
  private readonly ports: RunPorts;
  private readonly spawnChild: (id: number) => HandlerChild;
  private readonly children = new Set<HandlerChild>();
  private readonly loading = new Set<HandlerChild>();
  private readonly idle: HandlerChild[] = [];
  private readonly tenants = new Map<HandlerChild, Tenant>();
  private readonly waiting: Tenant[] = [];
  private readonly faults = new Map<HandlerChild, string>();
  private opening: PoolOpening | null;
  private made = 0;
  private closed = false;
  private paused = false;
  private timer: Timer | null = null;
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

  /** Answered by `housed` or `homeless`, at once when a child is idle. */
  acquire(tenant: Tenant): void {
    const child = this.idle.pop();
    if (child !== undefined) return this.house(child, tenant);
    this.waiting.push(tenant);
    this.fill();
  }

  /** A run that waits for a child wants none any more. */
  leave(tenant: Tenant): void {
    const at = this.waiting.indexOf(tenant);
    if (at !== -1) this.waiting.splice(at, 1);
  }

  /** The tenant has gone; its child takes the next, unless it has served its time. */
  release(child: HandlerChild): void {
    this.tenants.delete(child);
    if (child.retired) return;
    const kept = child.residentBytes > this.options.memoryBytes * KEPT_SHARE;
    if (kept || child.calls >= this.options.runsPerChild) return this.retire(child);
    const next = this.waiting.shift();
    if (next !== undefined) return this.house(child, next);
    this.idle.push(child);
    this.watchIdle(child);
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
    for (const child of this.children) child.kill();
    if (this.children.size === 0) return;
    await new Promise<void>((resolve) => {
      this.allDead = resolve;
    });
  }

  word(child: HandlerChild, word: ChildWord): void {
    switch (word.kind) {
      case 'loaded':
        this.loading.delete(child);
        this.opening?.ready(word.handlers);
        this.opening = null;
        this.release(child);
        return this.fill();
      case 'unusable':
        this.faults.set(child, word.text);
        return child.kill();
      case 'said':
      case 'done':
        return this.tenants.get(child)?.word(word);
    }
  }

  dead(child: HandlerChild, death: ChildDeath): void {
    this.children.delete(child);
    const at = this.idle.indexOf(child);
    if (at !== -1) this.idle.splice(at, 1);
    const tenant = this.tenants.get(child);
    this.tenants.delete(child);
    if (this.loading.delete(child)) this.notLoaded(this.faults.get(child) ?? death.how);
    else if (tenant !== undefined) tenant.bereaved(death);
    else if (at !== -1 && !this.closed) {
      this.ports.send({ kind: 'note', text: `an idle process for handlers died: ${death.how}` });
    }
    this.faults.delete(child);
    if (this.children.size === 0) this.allDead();
    this.fill();
  }

  private house(child: HandlerChild, tenant: Tenant): void {
    this.tenants.set(child, tenant);
    tenant.housed(child);
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
