import { FleetServiceService, type Agent as WireAgent } from '../wire/gen/holdfast/v1/fleet_service.js';
import type { CallChoices, Channel } from './channel.js';
import { HoldfastError } from './errors.js';
import {
  agentFromWire,
  agentKindToWire,
  agentStateToWire,
  coordinatorFromWire,
  durationToWire,
  heldRunFromWire,
} from './translate.js';
import type { Agent, AgentDescription, AgentKind, AgentState, CoordinatorInfo } from './types.js';

export interface AgentFilter {
  readonly kinds?: readonly AgentKind[] | undefined;
  readonly states?: readonly AgentState[] | undefined;
}

/** Shows and steers the agents. */
export class Agents {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Every agent that was ever seen and not forgotten, by agent id. */
  async list(filter: AgentFilter = {}, choices?: CallChoices): Promise<readonly Agent[]> {
    const request = {
      kinds: (filter.kinds ?? []).map(agentKindToWire),
      states: (filter.states ?? []).map(agentStateToWire),
    };
    const answer = await this.#channel.unary(FleetServiceService.listAgents, request, choices);
    return answer.agents.map(agentFromWire);
  }

  /** One agent with what it holds. */
  async describe(agentId: string, choices?: CallChoices): Promise<AgentDescription> {
    const answer = await this.#channel.unary(FleetServiceService.describeAgent, { agentId }, choices);
    return { agent: wanted(answer), runs: answer.runs.map(heldRunFromWire) };
  }

  /** Stops new work for an agent; what runs goes on. */
  async cordon(agentId: string, choices?: CallChoices): Promise<Agent> {
    return wanted(await this.#channel.unary(FleetServiceService.cordonAgent, { agentId }, choices));
  }

  /** Takes cordon and drain back. */
  async uncordon(agentId: string, choices?: CallChoices): Promise<Agent> {
    return wanted(await this.#channel.unary(FleetServiceService.uncordonAgent, { agentId }, choices));
  }

  /** Cordons, lets what runs finish (stopping it after `timeoutMs`, if given), then lets the agent end. */
  async drain(agentId: string, timeoutMs?: number, choices?: CallChoices): Promise<Agent> {
    const request = { agentId, timeout: durationToWire(timeoutMs) };
    return wanted(await this.#channel.unary(FleetServiceService.drainAgent, request, choices));
  }
}

/** Version and figures of the coordinator. */
export async function readCoordinator(channel: Channel, choices?: CallChoices): Promise<CoordinatorInfo> {
  return coordinatorFromWire(await channel.unary(FleetServiceService.getCoordinator, {}, choices));
}

function wanted(answer: { readonly agent: WireAgent | undefined }): Agent {
  if (answer.agent !== undefined) return agentFromWire(answer.agent);
  throw new HoldfastError({
    code: 'INCOMPLETE_ANSWER',
    grpcStatus: 13,
    what: 'the coordinator answered without the agent that was asked for',
  });
}
