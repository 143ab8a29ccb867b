import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import {
  Agent,
  DescribeAgentResponse,
  type DrainAgentRequest,
  type FleetServiceServer,
  FleetServiceService,
  GetCoordinatorResponse,
  type ListAgentsRequest,
} from '../../../src/wire/gen/holdfast/v1/fleet_service.js';
import {
  ExplainTaskResponse,
  type ListTasksRequest,
  ReadTaskLogsResponse,
  type ResolveTaskRequest,
  type SubmitTasksRequest,
  Task,
  type TaskServiceServer,
  TaskServiceService,
  TaskState,
  type WatchTasksRequest,
} from '../../../src/wire/gen/holdfast/v1/task_service.js';

type DeepPartial<T> = T extends object ? { [K in keyof T]?: DeepPartial<T[K]> } : T;

/** A refusal as the coordinator sends it: status, message, and what goes into the trailing metadata. */
export function refusal(
  code: status,
  what: string,
  more: { code?: string; because?: string; try?: string } = {},
) {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(more))
    metadata.set(`holdfast-${name}`, encodeURIComponent(value));
  return Object.assign(new Error(what), { code, details: what, metadata }) as ServiceError;
}

type Hooks = {
  submitTasks: (request: SubmitTasksRequest) => ServiceError | undefined;
  listTasks: (request: ListTasksRequest) => ServiceError | undefined;
  resolveTask: (request: ResolveTaskRequest) => void;
  drainAgent: (request: DrainAgentRequest) => void;
  listAgents: (request: ListAgentsRequest) => void;
  /** Writes to the stream of a watch; returns how it ends: true to end it, false to leave it open. */
  watchTasks: (request: WatchTasksRequest, send: (task: Task) => void) => boolean | ServiceError;
};

/**
 * A coordinator without a mind: it keeps what it is given, and answers by the book. Tests change what it holds, and
 * hook in where they want another answer.
 */
export class FakeCoordinator {
  readonly tasks = new Map<string, Task>();
  readonly agents = new Map<string, Agent>();
  readonly submitted: SubmitTasksRequest[] = [];
  /** Pieces of output, whatever the task. */
  logs: DeepPartial<ReadTaskLogsResponse>[] = [];
  hooks: Partial<Hooks> = {};
  /** Whether it says that it knew the tasks of a submission already. */
  existing = false;
  address = '';
  #server = new Server();

  async start(port = 0): Promise<this> {
    this.#server = new Server();
    this.#server.addService(TaskServiceService, this.#taskService() as UntypedServiceImplementation);
    this.#server.addService(FleetServiceService, this.#fleetService() as UntypedServiceImplementation);
    const bound = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
        error === null ? resolve(at) : reject(error),
      );
    });
    this.address = `127.0.0.1:${bound}`;
    return this;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  /** Puts a task in; `state` by its name in lower case. */
  addTask(task: DeepPartial<Task> & { taskId: string }): Task {
    const spec = {
      queue: 'default',
      work: { work: { $case: 'command' as const, value: { argv: ['echo', 'hello'] } } },
    };
    const full = Task.fromPartial({ state: TaskState.QUEUED, spec, ...task } as DeepPartial<Task> as never);
    this.tasks.set(full.taskId, full);
    return full;
  }

  addAgent(agent: DeepPartial<Agent> & { agentId: string }): void {
    this.agents.set(agent.agentId, Agent.fromPartial({ kind: 1, state: 1, ...agent } as never));
  }

  #find(taskId: string): Task | ServiceError {
    return (
      this.tasks.get(taskId) ??
      refusal(status.NOT_FOUND, `there is no task ${taskId}`, {
        code: 'TASK_NOT_FOUND',
        because: 'no task was ever given this id',
        try: 'holdfast task list',
      })
    );
  }

  #taskService(): Partial<TaskServiceServer> {
    const oneTask = <R extends { taskId: string }>(see: (request: R) => void = () => {}) =>
      unary((request: R) => {
        const task = this.#find(request.taskId);
        if (isRefusal(task)) return task;
        see(request);
        return { task };
      });
    return {
      submitTasks: unary((request: SubmitTasksRequest) => {
        const refused = this.hooks.submitTasks?.(request);
        if (refused !== undefined) return refused;
        this.submitted.push(request);
        const tasks = request.tasks.map((spec) => {
          const taskId = `task-${this.tasks.size + 1}`;
          this.addTask({ taskId, spec: spec as never, submittedAt: new Date() });
          return { taskId, existing: this.existing };
        });
        return { tasks };
      }),
      getTask: oneTask(),
      cancelTask: oneTask(),
      resolveTask: oneTask((request: ResolveTaskRequest) => this.hooks.resolveTask?.(request)),
      listTasks: unary((request: ListTasksRequest) => {
        const refused = this.hooks.listTasks?.(request);
        if (refused !== undefined) return refused;
        const all = [...this.tasks.values()].filter(
          (task) => request.states.length === 0 || request.states.includes(task.state),
        );
        const from = Number(request.pageToken || 0);
        const end = from + (request.pageSize || 100);
        return { tasks: all.slice(from, end), nextPageToken: end < all.length ? String(end) : '' };
      }),
      explainTask: unary((request: { taskId: string }) => {
        const task = this.#find(request.taskId);
        if (isRefusal(task)) return task;
        return ExplainTaskResponse.fromPartial({
          task: task as never,
          summary: 'it waits for an agent',
          findings: [{ code: 'no_agent_serves_queue', message: 'no agent serves queue q', try: 'start one' }],
          next: [{ code: 'queued_timeout', in: { seconds: 90n, nanos: 0 }, message: 'it fails' }],
          guarantee: 'one outcome',
        } as never);
      }),
      watchTasks: (call: ServerWritableStream<WatchTasksRequest, { task: Task | undefined }>) => {
        const send = (task: Task): void => void call.write({ task });
        const end = this.hooks.watchTasks?.(call.request, send) ?? true;
        if (this.hooks.watchTasks === undefined) {
          for (const id of call.request.taskIds) {
            const task = this.tasks.get(id);
            if (task !== undefined) send(task);
          }
        }
        if (end === true) call.end();
        else if (end !== false) call.emit('error', end);
      },
      readTaskLogs: (call: ServerWritableStream<{ taskId: string }, ReadTaskLogsResponse>) => {
        const task = this.#find(call.request.taskId);
        if (isRefusal(task)) return void call.emit('error', task);
        for (const piece of this.logs) call.write(ReadTaskLogsResponse.fromPartial(piece as never));
        call.end();
      },
    };
  }

  #fleetService(): Partial<FleetServiceServer> {
    const oneAgent = <R extends { agentId: string }>(change: (agent: Agent, request: R) => Agent) =>
      unary((request: R) => {
        const agent = this.agents.get(request.agentId);
        if (agent === undefined)
          return refusal(status.NOT_FOUND, 'there is no such agent', { code: 'AGENT_NOT_FOUND' });
        this.agents.set(request.agentId, change(agent, request));
        return { agent: this.agents.get(request.agentId) };
      });
    return {
      listAgents: unary((request: ListAgentsRequest) => {
        this.hooks.listAgents?.(request);
        return { agents: [...this.agents.values()] };
      }),
      describeAgent: unary((request: { agentId: string }) =>
        DescribeAgentResponse.fromPartial({
          agent: this.agents.get(request.agentId) as never,
          runs: [{ taskId: 'task-1', fencingToken: 7n, tryNumber: 1, phase: 'running' }],
        } as never),
      ),
      cordonAgent: oneAgent((agent) => ({ ...agent, cordoned: true })),
      uncordonAgent: oneAgent((agent) => ({ ...agent, cordoned: false, draining: false })),
      drainAgent: oneAgent((agent, request: DrainAgentRequest) => {
        this.hooks.drainAgent?.(request);
        return { ...agent, draining: true };
      }),
      getCoordinator: unary(() =>
        GetCoordinatorResponse.fromPartial({
          coordinatorId: 'fake',
          version: '0.1.0',
          heartbeatInterval: { seconds: 5n, nanos: 0 },
          queuedTimeout: { seconds: 600n, nanos: 0 },
          counters: new Map([['permits', 18446744073709551615n]]) as never,
        }),
      ),
    };
  }
}

function unary<Request, Response>(answer: (request: Request) => Response | ServiceError) {
  return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
    const result = answer(call.request);
    if (isRefusal(result)) callback(result);
    else callback(null, result);
  };
}

const isRefusal = (value: unknown): value is ServiceError =>
  typeof value === 'object' && value !== null && 'details' in value && 'metadata' in value;
