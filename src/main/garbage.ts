import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8's young generation at the megabyte that it begins with, for a process that task output only passes through.
 * Output lies in buffers outside the heap, which count for little there: with a young generation that grows, a flood fills
 * memory until V8 walks through the whole heap, twice a second and 5 to 50 ms at a time, and heartbeats wait. A small one is
 * cleared every 150 ms, in a millisecond. Where much else is allocated it costs some percent, so a coordinator has none of
 * it.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
