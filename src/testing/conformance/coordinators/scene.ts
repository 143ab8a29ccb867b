import { type ServiceError, status } from '@grpc/grpc-js';
import { AgentState, FleetServiceClient } from '../../../wire/gen/holdfast/v1/fleet_service.js';
import {
  SubmitTasksRequest,
  type Task,
  TaskServiceClient,
  TaskSpec,
} from '../../../wire/gen/holdfast/v1/task_service.js';
import { type Dialling, dialling, type TlsOptions } from '../../../wire/tls/dial.js';
import { check, Deviation } from '../case.js';
import { monoMs, pause, wallMs } from '../clock.js';
import { commandOf } from '../stub.js';
import { Watched } from '../watch.js';
import { type AgentChoice, FakeAgent } from './fake-agent.js';
import type { StreamHost } from './fake-stream.js';

export interface SceneOptions {
  /** HOST:PORT of the coordinator. */
  readonly address: string;
  /** How it is dialled, by agents and by callers alike; null for plaintext. */
  readonly tls: TlsOptions | null;
  /** How long something that must come is waited for, in milliseconds. */
  readonly patienceMs: number;
}

/** Names must not be those of an earlier run against the same coordinator: it keeps sessions and tasks. */
let scenes = 0;
const POLL_MS = 50;
const CALL_LIMIT_MS = 10_000;

/** Fake agents and the public API of one coordinator, for one case. */
export class Scene implements StreamHost {
  readonly address: string;
  readonly dialling: Dialling;
  readonly patienceMs: number;
  readonly watched = new Watched();
  /** Names the case's queue and its agents. */
  readonly name = `conformance-${Math.floor(wallMs()).toString(36)}-${++scenes}`;
  readonly #agents: FakeAgent[] = [];
  readonly #tasks: TaskServiceClient;
  readonly #fleet: FleetServiceClient;
  readonly #submitted: string[] = [];

  constructor({ address, tls, patienceMs }: SceneOptions) {
    this.address = address;
    this.dialling = dialling(address, tls, { wallMs });
    this.patienceMs = patienceMs;
    const own = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_http_proxy': 0 };
    const options = { ...own, ...this.dialling.options };
    this.#tasks = new TaskServiceClient(address, this.dialling.credentials, options);
    this.#fleet = new FleetServiceClient(address, this.dialling.credentials, options);
  }

  /** Asks the coordinator for its name. Throws Deviation when there is no answer. */
  answers(): Promise<unknown> {
    return called('GetCoordinator', (answer) => this.#fleet.getCoordinator({}, answer));
  }

  /** An agent that has not said Hello. */
  agent(choice: Partial<AgentChoice> = {}): FakeAgent {
    const agentId = choice.agentId ?? `${this.name}-${this.#agents.length + 1}`;
    const instanceId = choice.instanceId ?? `${this.name}-instance-${this.#agents.length + 1}`;
    const { queue = this.name, slots = 4 } = choice;
    const agent = new FakeAgent(this, { agentId, instanceId, queue, slots });
    this.#agents.push(agent);
    return agent;
  }

  /** An agent that has its session. */
  async greeted(choice: Partial<AgentChoice> = {}): Promise<FakeAgent> {
    const agent = this.agent(choice);
    await agent.greet();
    return agent;
  }

  /** Submits a task to the case's queue; its id. */
  async submit(change: Partial<TaskSpec> = {}): Promise<string> {
    const spec: TaskSpec = {
      ...TaskSpec.fromPartial({}),
      ...{ queue: this.name, work: commandOf(['true']) },
      ...change,
    };
    const request: SubmitTasksRequest = { ...SubmitTasksRequest.fromPartial({}), tasks: [spec] };
    const { tasks } = await called<{ tasks: readonly { taskId: string }[] }>('SubmitTasks', (answer) =>
      this.#tasks.submitTasks(request, answer),
    );
    const [task] = tasks;
    check(task !== undefined, 'SubmitTasks took one task and names none');
    this.#submitted.push(task.taskId);
    return task.taskId;
  }

  async task(taskId: string): Promise<Task> {
    const { task } = await called<{ task: Task | undefined }>('GetTask', (answer) =>
      this.#tasks.getTask({ taskId }, answer),
    );
    check(task !== undefined, `GetTask gives no task for ${taskId}`);
    return task;
  }

  cancel(taskId: string): Promise<unknown> {
    return called('CancelTask', (answer) =>
      this.#tasks.cancelTask({ taskId, reason: 'conformance' }, answer),
    );
  }

  cordon({ agentId }: FakeAgent): Promise<unknown> {
    return called('CordonAgent', (answer) => this.#fleet.cordonAgent({ agentId }, answer));
  }

  /** Whether the coordinator says that an agent's lease is over. */
  async isFailed({ agentId }: FakeAgent): Promise<boolean> {
    const { agent } = await called<{ agent: { state: number } | undefined }>('DescribeAgent', (answer) =>
      this.#fleet.describeAgent({ agentId }, answer),
    );
    return agent?.state === AgentState.FAILED;
  }

  /** Asks the API again and again until it is so. Throws Deviation after `within`. */
  async until(expected: string, within: number, ask: () => Promise<boolean>): Promise<void> {
    const end = monoMs() + within;
    while (!(await ask())) {
      if (monoMs() > end)
        throw new Deviation(`expected ${expected}, and waited ${(within / 1_000).toFixed(1)} s for it`);
      await pause(POLL_MS);
    }
  }

  pass(ms: number): Promise<void> {
    return pause(ms);
  }

  /** Whatever the case waits for fails. */
  giveUp(limitMs: number): void {
    this.watched.close(`the case did not come to its end within ${limitMs} ms`);
  }

  /** Tasks that it leaves behind are cancelled: nobody will serve their queue. */
  async close(): Promise<void> {
    for (const agent of this.#agents) agent.close();
    await Promise.all(this.#submitted.map((taskId) => this.cancel(taskId).catch(() => undefined)));
    this.#tasks.close();
    this.#fleet.close();
    this.watched.close('the case is over');
  }
}

/** A unary call as a promise. Throws Deviation with what it was refused with. */
function called<T>(
  name: string,
  call: (answer: (error: ServiceError | null, response: T) => void) => { cancel(): void },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const began = monoMs();
    call((error, response) => {
      if (error === null) return resolve(response);
      const took = monoMs() - began;
      const late = took > CALL_LIMIT_MS ? ` after ${Math.round(took)} ms` : '';
      reject(new Deviation(`${name} is answered with ${status[error.code]} ${error.details}${late}`));
    });
  });
}
