import { describe, expect, test } from '@jest/globals';
import * as agentService from '../../src/wire/gen/holdfast/v1/agent_service.js';
import * as dagService from '../../src/wire/gen/holdfast/v1/dag_service.js';
import * as fleetService from '../../src/wire/gen/holdfast/v1/fleet_service.js';
import * as taskService from '../../src/wire/gen/holdfast/v1/task_service.js';
import * as types from '../../src/wire/gen/holdfast/v1/types.js';
import { definition, messageType } from './support/proto.js';

interface Codec {
  encode(message: unknown): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

const samples: {
  readonly namesIn: (of: typeof definition) => string[];
  readonly filled: (of: typeof definition, name: string) => object[];
} = await import(String(new URL('../../scripts/compat/samples.mjs', import.meta.url)));
const names = samples.namesIn(definition);
const generated = {
  ...agentService,
  ...dagService,
  ...fleetService,
  ...taskService,
  ...types,
} as unknown as Record<string, Codec>;

describe('two codecs that have never met agree on every message, all of its fields filled', () => {
  test.each(names)('%s', (name) => {
    const { serialize, deserialize } = messageType(name);
    const codec = generated[name] as Codec;
    for (const message of samples.filled(definition, name)) {
      const bytes = serialize(message);
      const seen = deserialize(bytes);
      expect(seen).toMatchObject(message);
      const again = Buffer.from(codec.encode(codec.decode(bytes)).finish());
      expect(deserialize(again)).toEqual(seen);
      expect(codec.decode(serialize(deserialize(again)))).toEqual(codec.decode(bytes));
    }
  });

  test('and on empty ones', () => {
    for (const name of names) {
      const codec = generated[name] as Codec;
      expect(Buffer.from(codec.encode(codec.decode(Buffer.alloc(0))).finish())).toHaveLength(0);
    }
  });
});

/** Bytes that will never change: agents of today must understand the coordinators of later years. */
const GOLDEN: readonly (readonly [string, object, string])[] = [
  [
    'ConnectRequest',
    {
      hello: {
        agentId: 'w1',
        instanceId: '0123456789abcdef',
        streamNo: '1',
        kind: 'AGENT_KIND_WORKER',
        queues: ['default'],
        slots: 4,
        protocolVersion: 1,
        inventory: [{ phase: 'INVENTORY_PHASE_RUNNING', token: '300', taskId: 't' }],
      },
    },
    '0a310a027731121030313233343536373839616263646566180120012a0764656661756c74300448017208080210ac02220174',
  ],
  [
    'ConnectRequest',
    {
      heartbeat: {
        seq: '2',
        applied: '1',
        reports: [{ token: '300', kind: 'REPORT_KIND_FAILED', exitCode: -1, reason: 'exit_code' }],
        inventoryCount: 1,
        inventoryHash: 0xdeadbeef,
        startRequests: [{ nonce: '7', taskId: 't' }],
        freeSlots: 3,
      },
    },
    '1231080210011a1b08ac02180220ffffffffffffffffff012a09657869745f636f6465280135efbeadde3a0508071201744003',
  ],
  [
    'ConnectRequest',
    { logChunk: { token: '300', offset: '5', data: Buffer.from('hi'), stream: 'LOG_STREAM_STDERR' } },
    '220b08ac021805220268692802',
  ],
  ['ConnectRequest', { goodbye: { endsSession: true, reason: 'drained' } }, '2a0b08011207647261696e6564'],
  [
    'ConnectResponse',
    {
      welcome: {
        epoch: '9',
        heartbeatInterval: { seconds: '5' },
        lease: { seconds: '15' },
        gate: { seconds: '12', nanos: 500_000_000 },
        verdicts: [{ token: '300', kind: 'VERDICT_KIND_STOP', reason: 'STOP_REASON_SUPERSEDED' }],
      },
    },
    '0a1d0809120208051a02080f2208080c1080cab5ee01320708ac0218022001',
  ],
  [
    'ConnectResponse',
    {
      ack: {
        number: '2',
        received: '2',
        permits: [
          {
            nonce: '7',
            token: '301',
            epoch: '9',
            taskId: 't',
            tryNumber: 1,
            work: { command: { argv: ['true'] } },
            partitionPolicy: 'PARTITION_POLICY_HOLD',
          },
        ],
        voidTokens: ['1', '300'],
      },
    },
    '1223080210023218080710ad02180922017428013a080a060a04747275654003420301ac02',
  ],
];

describe('bytes on the wire that never change', () => {
  test.each(GOLDEN)('%s %j', (name, message, hex) => {
    const codec = generated[name] as Codec;
    expect(messageType(name).serialize(message).toString('hex')).toBe(hex);
    expect(Buffer.from(codec.encode(codec.decode(Buffer.from(hex, 'hex'))).finish()).toString('hex')).toBe(
      hex,
    );
  });
});
