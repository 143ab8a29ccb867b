import type { BootMs, MonoMs, WallMs } from '../../src/kit/time.js';

/** Clocks moved by hand, and the one timer that is set. */
export class HandClock {
  mono = 1_000;
  wall = 5_000;
  boot = 2_000;
  timer: (() => void) | null = null;
  monoMs = () => this.mono as MonoMs;
  wallMs = () => this.wall as WallMs;
  bootMs = () => this.boot as BootMs;
  soon = (fn: () => void) => fn();
  setTimer = (_: number, fn: () => void) => {
    this.timer = fn;
    return { cancel: () => (this.timer = null) };
  };
}
