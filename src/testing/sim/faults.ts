import type { NewTask } from '../../core/inputs.js';
import { type Steering, steerSkip } from '../../core/steer.js';
import type { TaskId } from '../../kit/ids.js';
import type { Random } from '../../kit/random.js';
import { AGENT_FAULTS, aim, drawFault, heal, later, span } from './agent-faults.js';
import type { AgentNode } from './agent-node.js';
import type { Auditor } from './auditor.js';
import { COMMIT_LOSSES } from './commit-losses.js';
import type { CoordinatorNode } from './coordinator-node.js';
import type { Disk } from './disk.js';
import type { EventQueue } from './events.js';
import { strayCall } from './strays.js';

/** What faults can reach. */
export interface FaultWorld {
  readonly random: Random;
  readonly events: EventQueue;
  readonly auditor: Auditor;
  readonly agents: readonly AgentNode[];
  readonly coordinator: CoordinatorNode;
  readonly accepted: Set<TaskId>;
  readonly faultsEnd: number;
  readonly policy: { readonly heartbeatIntervalMs: number };
  readonly disk: Disk;
  /** Its store may lose commits that it has synced (P18). */
  readonly losesCommits: boolean;
  /** Operators move tasks just when its store is busy. */
  readonly isBusyAtMoves: boolean;
  newTask(): NewTask;
  /** Somebody submits a few tasks. */
  submit(): void;
  chance(share: number): boolean;
  pick<T>(values: readonly T[]): T;
}

export interface Fault {
  readonly name: string;
  /** How often, relative to the others. */
  readonly weight: number;
  /** Only in such worlds; absent means in all. */
  readonly where?: (world: FaultWorld) => boolean;
  readonly happen: (world: FaultWorld) => void;
}

const FAULTS: readonly Fault[] = [
  ...AGENT_FAULTS.map((fault) => ({
    ...fault,
    happen: (world: FaultWorld) => fault.happen(world, aim(world)),
  })),
  {
    name: 'common_partition',
    weight: 1,
    happen: (world) => {
      const struck = world.agents.filter(() => world.chance(0.8));
      for (const agent of struck) Object.assign(agent.weather, { cutUp: true, cutDown: true });
      const ms = span(world);
      for (const agent of struck) later(world, ms + world.random() * 500, () => heal(agent));
    },
  },
  {
    name: 'coordinator_kill',
    weight: 2,
    happen: killCoordinator,
  },
  {
    // The coordinator is back at once, and part of its agents is not: of them it knows what is written, and no more.
    name: 'coordinator_kill_partition',
    weight: 1,
    happen: (world) => {
      const struck = world.agents.filter(() => world.chance(0.3));
      for (const agent of struck) Object.assign(agent.weather, { cutUp: true, cutDown: true });
      world.coordinator.kill();
      later(world, world.pick([10, 1_000]), () => void world.coordinator.start());
      for (const agent of struck) later(world, span(world), () => heal(agent));
    },
  },
  {
    name: 'coordinator_pause',
    weight: 2,
    happen: pauseCoordinator,
  },
  {
    name: 'store_full',
    weight: 1,
    happen: (world) => {
      world.disk.fullUntil = world.events.now + span(world);
    },
  },
  {
    name: 'store_slow',
    weight: 3,
    happen: (world) => {
      world.disk.slowMs = world.pick([20, 200, 2_000, 10_000]);
      world.disk.slowUntil = world.events.now + span(world);
    },
  },
  {
    name: 'coordinator_pause_in_commit',
    weight: 1,
    happen: (world) => {
      world.disk.strike = {
        step: world.pick(['write', 'return']),
        happen: () => pauseCoordinator(world),
      };
    },
  },
  {
    name: 'coordinator_kill_in_commit',
    weight: 1,
    happen: (world) => {
      world.disk.strike = {
        step: world.pick(['write', 'return']),
        happen: () => killCoordinator(world),
      };
    },
  },
  ...COMMIT_LOSSES,
  {
    name: 'store_busy',
    weight: 1,
    happen: (world) => {
      world.disk.nextFault = { fault: 'busy', applied: false };
    },
  },
  {
    name: 'commit_unknown',
    weight: 1,
    happen: (world) => {
      // The process must end on it; what it finds after a restart is the truth.
      world.disk.nextFault = { fault: 'unknown', applied: world.chance(0.5) };
      later(world, 3_000, () => {
        world.disk.nextFault = null;
        void world.coordinator.start();
      });
    },
  },
  {
    name: 'wall_jump',
    weight: 3,
    happen: (world) => {
      const host = world.chance(0.2) ? world.coordinator.host : world.pick(world.agents).host;
      host.jumpWall(world.pick([-86_400_000, -3_600_000, -2_000, 2_000, 3_600_000, 86_400_000]));
    },
  },
  { name: 'cancel', weight: 6, happen: (world) => onTask(world, 'cancel') },
  { name: 'retry_one', weight: 2, happen: retryOne },
  { name: 'retry', weight: 2, happen: (world) => steerSome(world, { action: 'retry' }) },
  {
    name: 'move',
    weight: 3,
    happen: (world) => steerSome(world, { action: 'move', queue: world.pick(['q0', 'q1']) }),
  },
  { name: 'cancel_waiting', weight: 1, happen: (world) => steerSome(world, { action: 'cancel' }) },
  { name: 'limit_queue', weight: 2, happen: limitQueue },
  { name: 'resolve', weight: 4, happen: (world) => onTask(world, 'resolve') },
  {
    name: 'cordon',
    weight: 4,
    happen: (world) => {
      const { agentId } = world.pick(world.agents).settings;
      void world.coordinator.call((callId) => ({ kind: 'cordon', callId, agentId }));
      later(
        world,
        span(world),
        () => void world.coordinator.call((callId) => ({ kind: 'uncordon', callId, agentId })),
      );
    },
  },
  { name: 'stray_call', weight: 2, happen: strayCall },
];

function killCoordinator(world: FaultWorld): void {
  world.coordinator.kill();
  later(world, world.pick([10, 1_000, span(world)]), () => void world.coordinator.start());
}

function pauseCoordinator(world: FaultWorld): void {
  world.coordinator.pause();
  later(world, span(world), () => world.coordinator.resume());
}

/** An operator who prefers the tasks where it hurts: those with an open token. */
function onTask(world: FaultWorld, kind: 'cancel' | 'resolve'): void {
  const open = [...world.auditor.tasks.values()].filter(
    (task) => task.open !== null && (kind === 'cancel' || task.open.lost),
  );
  const taskId = open.length > 0 ? world.pick(open).taskId : world.pick([...world.accepted]);
  if (taskId === undefined) return;
  const verdict = world.pick(['reassign', 'fail', 'succeed'] as const);
  void world.coordinator.call((callId) =>
    kind === 'cancel'
      ? { kind, callId, taskId, reason: 'sim' }
      : { kind, callId, taskId, verdict, reason: 'sim' },
  );
}

/** An operator who wants a task tried again, whether it has ended or not. */
function retryOne(world: FaultWorld): void {
  const taskId = world.pick([...world.accepted]);
  if (taskId === undefined) return;
  void world.coordinator.call((callId) => ({ kind: 'retry', callId, taskId, reason: 'sim' }));
}

/** An operator with a selection: a few tasks that it means, and some that it does not. */
function steerSome(world: FaultWorld, steering: Steering): void {
  const fits = [...world.auditor.tasks.values()].filter((task) => steerSkip(task, steering) === null);
  const waiting = fits.filter(({ state }) => steering.action === 'retry' || state !== 'running');
  const taskIds = [world.pick([...world.accepted]), ...[1, 2, 3].map(() => world.pick(waiting)?.taskId)];
  const named = taskIds.filter((taskId) => taskId !== undefined);
  const dryRun = world.chance(0.1);
  void world.coordinator.call((callId) => ({
    ...{ kind: 'steer', callId, steering, chosen: { labels: {} }, taskIds: named, reason: 'sim', dryRun },
  }));
}

/** Nothing of a queue for a while, or less than there is. */
export function limitQueue(world: FaultWorld, most = world.pick([0, 1, 3])): void {
  const queue = world.pick(['q0', 'q1']);
  const limit = (to: number | null) =>
    world.coordinator.call((callId) => ({ kind: 'limit_queue', callId, queue, limit: to }));
  void limit(most);
  later(world, world.pick([2_000, 20_000]), () => void limit(null));
}

/** Faults at random instants, one every few seconds on average, until their time is over. */
export function scheduleFaults(world: FaultWorld): void {
  const faults = FAULTS.filter(({ where }) => where?.(world) ?? true);
  const next = () => {
    world.events.after(-Math.log(1 - world.random()) * 6_000, () => {
      if (world.events.now > world.faultsEnd) return;
      const fault = drawFault(world, faults);
      world.auditor.tell(`fault ${fault.name}`);
      world.auditor.count(`fault.${fault.name}`);
      fault.happen(world);
      next();
    });
  };
  next();
}
