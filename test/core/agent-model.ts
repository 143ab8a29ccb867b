import type { Hello } from '../../src/core/inputs.js';
import type { ProcessIdentity } from '../../src/core/rows.js';
import { Agent, type AgentChoice } from './scripted-agent.js';
import { report, type World } from './support.js';

export type { Agent } from './scripted-agent.js';
export { report } from './support.js';

export function agent(world: World, agentId: string, choice: AgentChoice = {}): Agent {
  return new Agent(world, agentId, choice);
}

/** The next process under the same name: it knows what the journal of its predecessor says, and nothing else. */
export function successor(old: Agent, instanceId: string, process = old.choice.process): Agent {
  const next = new Agent(old.world, old.agentId, { ...old.choice, instanceId, process });
  next.highestToken = old.highestToken;
  next.epoch = old.epoch;
  for (const waiting of old.reports.values()) next.reports.set(waiting.token, waiting);
  for (const [token, { taskId }] of old.runs) next.reports.set(token, report(token, 'lost', { taskId }));
  return next;
}

/** All agents speak in turn until nobody has more to say. */
export function settleDown(...agents: readonly Agent[]): void {
  for (let n = 0; n < 50 && agents.some((a) => a.hasNews); n++)
    for (const a of agents) if (a.hasNews) a.beat();
}

/** Time passes, with ticks, while these agents keep their heartbeats going; everybody else is silent. */
export function live(world: World, ms: number, ...agents: readonly Agent[]): void {
  for (let left = ms; left > 0; left -= 1_000) {
    world.advance(Math.min(1_000, left));
    for (const a of agents) if (a.canSpeak) a.beat();
    world.tick();
  }
}

/** A connected agent that has said what it has to say. */
export function ready(world: World, agentId: string, choice: AgentChoice = {}): Agent {
  return agent(world, agentId, choice).connect().talk();
}

/** The machine of a process: proof of its death needs it. */
export const MACHINE: ProcessIdentity = { bootId: 'boot-1', lockDevice: 1n, lockInode: 2n, pid: 7 };

export function proofOf(dead: Agent): Hello['proof'] {
  const { bootId, lockDevice, lockInode } = dead.choice.process;
  return { instanceId: dead.instanceId, bootId, lockDevice, lockInode };
}
