import type { State } from '../core/state.js';
import type { Queue } from '../wire/gen/holdfast/v1/fleet_service.js';

/** A queue as the public API shows it, from counts kept in memory: to count a million rows would hold up everything else. */
export function queueOf(state: State, name: string): Queue {
  const waiting = state.waiting.get(name) ?? 0;
  let agents = 0;
  for (const { state: health, kind, queues } of state.sessions.values())
    if (health === 'live' && kind === 'worker' && queues.includes(name)) agents++;
  const running = state.held.queues.count(name);
  const runLimit = state.queues.get(name)?.limit ?? undefined;
  return { name, runLimit, running, waiting, waitsMore: false, agents };
}

export function queuesOf(state: State): Queue[] {
  const names = new Set([...state.waiting.keys(), ...state.claimed.queues.names()]);
  for (const { queue, limit } of state.queues.values()) if (limit !== null) names.add(queue);
  for (const session of state.sessions.values())
    if (session.state === 'live') for (const queue of session.queues) names.add(queue);
  return [...names].sort().map((name) => queueOf(state, name));
}
