import { HOUR } from '../kit/time.js';
import { FleetServiceService, type Agent as WireAgent } from '../wire/gen/holdfast/v1/fleet_service.js';
import type { CallChoices, Channel } from './channel.js';
import { HoldfastError } from './errors.js';
import {
  agentFromWire,
  agentKindToWire,
  agentStateToWire,
  coordinatorFromWire,
  durationFromWire,
  durationToWire,
  heldRunFromWire,
} from './translate.js';
import type { Agent, AgentDescription, AgentKind, AgentState, BackupMade, CoordinatorInfo } from './types.js';

/** Which agents to list; an empty filter means all. */
export interface AgentFilter {
  /** Agents of these kinds. Default all. */
  readonly kinds?: readonly AgentKind[] | undefined;
  /** Agents in these states. Default all. */
  readonly states?: readonly AgentState[] | undefined;
}

/** Shows and steers the agents. */
export class Agents {
  readonly #channel: Channel;

  /** For `connect`: agents as seen through this connection. */
  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Every agent that was ever seen and not forgotten, by agent id. */
  async list(filter: AgentFilter = {}, choices?: CallChoices): Promise<readonly Agent[]> {
    const request = {
      kinds: (filter.kinds ?? []).map(agentKindToWire),
      states: (filter.states ?? []).map(agentStateToWire),
    };
    const answer = await this.#channel.repeatable(FleetServiceService.listAgents, request, choices);
    return answer.agents.map(agentFromWire);
  }

  /** One agent with what it holds. */
  async describe(agentId: string, choices?: CallChoices): Promise<AgentDescription> {
    const answer = await this.#channel.repeatable(FleetServiceService.describeAgent, { agentId }, choices);
    return { agent: wanted(answer), runs: answer.runs.map(heldRunFromWire) };
  }

  /** Stops new work for an agent; what runs goes on. */
  async cordon(agentId: string, choices?: CallChoices): Promise<Agent> {
    return wanted(await this.#channel.repeatable(FleetServiceService.cordonAgent, { agentId }, choices));
  }

  /** Takes cordon and drain back. */
  async uncordon(agentId: string, choices?: CallChoices): Promise<Agent> {
    return wanted(await this.#channel.repeatable(FleetServiceService.uncordonAgent, { agentId }, choices));
  }

  /** Cordons, lets what runs finish (stopping it after `timeoutMs`, if given), then lets the agent end. */
  async drain(agentId: string, timeoutMs?: number, choices?: CallChoices): Promise<Agent> {
    const request = { agentId, timeout: durationToWire(timeoutMs) };
    return wanted(await this.#channel.repeatable(FleetServiceService.drainAgent, request, choices));
  }
}

/** Version and figures of the coordinator. */
export async function readCoordinator(channel: Channel, choices?: CallChoices): Promise<CoordinatorInfo> {
  return coordinatorFromWire(await channel.repeatable(FleetServiceService.getCoordinator, {}, choices));
}

/** Copies the database to a new file on the coordinator's machine; everything goes on meanwhile. */
export async function backUpCoordinator(
  channel: Channel,
  file: string,
  choices: CallChoices = {},
): Promise<BackupMade> {
  const timeoutMs = choices.timeoutMs ?? BACKUP_TIMEOUT_MS;
  const made = await channel.once(FleetServiceService.backUpCoordinator, { file }, { ...choices, timeoutMs });
  return { file: made.file, pages: Number(made.pages), elapsedMs: durationFromWire(made.elapsed) ?? 0 };
}

/** A large database on a slow disk takes its time; the copy is not given up when nobody waits for it. */
const BACKUP_TIMEOUT_MS = 24 * HOUR;

function wanted(answer: { readonly agent: WireAgent | undefined }): Agent {
  if (answer.agent !== undefined) return agentFromWire(answer.agent);
  throw new HoldfastError({
    code: 'INCOMPLETE_ANSWER',
    what: 'the coordinator answered without the agent that was asked for',
  });
}
