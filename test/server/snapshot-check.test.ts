import { describe, expect, jest, test } from '@jest/globals';
import { dagParts } from '../../src/main/parts.js';
import { type CheckPorts, checkSnapshot } from '../../src/server/snapshot-check.js';
import { dagOf, snapshotOf } from '../wire/support/snapshot.js';

async function ports(change: Partial<CheckPorts> = {}): Promise<CheckPorts> {
  const { checkDag: check } = await dagParts();
  const found: CheckPorts['found'] = new Map();
  return {
    check,
    checkLarge: null,
    known: new Map(),
    found,
    now: () => 0,
    rest: async () => {},
    isWanted: () => true,
    ...change,
  };
}

const many = (count: number): Buffer =>
  snapshotOf(Object.fromEntries(Array.from({ length: count }, (_, n) => [`d${n}.dag.yaml`, dagOf(`d${n}`)])));

describe('the check of a snapshot', () => {
  test('rests after every 10 ms of work, so that heartbeats have their turn', async () => {
    let now = 0;
    let rests = 0;
    const { check } = await ports();
    const checked = await checkSnapshot(
      many(100),
      await ports({
        check: (dag) => {
          now += 2;
          return check(dag);
        },
        now: () => now,
        rest: async () => {
          rests++;
        },
      }),
    );
    expect(checked).toMatchObject({ kind: 'checked', importErrors: [] });
    expect(rests).toBe(20);
  });

  test('ends half way once nobody waits for it', async () => {
    let checks = 0;
    const { check } = await ports();
    const counting = await ports({
      check: (dag) => {
        checks++;
        return check(dag);
      },
      now: () => 10 * checks,
      isWanted: () => checks < 3,
    });
    expect(await checkSnapshot(many(100), counting)).toEqual({ kind: 'unwanted' });
    expect(checks).toBe(3);
  });

  test('goes on where one before it was given up, so that streams which it silences cannot have it begin for ever', async () => {
    const { check } = await ports();
    const { found } = await ports();
    let checks = 0;
    let attempts = 0;
    for (let done = false; !done; ) {
      attempts++;
      const least = checks + 1;
      const counting = await ports({
        check: (dag) => {
          checks++;
          return check(dag);
        },
        found,
        now: () => 10 * checks,
        isWanted: () => checks < least,
      });
      const one = await checkSnapshot(many(4), counting);
      done = one.kind === 'checked' && one.dags.length === 4;
      if (attempts > 10) throw new Error('it begins for ever');
    }
    expect(checks).toBe(4);
  });

  test('checks what is in force neither again nor at all', async () => {
    const first = await checkSnapshot(many(2), await ports());
    if (first.kind !== 'checked') throw new Error(first.kind);
    const known = new Map(first.dags.map(({ hash, dagId }) => [hash, dagId]));
    const check = () => {
      throw new Error('checked again');
    };
    const second = await checkSnapshot(many(2), await ports({ known, check }));
    expect(second).toMatchObject({
      dags: [
        { dagId: 'd0', checked: null },
        { dagId: 'd1', checked: null },
      ],
    });
  });

  test('refuses more entries than are taken before it makes anything of them', async () => {
    const refused = await checkSnapshot(Buffer.from('0a00'.repeat(200_001), 'hex'), await ports());
    expect(refused).toEqual({
      ...{ kind: 'malformed', message: 'it has 200001 entries, and at most 200000 are taken' },
    });
  });

  test('refuses more DAGs than are taken', async () => {
    const entry = snapshotOf({ a: '{}' });
    const refused = await checkSnapshot(Buffer.concat(Array(100_001).fill(entry)), await ports());
    expect(refused).toEqual({
      kind: 'malformed',
      message: 'it has 100001 DAGs, and at most 100000 are taken',
    });
  });

  test.each([
    ['ends in the middle of a field', Buffer.from('0aff', 'hex')],
    ['ends in the middle of a length', Buffer.from('0aff'.concat('ff'.repeat(20)), 'hex')],
    ['has fields of a kind that there is not', Buffer.from('0b00', 'hex')],
  ])('refuses what %s', async (_name, bytes) => {
    expect(await checkSnapshot(bytes, await ports())).toMatchObject({
      kind: 'malformed',
      message: expect.stringContaining('it is no BundleSnapshot'),
    });
  });

  test.each([
    ['is nested without end', '['.repeat(1_000_000)],
    ['is nested deeply', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['names what every object has', '{"__proto__": {"dag_id": "x"}, "constructor": 1, "toString": 2}'],
    ['is nothing', ''],
    ['is a number', '1'],
  ])('takes a DAG that %s for an error of its file', async (_name, dag) => {
    const checked = await checkSnapshot(
      snapshotOf({ 'odd.dag.yaml': dag, 'a.dag.yaml': dagOf('a') }),
      await ports(),
    );
    expect(checked).toMatchObject({
      dags: [{ dagId: 'a' }],
      importErrors: [{ file: 'odd.dag.yaml', message: expect.stringMatching(/^odd\.dag\.yaml: /) }],
    });
  });

  test('outlives a check that fails on a DAG', async () => {
    const check = () => {
      throw new Error('a bug of ours');
    };
    expect(await checkSnapshot(many(1), await ports({ check }))).toMatchObject({
      importErrors: [{ message: 'd0.dag.yaml: the DAG cannot be checked: a bug of ours' }],
    });
  });

  test('leaves a DAG of thousands of tasks to a thread, and every other one not', async () => {
    const tasks = Object.fromEntries(
      Array.from({ length: 2_000 }, (_, n) => [`t${n}`, { command: ['true'] }]),
    );
    const sizes: number[] = [];
    const { check } = await ports();
    const large = {
      check: async (text: string) => {
        sizes.push(text.length);
        const verdict = check(JSON.parse(text));
        return verdict.ok
          ? { text: JSON.stringify(verdict.definition), errors: [] }
          : { text: null, errors: verdict.errors };
      },
      close: () => {},
    };
    const here = jest.fn(check);
    const bytes = snapshotOf({
      'large.dag.yaml': dagOf('large', { tasks }),
      'wrong.dag.yaml': dagOf('wrong', { tasks: { ...tasks, odd: { needs: 'nothing' } } }),
      'small.dag.yaml': dagOf('small'),
    });
    const checked = await checkSnapshot(bytes, await ports({ check: here, checkLarge: large }));
    expect([here.mock.calls.length, sizes.length]).toEqual([1, 2]);
    expect(checked).toMatchObject({
      kind: 'checked',
      dags: [{ dagId: 'large', checked: { definition: { dagId: 'large' } } }, { dagId: 'small' }],
      importErrors: [{ file: 'wrong.dag.yaml', message: expect.stringContaining('there is no such task') }],
    });
  });
});
