import type { TaskId } from '../../kit/ids.js';
import type { Random } from '../../kit/random.js';
import type { AgentNode } from './agent-node.js';
import type { Auditor } from './auditor.js';
import type { CoordinatorNode } from './coordinator-node.js';
import type { Disk } from './disk.js';
import type { EventQueue } from './events.js';

/** What faults can reach. */
export interface FaultWorld {
  readonly random: Random;
  readonly events: EventQueue;
  readonly auditor: Auditor;
  readonly agents: readonly AgentNode[];
  readonly coordinator: CoordinatorNode;
  readonly accepted: ReadonlySet<TaskId>;
  readonly faultsEnd: number;
  readonly policy: { readonly heartbeatIntervalMs: number };
  readonly disk: Disk;
  chance(share: number): boolean;
  pick<T>(values: readonly T[]): T;
}

interface Fault {
  readonly name: string;
  /** How often, relative to the others. */
  readonly weight: number;
  readonly happen: (world: FaultWorld) => void;
}

/** Lengths that matter: far below, around and far beyond a lease. */
function span(world: FaultWorld): number {
  const lease = 3 * world.policy.heartbeatIntervalMs;
  return world.pick([0.1, 0.4, 0.8, 1, 1.2, 2, 5]) * lease * (0.8 + 0.4 * world.random());
}

function later(world: FaultWorld, ms: number, what: () => void): void {
  world.events.after(ms, what);
}

const FAULTS: readonly Fault[] = [
  {
    name: 'agent_kill',
    weight: 6,
    happen: (world) => {
      const agent = world.pick(world.agents);
      agent.kill(world.chance(0.3));
      later(world, span(world), () => agent.start(world.chance(0.2)));
    },
  },
  {
    name: 'agent_pause',
    weight: 5,
    happen: (world) => {
      const agent = world.pick(world.agents);
      agent.pause();
      later(world, span(world), () => agent.resume());
    },
  },
  {
    name: 'machine_suspend',
    weight: 4,
    happen: (world) => {
      const agent = world.pick(world.agents);
      agent.suspend();
      later(world, span(world), () => agent.wake());
    },
  },
  {
    name: 'partition',
    weight: 8,
    happen: (world) => {
      const agent = world.pick(world.agents);
      const side = world.pick(['both', 'both', 'up', 'down'] as const);
      agent.weather.cutUp = side !== 'down';
      agent.weather.cutDown = side !== 'up';
      later(world, span(world), () => heal(agent));
    },
  },
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
    name: 'flapping',
    weight: 2,
    happen: (world) => {
      const agent = world.pick(world.agents);
      for (let i = 0; i < 10; i++) {
        later(world, i * 5_000, () => Object.assign(agent.weather, { cutUp: true, cutDown: true }));
        later(world, i * 5_000 + 4_000, () => heal(agent));
      }
    },
  },
  { name: 'stream_reset', weight: 6, happen: (world) => world.pick(world.agents).breakStream() },
  {
    name: 'slow_network',
    weight: 3,
    happen: (world) => {
      const agent = world.pick(world.agents);
      const lease = 3 * world.policy.heartbeatIntervalMs;
      Object.assign(agent.weather, {
        delay: world.random() * 0.5 * lease,
        jitter: world.random() * 0.2 * lease,
      });
      later(world, 60_000, () => Object.assign(agent.weather, { delay: 2, jitter: 5 }));
      // What is late when all ends is what a gate or lease counted from the wrong moment trips over.
      if (world.chance(0.5)) return;
      later(world, world.random() * 60_000, () => {
        Object.assign(agent.weather, { cutUp: true, cutDown: true });
        later(world, span(world), () => heal(agent));
      });
    },
  },
  {
    name: 'coordinator_kill',
    weight: 2,
    happen: killCoordinator,
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
  {
    name: 'drain',
    weight: 2,
    happen: (world) => {
      const agent = world.pick(world.agents);
      const timeoutMs = world.chance(0.5) ? span(world) : null;
      const { agentId } = agent.settings;
      if (world.chance(0.5)) agent.drain(timeoutMs);
      else void world.coordinator.call((callId) => ({ kind: 'drain', callId, agentId, timeoutMs }));
      later(world, 2 * span(world), () => {
        agent.start(false);
        void world.coordinator.call((callId) => ({ kind: 'uncordon', callId, agentId }));
      });
    },
  },
];

const TOTAL = FAULTS.reduce((sum, fault) => sum + fault.weight, 0);

function killCoordinator(world: FaultWorld): void {
  world.coordinator.kill();
  later(world, world.pick([10, 1_000, span(world)]), () => void world.coordinator.start());
}

function pauseCoordinator(world: FaultWorld): void {
  world.coordinator.pause();
  later(world, span(world), () => world.coordinator.resume());
}

function heal(agent: AgentNode): void {
  Object.assign(agent.weather, { cutUp: false, cutDown: false });
  agent.weatherChanged();
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

function draw(world: FaultWorld): Fault {
  let left = world.random() * TOTAL;
  for (const fault of FAULTS) {
    left -= fault.weight;
    if (left < 0) return fault;
  }
  return FAULTS[0] as Fault;
}

/** Faults at random instants, one every few seconds on average, until their time is over. */
export function scheduleFaults(world: FaultWorld): void {
  const next = () => {
    world.events.after(-Math.log(1 - world.random()) * 6_000, () => {
      if (world.events.now > world.faultsEnd) return;
      const fault = draw(world);
      world.auditor.tell(`fault ${fault.name}`);
      world.auditor.count(`fault.${fault.name}`);
      fault.happen(world);
      next();
    });
  };
  next();
}
