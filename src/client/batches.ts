import { TaskSpec as WireSpec } from '../wire/gen/holdfast/v1/task_service.js';
import { LIMITS } from '../wire/limits.js';
import { SUBMIT_BATCH } from './tasks.js';
import { specToWire } from './translate.js';
import type { TaskSpec } from './types.js';

/** What a message holds beside its tasks, and what a submission adds to each: tags, lengths, a drawn idempotency key. */
const ROOM_BYTES = 64 * 1024;

/**
 * Any number of tasks as submissions that the coordinator takes, in order: at most 500 tasks each, and 1 MiB with their
 * inputs. A task that is too large by itself is alone in its submission, which will be refused.
 */
export function submissionsOf(specs: readonly TaskSpec[]): readonly (readonly TaskSpec[])[] {
  const submissions: TaskSpec[][] = [];
  let last: TaskSpec[] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const spec of specs) {
    const size = WireSpec.encode(specToWire(spec)).finish().length;
    if (last.length >= SUBMIT_BATCH || bytes + size > LIMITS.messageBytes - ROOM_BYTES) {
      last = [];
      bytes = 0;
      submissions.push(last);
    }
    last.push(spec);
    bytes += size;
  }
  return submissions;
}
