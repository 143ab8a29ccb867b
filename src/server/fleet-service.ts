import type { Engine } from '../engine/engine.js';
import { type AgentId, NAME_PATTERN } from '../kit/ids.js';
import type { Log } from '../kit/log.js';
import type { WallMs } from '../kit/time.js';
import type {
  Agent,
  FleetServiceServer,
  GetCoordinatorResponse,
  LimitQueueRequest,
  LimitQueueResponse,
  ListAgentsRequest,
} from '../wire/gen/holdfast/v1/fleet_service.js';
import { durationOf, millisOf } from '../wire/time.js';
import type { Backups } from './backup.js';
import { expectReply, Fault, unary } from './fault.js';
import { queueOf, queuesOf } from './queue-views.js';
import { agentOf, dateOf, runsOf } from './views.js';

/** What the service for agents needs of its coordinator. */
export interface FleetServiceHost {
  readonly engine: Engine;
  readonly backups: Backups;
  readonly log: Log;
  readonly coordinatorId: string;
  readonly version: string;
  readonly startedAt: WallMs;
  alarms(): string[];
}

/** The public API for agents. */
export function fleetService(host: FleetServiceHost): FleetServiceServer {
  const { log } = host;
  return {
    listAgents: unary(log, async (request) => ({ agents: list(host, request) })),
    describeAgent: unary(log, async ({ agentId }) => ({
      agent: find(host, agentId),
      runs: runsOf(host.engine.state, agentId as AgentId),
    })),
    cordonAgent: unary(log, async ({ agentId }) => ({ agent: await steer(host, 'cordon', agentId) })),
    uncordonAgent: unary(log, async ({ agentId }) => ({ agent: await steer(host, 'uncordon', agentId) })),
    drainAgent: unary(log, async ({ agentId, timeout }) => {
      const timeoutMs = millisOf(timeout) ?? null;
      if (timeoutMs !== null && !(timeoutMs >= 0)) {
        throw new Fault(
          'INVALID_REQUEST',
          `timeout is ${timeoutMs} ms`,
          'it is negative',
          'leave it out to wait for ever',
        );
      }
      const id = agentId as AgentId;
      const reply = await host.engine.call((callId) => ({ kind: 'drain', callId, agentId: id, timeoutMs }));
      return { agent: find(host, expectReply('agent', reply).agentId) };
    }),
    listQueues: unary(log, async () => ({ queues: queuesOf(host.engine.state) })),
    limitQueue: unary(log, (request) => limit(host, request)),
    getCoordinator: unary(log, async () => coordinator(host)),
    backUpCoordinator: unary(log, async ({ file }) => {
      const { pages, elapsedMs } = await host.backups.make(file);
      return { file, pages: BigInt(pages), elapsed: durationOf(elapsedMs) };
    }),
  };
}

async function limit(
  { engine }: FleetServiceHost,
  { name, runLimit }: LimitQueueRequest,
): Promise<LimitQueueResponse> {
  const refuse = (what: string, because: string, advice: string): never => {
    throw new Fault('INVALID_REQUEST', what, because, advice);
  };
  const queue = NAME_PATTERN.test(name)
    ? name
    : refuse(
        `queue ${JSON.stringify(name.slice(0, 140))} is no name`,
        'names are 1 to 128 of A-Z a-z 0-9 . _ -, starting with a letter or digit',
        'correct it',
      );
  if (runLimit !== undefined && runLimit > 1_000_000)
    refuse(`run_limit is ${runLimit}`, 'it must lie between 0 and 1000000', 'leave it out for no limit');
  const reply = await engine.call((callId) => ({
    kind: 'limit_queue',
    callId,
    queue,
    limit: runLimit ?? null,
  }));
  return { queue: queueOf(engine.state, expectReply('queue', reply).queue.queue) };
}

function list({ engine }: FleetServiceHost, { kinds, states }: ListAgentsRequest): Agent[] {
  const { now } = engine.context();
  const agents: Agent[] = [];
  for (const agentId of [...engine.state.agents.keys()].sort()) {
    const agent = agentOf(engine.state, agentId, now);
    if (agent === undefined) continue;
    if (kinds.length > 0 && !kinds.includes(agent.kind)) continue;
    if (states.length > 0 && !states.includes(agent.state)) continue;
    agents.push(agent);
  }
  return agents;
}

function find({ engine }: FleetServiceHost, agentId: string): Agent {
  const agent = agentOf(engine.state, agentId as AgentId, engine.context().now);
  if (agent !== undefined) return agent;
  const what = `no agent ${JSON.stringify(agentId.slice(0, 140))}`;
  throw new Fault(
    'AGENT_NOT_FOUND',
    what,
    'it has never connected here, or has been away so long that it was forgotten',
    'use `agent list` to see the agents',
  );
}

async function steer(host: FleetServiceHost, kind: 'cordon' | 'uncordon', agentId: string): Promise<Agent> {
  const reply = await host.engine.call((callId) => ({ kind, callId, agentId: agentId as AgentId }));
  return find(host, expectReply('agent', reply).agentId);
}

function coordinator(host: FleetServiceHost): GetCoordinatorResponse {
  const { policy } = host.engine.context();
  const counters = new Map(
    Object.entries(host.engine.counters).map(([name, value]) => [name, BigInt(Math.round(value))]),
  );
  return {
    coordinatorId: host.coordinatorId,
    version: host.version,
    startedAt: dateOf(host.startedAt),
    heartbeatInterval: durationOf(policy.heartbeatIntervalMs),
    queuedTimeout: durationOf(policy.queuedTimeoutMs),
    counters,
    alarms: host.alarms(),
  };
}
