import type { AgentId } from '../../kit/ids.js';

/** How a run behaves; drawn by the workload from the task's id. */
export interface RunScript {
  readonly durationMs: number;
  readonly outcome: 'success' | 'failed';
  /** Goes on after SIGTERM until SIGKILL. */
  readonly stubborn: boolean;
  /** Takes its whole agent down. */
  readonly deadly: boolean;
}

export interface AgentSettings {
  readonly agentId: AgentId;
  readonly queues: readonly string[];
  readonly slots: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly handlers: readonly string[];
}
