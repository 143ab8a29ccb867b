import { beforeEach, describe, expect, test } from '@jest/globals';
import { dagParts } from '../../src/main/parts.js';
import { BundleDesk } from '../../src/server/bundle-desk.js';
import { BundleIntake, type UploadState } from '../../src/server/bundle-intake.js';
import { StoreError } from '../../src/store/store.js';
import { bundleIn, inForce, Processor } from '../core/dag/processors.js';
import { DagWorld } from '../core/dag/support.js';
import { dagOf, sha256, snapshotOf } from '../wire/support/snapshot.js';

const MIB = 1024 * 1024;

/** A coordinator's desk, its timers in the hands of the test. */
class Office {
  readonly world: DagWorld;
  readonly desk: BundleDesk;
  #heard = 0;

  private constructor(world: DagWorld, check: ConstructorParameters<typeof BundleDesk>[0]['check']) {
    this.world = world;
    const { clockwork } = world;
    this.desk = new BundleDesk({
      engine: world.engine,
      clock: clockwork.clock,
      timers: clockwork,
      check,
      checkLarge: null,
    });
  }

  /** Hears of each DAG that is checked. */
  static async open(checks: (dag: unknown) => void = () => {}): Promise<Office> {
    const { checkDag } = await dagParts();
    const check = (dag: unknown) => {
      checks(dag);
      return checkDag(dag);
    };
    return new Office(await DagWorld.with([]), check);
  }

  /** A processor that holds a bundle of its name, and what it is told of its snapshots. */
  async join(name: string) {
    return this.opened(await new Processor(this.world, name, [name]).connect(), name);
  }

  /** The stream on which a processor speaks now. */
  opened(processor: Processor, name: string) {
    const told: UploadState[] = [];
    const intake = new BundleIntake(processor.streamId, this.desk, (state) => told.push(state));
    const chunk = (change: {
      sequence?: bigint;
      offset?: number;
      data?: Buffer;
      totalBytes?: number;
      sha256?: Buffer;
    }) =>
      intake.receive({
        ...{ bundle: name, sequence: change.sequence ?? 1n, offset: BigInt(change.offset ?? 0) },
        ...{ data: change.data ?? Buffer.alloc(10), totalBytes: BigInt(change.totalBytes ?? 60 * MIB) },
        sha256: change.sha256 ?? Buffer.alloc(0),
      });
    const whole = (dagId: string, sequence: bigint) => {
      const data = snapshotOf({ [`${dagId}.dag.yaml`]: dagOf(dagId) });
      chunk({ sequence, data, totalBytes: data.length, sha256: sha256(data) });
    };
    return { processor, intake, told, chunk, whole };
  }

  /** Everything that can happen without time passing does, and the desk hears of what was decided. */
  async idle(): Promise<void> {
    for (let n = 0; n < 5; n++) {
      await this.world.idle();
      for (const frame of this.world.frames.slice(this.#heard))
        if (frame.kind === 'bundle_answer') this.desk.decided(frame.streamId, frame.answer);
      this.#heard = this.world.frames.length;
    }
  }
}

/** What only waits for promises happens; what waits for the engine's next turn does not. */
async function checked(): Promise<void> {
  for (let n = 0; n < 20; n++) await Promise.resolve();
}

let office: Office;
beforeEach(async () => {
  office = await Office.open();
});

describe('room for snapshots on their way', () => {
  test('is given back by one that gets no chunk for 30 s; it may begin again', async () => {
    const [one, two, three] = [
      await office.join('one'),
      await office.join('two'),
      await office.join('three'),
    ];
    for (const { chunk } of [one, two, three]) chunk({});
    expect(three.told).toEqual([]);
    const all = [one, two, three];
    for (let second = 1; second <= 31; second++) {
      await office.world.pass(1_000);
      for (const { processor } of all) await processor.beat();
      if (second % 10 === 0) one.chunk({ offset: second });
    }
    expect(three.told).toMatchObject([{ nextOffset: 0, state: 'receiving' }]);
    three.chunk({});
    expect(three.told.at(-1)).toMatchObject({ nextOffset: 10 });
    // The one that was slow waits for room in its turn.
    two.chunk({ offset: 10 });
    const before = two.told.length;
    one.intake.close();
    expect(two.told.slice(before)).toMatchObject([{ nextOffset: 0, state: 'receiving' }]);
  });

  test('is not overtaken: a large one that waits comes before a small one that came later', async () => {
    const [one, two, three] = [
      await office.join('one'),
      await office.join('two'),
      await office.join('three'),
    ];
    one.chunk({});
    two.chunk({});
    three.chunk({ totalBytes: 60 * MIB });
    const four = await office.join('four');
    four.chunk({ totalBytes: 100 });
    expect([three.told, four.told]).toEqual([[], []]);
    one.intake.close();
    expect(three.told).toMatchObject([{ nextOffset: 0 }]);
    expect(four.told).toMatchObject([{ nextOffset: 0 }]);
  });

  test('is given back by everything that ends: in force, refused, dropped for a newer one, its stream gone', async () => {
    const one = await office.join('one');
    for (let sequence = 1n; sequence <= 20n; sequence++) {
      one.chunk({ sequence });
      if (sequence % 3n === 0n) one.chunk({ sequence, offset: 10, totalBytes: 1 });
      if (sequence % 3n === 1n) one.whole('a', sequence);
      await office.idle();
    }
    one.intake.close();
    const [two, three] = [await office.join('two'), await office.join('three')];
    two.chunk({ totalBytes: 64 * MIB });
    three.chunk({ totalBytes: 64 * MIB });
    expect([two.told, three.told]).toMatchObject([[{ nextOffset: 10 }], [{ nextOffset: 10 }]]);
  });
});

describe('the desk decides one snapshot after the other', () => {
  test('and the end of a stream in the middle of that lets the next one be decided', async () => {
    const [one, two] = [await office.join('one'), await office.join('two')];
    one.whole('a', 1n);
    two.whole('b', 1n);
    // The check is over, and the engine has not decided yet.
    await checked();
    await one.processor.lose();
    one.intake.close();
    await office.idle();
    expect(inForce(office.world)).toContain('b');
    expect(two.told.at(-1)).toMatchObject({ state: 'in_force' });
    expect(inForce(office.world)).toContain('b');
  });

  test('and one whose stream went while it was decided is not checked anew on the next stream', async () => {
    const checks: unknown[] = [];
    office = await Office.open((dag) => checks.push(dag));
    const one = await office.join('one');
    one.whole('a', 1n);
    await checked();
    expect(checks).toHaveLength(1);
    await one.processor.lose();
    one.intake.close();
    await office.idle();
    expect(inForce(office.world)).toEqual([]);
    const again = office.opened(await one.processor.connect(), 'one');
    again.whole('a', 1n);
    await office.idle();
    expect(again.told.at(-1)).toMatchObject({ state: 'in_force' });
    expect(inForce(office.world)).toEqual(['a']);
    expect(checks).toHaveLength(1);
    // In force it is known as it is; another one is checked.
    again.whole('b', 2n);
    await office.idle();
    expect(checks).toHaveLength(2);
  });

  test('of one processor, the newest that has arrived is the last that counts', async () => {
    const one = await office.join('one');
    one.whole('a', 1n);
    one.whole('b', 2n);
    one.whole('c', 3n);
    await office.idle();
    expect(one.told.filter(({ state }) => state === 'in_force').at(-1)).toMatchObject({ sequence: 3n });
    expect(inForce(office.world)).toEqual(['c']);
    expect(bundleIn(office.world, 'one').sequence).toBe(3n);
  });

  test('while the store has no space a snapshot waits, and comes into force once there is some', async () => {
    const one = await office.join('one');
    const { store } = office.world;
    const commit = store.commit.bind(store);
    store.commit = () => Promise.reject(new StoreError('full', 'no space'));
    one.whole('a', 1n);
    await office.idle();
    expect(one.told.filter(({ state }) => state !== 'receiving')).toEqual([]);
    store.commit = commit;
    await office.world.pass(1_200);
    await office.idle();
    expect(one.told.at(-1)).toMatchObject({ state: 'in_force' });
    expect(inForce(office.world)).toEqual(['a']);
  });
});

test('a coordinator that takes no DAGs refuses every snapshot', async () => {
  const { world } = office;
  const { clockwork } = world;
  const desk = new BundleDesk({
    engine: world.engine,
    clock: clockwork.clock,
    timers: clockwork,
    check: null,
    checkLarge: null,
  });
  Object.assign(office, { desk });
  const one = await office.join('one');
  one.whole('a', 1n);
  await office.idle();
  expect(one.told.at(-1)).toMatchObject({ state: 'refused', message: 'this coordinator takes no DAGs' });
});
