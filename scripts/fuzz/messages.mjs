// Messages of the agent stream: as an agent would send them, and then bent. Two ways of bending: by meaning (a valid
// message that says something false) and by bytes (one that may not even decode).
import { createHash } from 'node:crypto';
import { ConnectRequest } from '../../dist/wire/gen/holdfast/v1/agent_service.js';
import { BundleSnapshot } from '../../dist/wire/gen/holdfast/v1/dag_service.js';

const WILD_NUMBERS = [
  0n,
  1n,
  2n,
  255n,
  65_536n,
  2n ** 31n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const WILD_TEXT = [
  '',
  ' ',
  '\0',
  '../../etc/passwd',
  '%s%n',
  '\u{1F4A9}'.repeat(64),
  'a'.repeat(129),
  'a'.repeat(70_000),
  '-rf',
];

/** Everything that chance decides, from one seeded source. */
export class Chance {
  constructor(random) {
    this.random = random;
  }

  below(limit) {
    return Math.floor(this.random() * limit);
  }

  pick(values) {
    return values[this.below(values.length)];
  }

  is(share) {
    return this.random() < share;
  }

  number() {
    return this.is(0.7) ? BigInt(this.below(50)) : this.pick(WILD_NUMBERS);
  }

  text(usual) {
    return this.is(0.8) ? usual : this.pick(WILD_TEXT);
  }
}

/** As the proto has them. */
const KINDS = { worker: 1, triggerer: 2, dagProcessor: 3 };
/** What the agents of each kind have to say besides. */
const OWN = {
  worker: { queues: ['fuzz'], slots: 4 },
  triggerer: { slots: 100, triggerKinds: ['file', 'http'] },
  dagProcessor: { slots: 0, bundles: ['fuzz-bundle'] },
};

export function hello(agentId, instanceId, streamNo, kind = 'worker') {
  return request('hello', {
    agentId,
    instanceId,
    streamNo: BigInt(streamNo),
    kind: KINDS[kind],
    ...OWN[kind],
    labels: new Map(),
    software: 'fuzz',
    protocolVersion: 1,
    capabilities: [],
    maxMessageBytes: 0,
    highestToken: 0n,
    highestEpoch: 0n,
    inventory: [],
    reports: [],
    moreChunks: false,
    process: undefined,
    proof: undefined,
    hostname: 'fuzz',
  });
}

/** A heartbeat with the right number and otherwise anything. */
export function heartbeat(chance, seq, taskIds) {
  const some = (most, make) => Array.from({ length: chance.is(0.5) ? 0 : chance.below(most) }, make);
  const taskId = () => chance.text(chance.pick(taskIds) ?? 'nothing');
  return request('heartbeat', {
    seq: BigInt(seq),
    applied: chance.number() & 0xffffn,
    reports: some(4, () => report(chance, taskId())),
    inventoryChanges: some(4, () => entry(chance, taskId())),
    inventoryCount: chance.below(4),
    inventoryHash: chance.below(2 ** 32),
    startRequests: some(4, () => ({ nonce: chance.number(), taskId: taskId() })),
    freeSlots: chance.below(100_000),
    health: chance.is(0.5) ? undefined : { logBytesWaiting: chance.number(), unknownMessages: 0n },
    fullInventory: chance.is(0.7)
      ? undefined
      : { entries: some(20, () => entry(chance, taskId())), moreChunks: false },
    triggerEvents: some(4, () => triggerEvent(chance, taskId())),
  });
}

function triggerEvent(chance, taskId) {
  const size = chance.is(0.97) ? chance.below(64) : 70_000;
  return {
    triggerId: chance.text(`${taskId}.${chance.below(9)}`),
    token: chance.number(),
    eventId: chance.text(`e${chance.below(50)}`),
    payload: chance.is(0.7) ? Buffer.from('{"fired":true}') : Buffer.alloc(size, chance.below(256)),
    failure: chance.is(0.8)
      ? undefined
      : { reason: chance.text('trigger_failed'), message: chance.text('words') },
  };
}

function report(chance, taskId) {
  return {
    token: chance.number(),
    taskId,
    kind: chance.below(8),
    exitCode: chance.below(300),
    reason: chance.text('exit_code'),
    message: chance.text('words'),
    result: Buffer.alloc(chance.is(0.95) ? chance.below(64) : chance.below(300_000)),
    resultType: chance.text('text/plain'),
    deferral: chance.is(0.7) ? undefined : deferral(chance),
  };
}

function deferral(chance) {
  return {
    kind: chance.text('file'),
    input: Buffer.from(chance.text('{"path":"x"}')),
    state: Buffer.from(chance.text('')),
    timeout: chance.is(0.5)
      ? undefined
      : { seconds: chance.number() & 0xffff_ffffn, nanos: chance.below(2 ** 31) },
  };
}

/** A snapshot, or a part of one, of a few files that are DAGs more or less. */
function bundleChunk(chance) {
  const dag = (n) => ({
    dag_id: chance.text(`fuzz-${n}`),
    tasks: [{ task_id: 't', command: ['true'], needs: [chance.text('t')] }],
  });
  const files = Array.from({ length: chance.below(4) }, (_, n) => ({
    file: chance.text(`f${n}.dag.yaml`),
    dag: Buffer.from(chance.is(0.8) ? JSON.stringify(dag(n)) : chance.text('{')),
  }));
  const importErrors = [{ file: chance.text('g'), message: chance.text('words') }];
  const all = Buffer.from(BundleSnapshot.encode({ dags: files, importErrors }).finish());
  const isWhole = chance.is(0.6);
  const data = isWhole ? all : all.subarray(0, chance.below(all.length + 1));
  return request('bundleChunk', {
    bundle: chance.is(0.95) ? 'fuzz-bundle' : chance.text('other'),
    sequence: chance.number(),
    offset: isWhole ? 0n : chance.number(),
    data,
    totalBytes: chance.is(0.8) ? BigInt(all.length) : chance.number(),
    sha256: chance.is(0.7) ? createHash('sha256').update(all).digest() : Buffer.alloc(chance.below(40)),
  });
}

function entry(chance, taskId) {
  return { phase: chance.below(9), token: chance.number(), nonce: chance.number(), taskId };
}

export function other(chance, taskIds, kind = 'worker') {
  if (kind === 'dagProcessor' ? chance.is(0.9) : chance.is(0.02)) return bundleChunk(chance);
  return otherOfAny(chance, taskIds);
}

function otherOfAny(chance, taskIds) {
  const kind = chance.pick(['inventoryChunk', 'logChunk', 'goodbye', 'logChunk']);
  const taskId = chance.text(chance.pick(taskIds) ?? 'nothing');
  if (kind === 'inventoryChunk')
    return request(kind, { entries: [entry(chance, taskId)], reports: [], last: chance.is(0.5) });
  if (kind === 'goodbye') return request(kind, { endsSession: chance.is(0.5), reason: chance.text('bye') });
  const data = Buffer.alloc(chance.is(0.95) ? chance.below(2_000) : 70_000, 120);
  return request(kind, {
    token: chance.number(),
    taskId,
    offset: chance.number(),
    data,
    stream: chance.below(6),
  });
}

function request($case, value) {
  return Buffer.from(
    ConnectRequest.encode(ConnectRequest.fromPartial({ message: { $case, value } })).finish(),
  );
}

/** The same message with its bytes bent: flipped, cut, doubled, spliced, or blown up. */
export function bend(chance, bytes, another) {
  const bent = Buffer.from(bytes);
  switch (chance.below(6)) {
    case 0:
      for (let i = 0; i <= chance.below(4) && bent.length > 0; i++)
        bent[chance.below(bent.length)] ^= 1 << chance.below(8);
      return bent;
    case 1:
      return bent.subarray(0, chance.below(bent.length + 1));
    case 2:
      return Buffer.concat([bent, bent]);
    case 3:
      return Buffer.concat([
        bent.subarray(0, chance.below(bent.length + 1)),
        another.subarray(chance.below(another.length + 1)),
      ]);
    case 4:
      return Buffer.concat([bent, Buffer.from([0xfa, 0x01, 0xff, 0xff, 0xff, 0xff, 0x0f])]);
    default:
      return Buffer.alloc(chance.below(64), chance.below(256));
  }
}
