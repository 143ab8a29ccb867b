import { resolve } from 'node:path';
import {
  type ClientReadableStream,
  credentials,
  type Client as GrpcClient,
  type Metadata,
  makeGenericClientConstructor,
} from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition, type ServiceDefinition } from '@grpc/proto-loader';

/** A message as proto-loader takes and gives it: camelCase, 64-bit numbers as text, enums by name. */
export type Message = Readonly<Record<string, unknown>>;

const FILES = ['agent_service', 'dag_service', 'task_service', 'fleet_service'];

/** All that a client in another language has: the files of `proto/`. Nothing generated is imported here. */
export const definition = loadSync(
  FILES.map((name) => `holdfast/v1/${name}.proto`),
  {
    includeDirs: [resolve(import.meta.dirname, '../../../proto')],
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  },
);

export function messageType(name: string): MessageTypeDefinition<object, object> {
  return definition[`holdfast.v1.${name}`] as MessageTypeDefinition<object, object>;
}

export const connectMethod = (definition['holdfast.v1.AgentService'] as ServiceDefinition).Connect as {
  readonly path: string;
  readonly requestSerialize: (value: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
};

/** What a refused call says: its status, and the stable code with reason and advice from the trailing metadata. */
export interface Refusal {
  readonly status: number;
  readonly details: string;
  readonly code: string;
  readonly because: string;
  readonly try: string;
}

interface ServiceFailure {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

export function refusalOf(error: unknown): Refusal {
  const { code, details, metadata } = error as ServiceFailure;
  const text = (name: string): string => String(metadata.get(name)[0] ?? '');
  return {
    status: code,
    details,
    code: text('holdfast-code'),
    because: decodeURIComponent(text('holdfast-because')),
    try: decodeURIComponent(text('holdfast-try')),
  };
}

type Unary = (request: object, callback: (error: unknown, response: Message) => void) => void;
type Streaming = (request: object) => ClientReadableStream<Message>;

/** The public API, by the names of its methods. */
export class Api {
  readonly #clients: Readonly<Record<string, GrpcClient>>;

  constructor(address: string) {
    const open = (service: string): GrpcClient => {
      const make = makeGenericClientConstructor(definition[service] as ServiceDefinition, service);
      return new make(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    };
    this.#clients = {
      TaskService: open('holdfast.v1.TaskService'),
      FleetService: open('holdfast.v1.FleetService'),
      DagService: open('holdfast.v1.DagService'),
    };
  }

  #method(name: string): (...args: unknown[]) => unknown {
    for (const client of Object.values(this.#clients)) {
      const method = (client as unknown as Record<string, unknown>)[name];
      if (typeof method === 'function') return method.bind(client) as (...args: unknown[]) => unknown;
    }
    throw new Error(`no method ${name}`);
  }

  call<T = Message>(name: string, request: object): Promise<T> {
    return new Promise((resolveCall, reject) => {
      (this.#method(name) as Unary)(request, (error, response) => {
        if (error) reject(error as Error);
        else resolveCall(response as T);
      });
    });
  }

  /** What a call that must be refused says. */
  async refused(name: string, request: object): Promise<Refusal> {
    try {
      await this.call(name, request);
    } catch (error) {
      return refusalOf(error);
    }
    throw new Error(`${name} was not refused`);
  }

  stream(name: string, request: object): ClientReadableStream<Message> {
    return (this.#method(name) as Streaming)(request);
  }

  /** Submits tasks that need no more than a queue; gives their ids. */
  async submit(...tasks: object[]): Promise<string[]> {
    const specs = tasks.map((task) => ({ work: { command: { argv: ['true'] } }, ...task }));
    const answer = await this.call<{ tasks: { taskId: string }[] }>('SubmitTasks', { tasks: specs });
    return answer.tasks.map(({ taskId }) => taskId);
  }

  async task(taskId: string): Promise<ShownTask> {
    return (await this.call<{ task: ShownTask }>('GetTask', { taskId })).task;
  }

  close(): void {
    for (const client of Object.values(this.#clients)) client.close();
  }
}

export interface ShownTask {
  readonly taskId: string;
  readonly state: string;
  readonly reason: string;
  readonly message: string;
  readonly tryNumber: number;
  readonly fencingToken: string;
  readonly agentId: string;
  readonly result: Buffer;
  readonly progress: { readonly fraction?: number; readonly message: string } | null;
  readonly history: readonly {
    readonly event: string;
    readonly reason: string;
    readonly agentId: string;
    readonly message: string;
  }[];
}
