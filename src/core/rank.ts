import type { ServiceMs } from '../kit/time.js';
import type { Policy } from './policy.js';

/**
 * What a step of priority is worth when priorities do not age, in milliseconds: 139 years, more than any wait, and 1000
 * steps of it are still exact integers.
 */
const STRICT_STEP_MS = 2 ** 42;

/**
 * The place of a task among those that are ready: the lowest goes first. It is the instant at which the task entered
 * the queue, moved back by one ageing interval for each step of its priority. Every task ages at the same pace, so two
 * tasks never change their order: a place is computed once and the store's index stays as it is.
 */
export function rankOf(priority: number, since: ServiceMs, policy: Pick<Policy, 'priorityAgeingMs'>): number {
  return (since as number) - priority * (policy.priorityAgeingMs || STRICT_STEP_MS);
}
