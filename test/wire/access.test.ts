import { copyFileSync } from 'node:fs';
import {
  type ChannelCredentials,
  Client,
  logVerbosity,
  Metadata,
  type ServiceError,
  setLogVerbosity,
  status,
} from '@grpc/grpc-js';
import type { ServiceDefinition } from '@grpc/proto-loader';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { service as healthService } from 'grpc-health-check';
import { connect, type HoldfastError } from '../../src/client/index.js';
import { DEFAULT_POLICY } from '../../src/core/policy.js';
import { SILENT } from '../../src/kit/log.js';
import { startCoordinator } from '../../src/server/coordinator.js';
import type { Coordinator } from '../../src/server/options.js';
import { MemoryStore } from '../../src/store/memory/store.js';
import { Authority } from './support/certificates.js';
import { definition } from './support/proto.js';
import { RawAgent, RawStream } from './support/raw-agent.js';

setLogVerbosity(logVerbosity.NONE);

let ours: Authority;
let others: Authority;
let coordinator: Coordinator;
const closing: (() => void)[] = [];

beforeAll(async () => {
  ours = new Authority('ours');
  others = new Authority('others');
  coordinator = await startCoordinator({
    ...{ host: '127.0.0.1', port: 0, logDirectory: null, log: SILENT },
    ...{ store: new MemoryStore(), policy: DEFAULT_POLICY },
    tls: { ...ours.server(), clientCaFile: ours.caFile },
  });
});
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
});
afterAll(async () => {
  await coordinator.stop();
  ours.close();
  others.close();
});

const OPTIONS = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 0 };
const as = (path: string): ChannelCredentials => ours.trusting(ours.caller(path));

/** Every method that is served, as the protos have it: what is new must be given a row below. */
const METHODS = [...Object.entries(definition), ['grpc.health.v1.Health', healthService] as const]
  .filter(([, of]) => !('format' in of))
  .flatMap(([, of]) => Object.values(of as ServiceDefinition));

type Answer = 'let in' | 'unauthenticated' | 'denied';

/** Calls a method with an empty message, and looks at whether it was let in. */
function ask(client: Client, method: (typeof METHODS)[number]): Promise<Answer> {
  const bytes = (value: Buffer): Buffer => value;
  const deadline = { deadline: Date.now() + 20_000 };
  return new Promise((resolve) => {
    const call = method.requestStream
      ? client.makeBidiStreamRequest(method.path, bytes, bytes, new Metadata(), deadline)
      : client.makeServerStreamRequest(method.path, bytes, bytes, Buffer.alloc(0), new Metadata(), deadline);
    const judged = (answer: Answer): void => {
      resolve(answer);
      call.cancel();
    };
    call.on('data', () => judged('let in'));
    call.on('end', () => judged('let in'));
    call.on('error', ({ code }: ServiceError) => {
      if (code === status.UNAUTHENTICATED) return judged('unauthenticated');
      judged(code === status.PERMISSION_DENIED ? 'denied' : 'let in');
    });
    // A stream that is let in has nothing to say before a Hello; garbage in its place ends it.
    if (method.requestStream)
      (call as unknown as { write(value: Buffer): void }).write(Buffer.from([0x0a, 0x00]));
  });
}

const READS = [
  ...['GetTask', 'ListTasks', 'ExplainTask', 'WatchTasks', 'ReadTaskLogs'],
  ...['ListAgents', 'DescribeAgent', 'ListQueues', 'GetCoordinator'],
  ...[
    'ListDags',
    'GetDag',
    'ListRuns',
    'GetRun',
    'WatchRun',
    'ListBackfills',
    'ListAssets',
    'ListAssetEvents',
  ],
  ...['ListPools', 'ListTriggers', 'ListBundles'],
];
const CHANGES = [
  ...['SubmitTasks', 'CancelTask', 'ResolveTask', 'RetryTask', 'SteerTasks'],
  ...['CordonAgent', 'UncordonAgent', 'DrainAgent', 'LimitQueue', 'BackUpCoordinator'],
  ...['PauseDag', 'UnpauseDag', 'TriggerDag', 'CancelRun', 'MarkRun', 'ClearRun', 'MarkTasks'],
  ...['CreateBackfill', 'SteerBackfill', 'EmitAssetEvent', 'SetPool', 'DeletePool', 'FireTrigger'],
];

/** What the table must come to. */
function expected(path: string, role: string): Answer {
  const [, service = '', method = ''] = path.split('/');
  if (service === 'grpc.health.v1.Health') return 'let in';
  if (role === 'stranger') return 'unauthenticated';
  if (method === 'Connect') return role === 'agent' ? 'let in' : 'denied';
  if (READS.includes(method)) return role === 'agent' ? 'denied' : 'let in';
  if (CHANGES.includes(method)) return role === 'operator' ? 'let in' : 'denied';
  throw new Error(`${path} has no row in this test`);
}

describe('where callers say who they are', () => {
  test.each([
    ['agent', 'agent/worker/w1'],
    ['operator', 'operator/ada'],
    ['viewer', 'viewer'],
    ['stranger', 'somebody/else'],
  ])('%s: every method is let in or turned away as the table says', async (role, path) => {
    const client = new Client(coordinator.address, as(path), OPTIONS);
    closing.push(() => client.close());
    const known = METHODS.map((method) => method.path.split('/')[2]);
    expect(known).toEqual(expect.arrayContaining([...READS, ...CHANGES]));
    const seen = await Promise.all(METHODS.map(async (method) => [method.path, await ask(client, method)]));
    expect(seen).toEqual(METHODS.map((method) => [method.path, expected(method.path, role)]));
  });

  test('a call that is turned away says why, and who may make it', async () => {
    const client = connect(coordinator.address, {
      tls: { caFile: ours.caFile, ...ours.caller('viewer/eve') },
      retry: false,
    });
    closing.push(() => client.close());
    const refused = client.tasks.submit([{ command: ['true'] }]);
    await expect(refused).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      what: '/holdfast.v1.TaskService/SubmitTasks is not for viewers',
      reason: 'it may be called by operators',
    } satisfies Partial<HoldfastError>);
    expect((await client.coordinator()).coordinatorId).toBe(coordinator.coordinatorId);
  });
});

const agentsListed = async (): Promise<string[]> => {
  const client = connect(coordinator.address, { tls: { caFile: ours.caFile, ...ours.caller('operator') } });
  try {
    return (await client.agents.list()).map(({ agentId }) => agentId);
  } finally {
    client.close();
  }
};

const agent = (path: string, agentId: string): RawAgent => {
  const made = new RawAgent(coordinator.address, { agentId, security: as(path) });
  closing.push(() => made.stream.close());
  return made;
};

const said = (made: RawAgent): RawAgent => {
  made.hello();
  return made;
};

describe('an agent is who its certificate says', () => {
  test('under its own name and kind it is greeted', async () => {
    await agent('agent/worker/mine', 'mine').greet();
    await agent('agent/any/whatever', 'whatever').greet();
    expect(await agentsListed()).toEqual(expect.arrayContaining(['mine', 'whatever']));
  });

  test.each([
    ['under the name of another', 'agent/worker/w1', 'w2', /that of agent w1, not of w2/],
    ['as another kind', 'agent/triggerer/t1', 't1', /for a triggerer, and agent t1 is a worker/],
  ])('%s it is denied before anything is known of it', async (_name, path, agentId, words) => {
    const before = await agentsListed();
    const { stream } = said(agent(path, agentId));
    const refused = await stream.next('refused');
    expect(refused).toMatchObject({ reason: 'HELLO_REFUSAL_DENIED', message: expect.stringMatching(words) });
    expect(await stream.ended).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(await agentsListed()).toEqual(before);
  });

  test('and cannot take over the session of another that is there', async () => {
    const owner = agent('agent/worker/owner', 'owner');
    await owner.greet();
    const thief = agent('agent/worker/thief', 'owner');
    thief.hello({ instanceId: owner.instanceId, streamNo: 99 });
    await thief.stream.next('refused');
    expect(Number((await owner.beat()).received)).toBe(2);
  });

  test.each<[string, () => ChannelCredentials]>([
    ['none', () => ours.trusting()],
    ['one of another authority', () => ours.trusting(others.caller('agent/worker/w1'))],
    [
      'one that has expired',
      () =>
        ours.trusting(
          ours.caller('agent/worker/w1', { validMs: [Date.now() - 7_200_000, Date.now() - 1_000] }),
        ),
    ],
  ])('with %s for a certificate nobody gets as far as a call', async (_name, security) => {
    const stream = new RawStream(coordinator.address, security());
    closing.push(() => stream.close());
    expect(await stream.ended).toMatchObject({ code: status.UNAVAILABLE });
  });

  test('when its certificate expires, its stream is asked to come again with a newer one', async () => {
    const soon = { validMs: [Date.now() - 1_000, Date.now() + 3_000] as const };
    const security = ours.trusting(ours.caller('agent/worker/brief', soon));
    const brief = new RawAgent(coordinator.address, { agentId: 'brief', security });
    closing.push(() => brief.stream.close());
    await brief.greet();
    const beating = (async () => {
      for (;;) await brief.beat();
    })();
    await expect(beating).rejects.toThrow('ack never came');
    const reason = 'the certificate of this stream has expired';
    expect(brief.stream.unread).toEqual([
      expect.objectContaining({ reconnect: expect.objectContaining({ reason }) }),
    ]);
    expect(await brief.stream.ended).toMatchObject({ code: status.OK });
  });
});

test('an authority that is taken away takes its agents with it, on connections that are open too', async () => {
  const files = { ...ours.server(), clientCaFile: ours.path('clients.pem') };
  copyFileSync(ours.caFile, files.clientCaFile);
  const own = await startCoordinator({
    ...{ host: '127.0.0.1', port: 0, logDirectory: null, log: SILENT, tls: files },
    ...{ store: new MemoryStore(), policy: DEFAULT_POLICY },
  });
  const security = as('agent/worker/w1');
  const client = new Client(own.address, security, OPTIONS);
  const before = new RawAgent(own.address, { agentId: 'w1', security });
  await before.greet();
  copyFileSync(others.caFile, files.clientCaFile);
  own.readCertificates();
  await before.stream.next('reconnect');
  before.redial();
  before.hello();
  expect(await before.stream.ended).toMatchObject({ code: status.UNAVAILABLE });

  const now = new RawAgent(own.address, {
    agentId: 'w1',
    instanceId: before.instanceId,
    security: ours.trusting(others.caller('agent/worker/w1')),
  });
  now.streamNo = 7;
  expect(await now.greet()).toMatchObject({ epoch: '1' });
  now.stream.close();
  before.stream.close();
  client.close();
  await own.stop();
});
