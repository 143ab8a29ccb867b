import type { Snapshot } from '../../store/memory/snapshot.js';
import { heal, later, span } from './agent-faults.js';
import type { Fault, FaultWorld } from './faults.js';

/** Around the return of those who can tell of a loss, somebody always asks for something. */
const RETURN_MS = 4_000;
const SUBMISSION_MS = 100;

/** Until a task that was submitted is offered, asked for and permitted, at most, where nothing is slow. */
const ASKED_MS = 30;

/** What a store that loses synced commits goes back to. */
interface Copy {
  readonly at: Snapshot;
  readonly commits: number;
  readonly rollbacks: number;
}

/** The store loses commits that it has synced (P18), in worlds where it may. */
export const COMMIT_LOSSES: readonly Fault[] = [
  {
    name: 'commits_lost',
    weight: 4,
    where: ({ losesCommits }) => losesCommits,
    happen: (world) => {
      const copy = copyOf(world);
      const isRestore = world.chance(0.4);
      later(world, world.random() * world.pick([50, 1_000, span(world), 120_000]), () => {
        if (isOfNothing(world, copy)) return;
        lose(world, copy, isRestore);
        later(world, world.pick([10, 1_000, span(world)]), () => void world.coordinator.start());
      });
    },
  },
  {
    // The newest permits are lost, and who was given them is cut off: nobody notices before they are back, their numbers
    // are drawn for others, mostly of the same task, and when it is noticed other agents are at work.
    name: 'permits_lost_in_partition',
    weight: 2,
    where: ({ losesCommits }) => losesCommits,
    happen: (world) => {
      // Something is about to be permitted.
      world.submit();
      later(world, world.random() * ASKED_MS, () => {
        const copy = copyOf(world);
        later(world, ASKED_MS + world.random() * world.pick([50, 500, 3_000]), () =>
          losePermits(world, copy),
        );
      });
    },
  },
];

function losePermits(world: FaultWorld, copy: Copy): void {
  const told = new Set(newerPermits(world, copy));
  if (told.size === 0 || isOfNothing(world, copy)) return;
  const struck = world.agents.filter(({ settings }) => told.has(settings.agentId));
  for (const agent of struck) Object.assign(agent.weather, { cutUp: true, cutDown: true });
  lose(world, copy, false);
  later(world, 10, () => void world.coordinator.start());
  const ms = span(world);
  for (const agent of struck) later(world, ms, () => heal(agent));
  for (let at = ms; at < ms + RETURN_MS; at += SUBMISSION_MS) later(world, at, () => submitOne(world));
}

function copyOf({ coordinator, auditor }: FaultWorld): Copy {
  return { at: coordinator.copy(), commits: auditor.commits, rollbacks: auditor.rollbacks };
}

/** A copy of a history that is lost itself is a copy of nothing. */
function isOfNothing({ auditor, events, faultsEnd }: FaultWorld, { rollbacks }: Copy): boolean {
  return events.now > faultsEnd || auditor.rollbacks !== rollbacks;
}

function lose(world: FaultWorld, { at, commits }: Copy, isRestore: boolean): void {
  world.coordinator.rollBack(at, isRestore);
  world.auditor.rolledBack(commits, isRestore);
  for (const taskId of world.accepted) {
    if (world.auditor.tasks.has(taskId)) continue;
    world.accepted.delete(taskId);
    world.auditor.count('lost.tasks');
  }
}

/** Agents that hold permits which the copy does not know. */
function newerPermits({ auditor }: FaultWorld, { at }: Copy): string[] {
  const open = [...auditor.tasks.values()].flatMap((task) => task.open ?? []);
  return open.filter(({ token }) => token > at.counters.token).map(({ agentId }) => agentId);
}

function submitOne(world: FaultWorld): void {
  if (world.events.now < world.faultsEnd) world.submit();
}
