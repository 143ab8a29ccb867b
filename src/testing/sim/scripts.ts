import type { AgentKind, Deferral } from '../../agent/core/messages.js';
import type { AgentId } from '../../kit/ids.js';

/** How a run behaves; drawn by the workload from the task's id. */
export interface RunScript {
  readonly durationMs: number;
  readonly outcome: 'success' | 'failed' | 'skipped';
  /** Of a success, JSON text; null for none. */
  readonly result: string | null;
  /** What it waits for before its second segment, in which it ends; null: it has one. */
  readonly deferral: Deferral | null;
  /** Goes on after SIGTERM until SIGKILL. */
  readonly stubborn: boolean;
  /** Takes its whole agent down. */
  readonly deadly: boolean;
}

export interface AgentSettings {
  readonly agentId: AgentId;
  readonly kind: AgentKind;
  readonly queues: readonly string[];
  readonly slots: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly handlers: readonly string[];
  /** Of a DAG processor. */
  readonly bundles: readonly string[];
  /** Of a triggerer. */
  readonly triggerKinds: readonly string[];
}
