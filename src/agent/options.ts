import type { Log } from '../kit/log.js';
import type { TlsOptions } from '../wire/tls/dial.js';
import type { HandlerPoolOptions } from './runner/index.js';

/** What a worker agent is started with. */
export interface WorkerOptions {
  /** HOST:PORT of the coordinator. */
  readonly coordinator: string;
  /** How the coordinator's TLS is spoken, and who this agent is to it. Default: plaintext. */
  readonly tls?: TlsOptions | null | undefined;
  /** Stable name, one live agent each. */
  readonly agentId: string;
  /** At least one. */
  readonly queues: readonly string[];
  /** Runs held at once. */
  readonly slots: number;
  /** Labels that tasks may require. */
  readonly labels: Readonly<Record<string, string>>;
  /** Journal, lock and working directories; one agent each. */
  readonly stateDirectory: string;
  /** The handlers that it can call, in children; null when it runs commands only. */
  readonly handlers: HandlerPoolOptions | null;
  /** Where log lines go. */
  readonly log: Log;
}

/** What a triggerer agent is started with. */
export interface TriggererOptions {
  /** HOST:PORT of the coordinator. */
  readonly coordinator: string;
  /** How the coordinator's TLS is spoken, and who this agent is to it. Default: plaintext. */
  readonly tls?: TlsOptions | null | undefined;
  /** Stable name, one live agent each. */
  readonly agentId: string;
  /** Triggers held at once, 1 to 100,000. */
  readonly slots: number;
  /** For people. */
  readonly labels: Readonly<Record<string, string>>;
  /** Lock and what is remembered; one agent each. */
  readonly stateDirectory: string;
  /** URL of the module whose default export is `defineTriggers([ … ])`; null for the built-in triggers only. */
  readonly module: string | null;
  /**
   * A trigger whose callback takes longer fails its task's try with `trigger_blocked`, and the thread is made anew without
   * it, in milliseconds. Default 5 s.
   */
  readonly blockLimitMs?: number;
  /** Where log lines go. */
  readonly log: Log;
}

/** A running agent. */
export interface RunningAgent {
  /** Closes the gate for good, lets runs finish (stopping them after `timeoutMs`, if given), says goodbye, ends. */
  drain(timeoutMs: number | null): void;
  /** Stops every run now, reports what it can, ends. */
  stop(): void;
  /** Settles once it has ended. */
  readonly ended: Promise<AgentEnd>;
}

/** How an agent ended: drained in good order, stopped at once, or by a fault of its own. */
export type AgentEnd =
  | { readonly kind: 'drained' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'fault'; readonly error: Error };
