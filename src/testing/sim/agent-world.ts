import type { UploadChunk } from '../../agent/core/bundle-upload.js';
import type { AgentEvent } from '../../agent/core/events.js';
import type { Policy } from '../../core/policy.js';
import type { AgentId, InstanceId, TaskId } from '../../kit/ids.js';
import type { Random } from '../../kit/random.js';
import type { AgentNode } from './agent-node.js';
import type { Auditor } from './auditor.js';
import type { Duty } from './dags/duty.js';
import type { Process } from './host.js';
import type { Connection, End } from './network.js';
import type { Gate } from './runner.js';
import type { AgentSettings, RunScript } from './scripts.js';

/** What an agent needs of the world. */
export interface AgentWorld {
  readonly random: Random;
  readonly auditor: Auditor;
  readonly policy: Policy;
  script(taskId: TaskId): RunScript;
  /** Tries to reach the coordinator; null when nobody listens there. */
  connect(connection: Connection, agentId: AgentId): End | null;
  newInstanceId(): InstanceId;
  newInode(): bigint;
  /** What an agent does besides running tasks; null for a worker. */
  dutyOf(settings: AgentSettings, process: Process, ports: DutyPorts): Duty | null;
  /** A deadly task has killed the agent. */
  killed(node: AgentNode): void;
}

/** What a duty may ask of its agent. */
export interface DutyPorts {
  /** Its own gate, by the messages that have passed. */
  gate(): Gate;
  happened(event: AgentEvent): void;
  /** On the newest stream, beside the heartbeats. */
  send(chunk: UploadChunk): void;
}
