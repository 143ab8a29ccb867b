import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { DEFAULT_POLICY, type Policy } from '../../../src/core/policy.js';
import { SILENT } from '../../../src/kit/log.js';
import { dagParts } from '../../../src/main/parts.js';
import { startCoordinator } from '../../../src/server/coordinator.js';
import type { Coordinator } from '../../../src/server/options.js';
import type { ServerTlsFiles } from '../../../src/server/tls.js';
import { MemoryStore } from '../../../src/store/memory/store.js';
import { Api } from './proto.js';
import { type AgentChoice, RawAgent, RawStream } from './raw-agent.js';

// The library prints what it meets in words of its own; the tests look at what the client is told.
setLogVerbosity(logVerbosity.NONE);

/** A real coordinator in this process, and whatever talks to it; all of it ends with `close`. */
export class Stage {
  readonly coordinator: Coordinator;
  readonly api: Api;
  readonly logs: string;
  readonly #open: { close(): void }[] = [];
  #neighbours = 0;

  private constructor(coordinator: Coordinator, logs: string) {
    this.coordinator = coordinator;
    this.logs = logs;
    this.api = new Api(coordinator.address);
  }

  static async start(
    change: Partial<Policy> = {},
    store = new MemoryStore(),
    tls: ServerTlsFiles | null = null,
  ): Promise<Stage> {
    const logs = mkdtempSync(join(tmpdir(), 'holdfast-wire-'));
    const coordinator = await startCoordinator({
      host: '127.0.0.1',
      port: 0,
      store,
      policy: { ...DEFAULT_POLICY, ...change },
      logDirectory: logs,
      log: SILENT,
      tls,
      ...(await dagParts()),
    });
    return new Stage(coordinator, logs);
  }

  get address(): string {
    return this.coordinator.address;
  }

  agent(choice: AgentChoice = {}): RawAgent {
    const agent = new RawAgent(this.address, choice);
    this.#open.push(agent);
    return agent;
  }

  stream(): RawStream {
    const stream = new RawStream(this.address);
    this.#open.push(stream);
    return stream;
  }

  /** An agent that is greeted already. */
  async greeted(choice: AgentChoice = {}): Promise<RawAgent> {
    const agent = this.agent(choice);
    await agent.greet();
    return agent;
  }

  /** A well-behaved agent comes, completes a task and goes: the coordinator goes on serving. */
  async serves(): Promise<void> {
    const name = `neighbour-${++this.#neighbours}`;
    const neighbour = await this.greeted({ agentId: name, queue: name });
    const [taskId = ''] = await this.api.submit({ queue: name });
    await neighbour.complete(taskId);
    const { state } = await this.api.task(taskId);
    if (state !== 'TASK_STATE_SUCCESS') throw new Error(`the neighbour's task is ${state}`);
    neighbour.close();
  }

  async close(): Promise<void> {
    for (const one of this.#open.splice(0)) one.close();
    this.api.close();
    await this.coordinator.stop();
    rmSync(this.logs, { recursive: true, force: true });
  }
}
