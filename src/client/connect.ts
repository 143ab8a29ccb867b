import { Agents, readCoordinator } from './agents.js';
import { type CallChoices, Channel } from './channel.js';
import { CLIENT_CLOCK, type ClientClock } from './clock.js';
import { Tasks } from './tasks.js';
import type { CoordinatorInfo } from './types.js';

export interface ConnectOptions {
  /** Deadline of each unary call. Default 10 s. */
  readonly timeoutMs?: number | undefined;
  /** Default: the machine's clock. */
  readonly clock?: ClientClock | undefined;
}

/** A client of one coordinator. It dials when first used, and again after a loss. */
export interface Client {
  readonly address: string;
  readonly tasks: Tasks;
  readonly agents: Agents;
  /** Version and figures of the coordinator. */
  coordinator(choices?: CallChoices): Promise<CoordinatorInfo>;
  /** Ends the connection; calls in flight fail. */
  close(): void;
}

/** A client of the coordinator at `address` (HOST:PORT). */
export function connect(address: string, options: ConnectOptions = {}): Client {
  const channel = new Channel(address, options.timeoutMs ?? 10_000, options.clock ?? CLIENT_CLOCK);
  return {
    address,
    tasks: new Tasks(channel),
    agents: new Agents(channel),
    coordinator: (choices) => readCoordinator(channel, choices),
    close: () => channel.close(),
  };
}
