import { startPauseMs } from '../../core/lease.js';
import type { AgentNode } from './agent-node.js';
import type { FaultWorld } from './faults.js';

/** What can happen to one agent: to its process, its machine, its network, or by its operator's hand. */
interface AgentFault {
  readonly name: string;
  /** How often, relative to the other faults. */
  readonly weight: number;
  readonly happen: (world: FaultWorld, agent: AgentNode) => void;
}

/** Lengths that matter: far below, around and far beyond a lease. */
export function span(world: FaultWorld): number {
  const lease = 3 * world.policy.heartbeatIntervalMs;
  return world.pick([0.1, 0.4, 0.8, 1, 1.2, 2, 5]) * lease * (0.8 + 0.4 * world.random());
}

export function later(world: FaultWorld, ms: number, what: () => void): void {
  world.events.after(ms, what);
}

export const AGENT_FAULTS: readonly AgentFault[] = [
  {
    name: 'agent_kill',
    weight: 6,
    happen: (world, agent) => {
      agent.kill(world.chance(0.3));
      later(world, span(world), () => agent.start(world.chance(0.2)));
    },
  },
  {
    name: 'agent_pause',
    weight: 5,
    happen: (world, agent) => {
      agent.pause();
      later(world, span(world), () => agent.resume());
    },
  },
  {
    name: 'machine_suspend',
    weight: 4,
    happen: (world, agent) => {
      agent.suspend();
      const offline = world.chance(0.5) ? world.random() * 20_000 : 0;
      later(world, span(world), () => {
        // A machine that wakes has no network yet: what had arrived before is all it hears for a while.
        if (offline > 0) Object.assign(agent.weather, { cutUp: true, cutDown: true });
        agent.wake();
        later(world, offline, () => heal(agent));
      });
    },
  },
  {
    // A clock that is set back must not keep a gate open on a machine that nobody hears.
    name: 'clock_set_back_in_partition',
    weight: 2,
    happen: (world, agent) => {
      Object.assign(agent.weather, { cutUp: true, cutDown: true });
      agent.host.jumpWall(-world.pick([60_000, 3_600_000]));
      later(world, world.pick([1.2, 2]) * span(world), () => heal(agent));
    },
  },
  {
    name: 'partition',
    weight: 8,
    happen: (world, agent) => {
      const side = world.pick(['both', 'both', 'up', 'down'] as const);
      agent.weather.cutUp = side !== 'down';
      agent.weather.cutDown = side !== 'up';
      later(world, span(world), () => heal(agent));
    },
  },
  {
    name: 'flapping',
    weight: 2,
    happen: (world, agent) => {
      for (let i = 0; i < 10; i++) {
        later(world, i * 5_000, () => Object.assign(agent.weather, { cutUp: true, cutDown: true }));
        later(world, i * 5_000 + 4_000, () => heal(agent));
      }
    },
  },
  {
    name: 'slow_network',
    weight: 3,
    happen: (world, agent) => {
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
    name: 'drain',
    weight: 2,
    happen: (world, agent) => {
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
  {
    name: 'runner_kill',
    weight: 2,
    happen: (world, agent) => {
      agent.killRunner();
      later(world, span(world), () => agent.start(false));
    },
  },
  {
    name: 'runner_stop',
    weight: 2,
    happen: (world, agent) => {
      const { runner } = agent;
      runner?.stop();
      later(world, span(world), () => runner?.resume());
    },
  },
  {
    // Between the last look at the gate and exec: within d nothing may come of it, beyond d a start may come too late.
    name: 'runner_stop_at_exec',
    weight: 2,
    happen: (world, agent) => {
      if (agent.runner === null) return;
      const boundMs = startPauseMs(3 * world.policy.heartbeatIntervalMs);
      agent.runner.stumbleMs = world.chance(0.5) ? world.random() * boundMs : span(world);
      // Often its agent is cut off just then: an old permit whose start is still to come.
      if (world.chance(0.5)) return;
      Object.assign(agent.weather, { cutUp: true, cutDown: true });
      later(world, span(world), () => heal(agent));
    },
  },
  { name: 'stream_reset', weight: 6, happen: (_, agent) => agent.breakStream() },
];

export function heal(agent: AgentNode): void {
  Object.assign(agent.weather, { cutUp: false, cutDown: false });
  agent.weatherChanged();
}

/** Whom a fault strikes: between its permit and its exec an agent has the most to do wrong. */
export function aim(world: FaultWorld): AgentNode {
  const starting = world.agents.filter((agent) => agent.starting > 0);
  return world.pick(starting.length > 0 && world.chance(0.5) ? starting : world.agents);
}

/** Any of these faults, on this agent. */
export function strike(world: FaultWorld, agent: AgentNode): void {
  const { name, happen } = drawFault(world, AGENT_FAULTS);
  world.auditor.tell(`fault ${name} on ${agent.settings.agentId}`);
  world.auditor.count(`fault.${name}`);
  happen(world, agent);
}

/** One of several faults, by their weights. */
export function drawFault<T extends { readonly weight: number }>(world: FaultWorld, faults: readonly T[]): T {
  let left = world.random() * faults.reduce((sum, { weight }) => sum + weight, 0);
  for (const fault of faults) {
    left -= fault.weight;
    if (left < 0) return fault;
  }
  return faults[0] as T;
}
