import type { Instant } from '../../agent/core/gate.js';
import type { BootMs, MonoMs, WallMs } from '../../kit/time.js';
import type { EventQueue, Scheduled } from './events.js';

/** Linux tells the time since boot in steps of this. */
const BOOT_STEP_MS = 10;

/** A machine: clocks with a rate and an offset of their own, and a suspend that stops one of them (P2). */
export class Host {
  readonly events: EventQueue;
  /** Milliseconds of the monotonic clock per true millisecond. */
  readonly rate: number;
  /** It has a clock that goes on in its sleep and that nobody sets. */
  readonly countsSleep: boolean;
  #monoAt: number;
  #trueAt = 0;
  #wallOffset: number;
  readonly #firstOffset: number;
  #suspended = false;
  /** How often the machine was suspended: what ran over it is out of the model of bounded pauses. */
  suspends = 0;
  #frozen: (() => void)[] = [];

  constructor(
    events: EventQueue,
    clocks: { readonly rate: number; readonly countsSleep: boolean },
    wallOffset: number,
    monoStart: number,
  ) {
    this.events = events;
    this.rate = clocks.rate;
    this.countsSleep = clocks.countsSleep;
    this.#wallOffset = wallOffset;
    this.#firstOffset = wallOffset;
    this.#monoAt = monoStart;
    this.#trueAt = events.now;
  }

  get suspended(): boolean {
    return this.#suspended;
  }

  mono(): MonoMs {
    const ran = this.#suspended ? 0 : (this.events.now - this.#trueAt) * this.rate;
    return (this.#monoAt + ran) as MonoMs;
  }

  wall(): WallMs {
    return (1_800_000_000_000 + this.events.now * this.rate + this.#wallOffset) as WallMs;
  }

  boot(): BootMs {
    if (!this.countsSleep) return this.mono() as number as BootMs;
    const ms = this.events.now * this.rate;
    return (ms - (ms % BOOT_STEP_MS)) as BootMs;
  }

  instant(): Instant {
    return { mono: this.mono(), wall: this.wall(), boot: this.boot() };
  }

  /** Without a clock that counts its sleep a machine whose wall clock is set back may not sleep: such ones only jump ahead. */
  jumpWall(ms: number): void {
    this.#wallOffset += this.countsSleep ? ms : Math.abs(ms);
  }

  /** The wall clock as if it had never jumped: what everybody else takes for the time of day. */
  rightWall(): WallMs {
    return ((this.wall() as number) - this.#wallOffset + this.#firstOffset) as WallMs;
  }

  /** Somebody sets the wall clock right. */
  mendWall(): void {
    this.#wallOffset = this.#firstOffset;
  }

  /** Runs `task` once `ms` of the monotonic clock have passed: later, if the machine is suspended meanwhile. */
  timer(ms: number, task: () => void): Scheduled {
    const timer = new Timer((this.mono() as number) + ms, task);
    const arm = () => this.#arm(timer, arm);
    timer.scheduled = this.events.after(Math.max(0, ms) / this.rate, arm);
    return timer;
  }

  #arm(timer: Timer, again: () => void): void {
    if (timer.cancelled) return;
    if (this.#suspended) {
      this.#frozen.push(again);
      return;
    }
    const left = timer.deadline - (this.mono() as number);
    // Never early, and never by less than a microsecond: fractions of it would be tried for ever.
    if (left <= 0) timer.task();
    else timer.scheduled = this.events.after(Math.max(left / this.rate, 0.001), again);
  }

  suspend(): void {
    if (this.#suspended) return;
    this.#monoAt = this.mono() as number;
    this.#suspended = true;
    this.suspends++;
  }

  wake(): void {
    if (!this.#suspended) return;
    this.#suspended = false;
    this.#trueAt = this.events.now;
    for (const arm of this.#frozen.splice(0)) arm();
  }
}

class Timer implements Scheduled {
  /** On the host's monotonic clock. */
  readonly deadline: number;
  readonly task: () => void;
  cancelled = false;
  scheduled: Scheduled | null = null;

  constructor(deadline: number, task: () => void) {
    this.deadline = deadline;
    this.task = task;
  }

  cancel(): void {
    this.cancelled = true;
    this.scheduled?.cancel();
  }
}

/** A process on a host: it may be stopped (SIGSTOP) and continued, and dies once. */
export class Process {
  readonly host: Host;
  alive = true;
  #stopped = false;
  #blocked = false;
  #waiting: (() => void)[] = [];
  #due: (() => void)[] = [];
  /** What a blocking call was waiting for when the process was stopped. */
  #returning: (() => void)[] = [];

  constructor(host: Host) {
    this.host = host;
  }

  get paused(): boolean {
    return this.#blocked || this.#halted;
  }

  get #halted(): boolean {
    return this.#stopped || this.host.suspended;
  }

  /** A call into the disk that blocks the loop: no timer and no message until it has returned. */
  block(): void {
    this.#blocked = true;
  }

  unblock(): void {
    this.#blocked = false;
    this.drain();
  }

  /** The blocking call goes on with `task`, unless the process is stopped inside of it. */
  proceed(task: () => void): void {
    if (!this.alive) return;
    if (this.#halted) this.#returning.push(task);
    else task();
  }

  /** Lets the process do something: now, when it goes on, or never if it is dead. */
  run(task: () => void): void {
    if (!this.alive) return;
    if (this.paused) this.#waiting.push(task);
    else task();
  }

  timer(ms: number, task: () => void): Scheduled {
    return this.host.timer(ms, () => {
      if (this.alive && this.paused) this.#due.push(task);
      else this.run(task);
    });
  }

  pause(): void {
    this.#stopped = true;
  }

  /** Goes on: first the timers that came due (as an event loop does), then what has arrived. */
  resume(): void {
    this.#stopped = false;
    this.drain();
  }

  drain(): void {
    if (!this.#halted) for (const task of this.#returning.splice(0)) task();
    if (this.paused) return;
    for (const task of [...this.#due.splice(0), ...this.#waiting.splice(0)]) this.run(task);
  }

  kill(): void {
    this.alive = false;
    this.#waiting = [];
    this.#due = [];
    this.#returning = [];
  }
}
