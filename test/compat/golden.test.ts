import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import * as agentService from '../../src/wire/gen/holdfast/v1/agent_service.js';
import * as dagService from '../../src/wire/gen/holdfast/v1/dag_service.js';
import * as fleetService from '../../src/wire/gen/holdfast/v1/fleet_service.js';
import * as taskService from '../../src/wire/gen/holdfast/v1/task_service.js';
import * as types from '../../src/wire/gen/holdfast/v1/types.js';
import { definition, messageType } from '../wire/support/proto.js';

interface Fixture {
  readonly name: string;
  readonly message: object;
  readonly hex: string;
}
interface Codec {
  encode(message: unknown): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}
const {
  grown,
  parseFixtures,
  wanted,
}: {
  readonly parseFixtures: (text: string) => Fixture[];
  readonly wanted: (of: typeof definition) => Fixture[];
  readonly grown: (
    onFile: readonly Fixture[],
    samples: readonly Fixture[],
  ) => Readonly<Record<'all' | 'added' | 'changed', readonly Fixture[]>>;
} = await import(String(new URL('../../scripts/compat/fixtures.mjs', import.meta.url)));

const generated = {
  ...agentService,
  ...dagService,
  ...fleetService,
  ...taskService,
  ...types,
} as unknown as Readonly<Record<string, Codec>>;
const onFile = parseFixtures(readFileSync(new URL('golden/messages.tsv', import.meta.url), 'utf8'));
const names = [...new Set(onFile.map(({ name }) => name))];

describe('bytes that were ever written are read and written the same by both codecs', () => {
  test.each(names)('%s', (name) => {
    const { serialize, deserialize } = messageType(name);
    const codec = generated[name] as Codec;
    for (const { message, hex } of onFile.filter((one) => one.name === name)) {
      const bytes = Buffer.from(hex, 'hex');
      expect(deserialize(bytes)).toMatchObject(message);
      expect(serialize(message).toString('hex')).toBe(hex);
      expect(Buffer.from(codec.encode(codec.decode(bytes)).finish()).toString('hex')).toBe(hex);
    }
  });
});

describe('the bytes on file', () => {
  test('hold every message and every field of the protos as they are (npm run golden adds what is new)', () => {
    const { added, changed } = grown(onFile, wanted(definition));
    expect(added.map(({ name }) => name)).toEqual([]);
    expect(changed.map(({ name }) => name)).toEqual([]);
  });

  test('grow by what is new, and say so where a message is written otherwise than it was', () => {
    const stop = { name: 'Stop', message: { token: '1' }, hex: '0801' };
    const more = { name: 'Stop', message: { token: '1', reason: 'STOP_REASON_UNKNOWN' }, hex: '08011004' };
    const offer = { name: 'Offer', message: { taskId: 't' }, hex: '0a0174' };
    expect(grown([stop], [more, offer])).toEqual({
      all: [offer, stop, more],
      added: [more, offer],
      changed: [],
    });
    expect(grown([stop], [{ ...stop, hex: '1801' }])).toMatchObject({
      all: [stop],
      changed: [{ hex: '1801' }],
    });
  });
});
