import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Both halves of the young generation of a coordinator, at most: what is collected at once is one of them. */
const YOUNG_BYTES = 32 * 1024 ** 2;

/**
 * Keeps V8's young generation at the megabyte that it begins with, for a process that task output only passes through.
 * Output lies in buffers outside the heap, which count for little there: with a young generation that grows, a flood fills
 * memory until V8 walks through the whole heap, twice a second and 5 to 50 ms at a time, and heartbeats wait. A small one is
 * cleared every 150 ms, in a millisecond. Where much else is allocated it costs some percent, so a coordinator's is larger
 * (see boundYoungGeneration).
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/**
 * Lets V8's young generation grow to 16 MiB and no further. It would take 32 to 64 by itself, and every task that is on its way
 * waits while one is collected: twice as long for twice as much, and no CPU is saved by it.
 */
export function boundYoungGeneration(): void {
  let mayGrow = true;
  // V8 makes it smaller again where there is little to do; what was forbidden at its full size must be allowed again then.
  const observer = new PerformanceObserver(() => {
    const hasRoom = youngBytes() < YOUNG_BYTES;
    if (hasRoom === mayGrow) return;
    mayGrow = hasRoom;
    setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`);
  });
  observer.observe({ entryTypes: ['gc'] });
}

const youngBytes = (): number =>
  getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? 0;
