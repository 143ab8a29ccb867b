import type { State } from '../core/state.js';
import type { Queue } from '../wire/gen/holdfast/v1/fleet_service.js';

/** A queue as the public API shows it, from memory alone: counting a million rows would hold up everything else. */
export function queueOf(state: State, name: string): Queue {
  let waiting = 0;
  let waitsMore = false;
  for (const { group, tasks, complete } of state.lanes.all()) {
    if (group.queue !== name) continue;
    waiting += tasks.length;
    waitsMore ||= !complete;
  }
  for (const { task } of state.offered.values()) if (task.queue === name) waiting++;
  let agents = 0;
  for (const { state: health, kind, queues } of state.sessions.values())
    if (health === 'live' && kind === 'worker' && queues.includes(name)) agents++;
  const running = state.held.queues.count(name);
  const runLimit = state.queues.get(name)?.limit ?? undefined;
  return { name, runLimit, running, waiting, waitsMore, agents };
}

export function queuesOf(state: State): Queue[] {
  const names = new Set([...state.lanes.queues(), ...state.claimed.queues.names()]);
  for (const { queue, limit } of state.queues.values()) if (limit !== null) names.add(queue);
  for (const session of state.sessions.values())
    if (session.state === 'live') for (const queue of session.queues) names.add(queue);
  return [...names].sort().map((name) => queueOf(state, name));
}
