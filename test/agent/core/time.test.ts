import { describe, expect, test } from '@jest/globals';
import { beatsOf, GATE, H, Scene, task, token } from './scene.js';

function connected(choice: ConstructorParameters<typeof Scene>[0] = {}): Scene {
  const scene = new Scene(choice);
  scene.connect();
  return scene;
}

const NO_ORDERS = { cordoned: false, draining: false, drainTimeoutMs: null };

describe('the gate closes by itself', () => {
  test('at La after the sending of the newest acknowledged heartbeat, told once', () => {
    const scene = connected();
    scene.run(100);
    scene.ack();
    const sent = scene.mono;
    scene.tick(GATE - 1);
    expect(scene.notes.filter(({ kind }) => kind === 'gate_closed')).toEqual([]);
    expect(scene.session.nextTick()).toBeLessThanOrEqual(sent + GATE);
    scene.tick(1);
    scene.tick(1);
    expect(scene.notes.filter(({ kind }) => kind === 'gate_closed')).toEqual([
      { kind: 'gate_closed', running: 1 },
    ]);
  });

  test('stops single_run work, and no other (P11)', () => {
    const scene = connected();
    scene.run(100, { partitionPolicy: 'single_run' });
    scene.run(101, { partitionPolicy: 'hold' });
    scene.tick(GATE);
    expect(scene.of('stop_run')).toMatchObject([{ token: 100n, reason: 'gate' }]);
  });

  test('opens again with the next acknowledgement', () => {
    const scene = connected();
    scene.tick(GATE);
    scene.reconnect();
    scene.welcome();
    expect(scene.notes.filter(({ kind }) => kind === 'gate_open')).toHaveLength(2);
    expect(scene.session.gateOpen(scene.now)).toBe(true);
  });

  test('is told to the guardian with every acknowledged heartbeat', () => {
    const scene = connected();
    const sent = scene.mono;
    scene.advance(400);
    scene.ack();
    expect(scene.of('renew_guardian').at(-1)).toEqual({ kind: 'renew_guardian', deadline: sent + GATE });
  });
});

describe('heartbeats', () => {
  test('go out each interval, count by one, and name what was applied', () => {
    const scene = connected();
    for (let i = 0; i < 3; i++) {
      scene.tick(H);
      scene.ack();
    }
    expect(scene.beats.map(({ seq }) => seq)).toEqual([2, 3, 4, 5]);
    expect(scene.beats.map(({ applied }) => applied)).toEqual([1, 1, 2, 3]);
  });

  test('an idle agent says nothing between ticks', () => {
    const scene = connected();
    const before = scene.beats.length;
    for (let ms = 0; ms < H - 100; ms += 100) scene.tick(100);
    expect(scene.beats).toHaveLength(before);
  });

  test('1.5 H of silence hang up and dial again (P4)', () => {
    const scene = connected();
    scene.tick(H);
    scene.tick(H / 2 - 1);
    expect(scene.of('hang_up')).toEqual([]);
    const effects = scene.tick(1);
    expect(effects.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['hang_up', 'dial']));
    expect(scene.streamNo).toBe(2n);
  });

  test('an agent that was held up itself asks first, and waits half an H for the answer (P4)', () => {
    const scene = connected();
    scene.ack();
    scene.tick(3 * H);
    expect(scene.of('hang_up')).toEqual([]);
    scene.tick(H / 2 - 1);
    expect(scene.of('hang_up')).toEqual([]);
    scene.tick(1);
    expect(scene.of('hang_up')).toHaveLength(1);
  });

  test('a look that comes late leaves what has arrived meanwhile a tenth of an H to be read, once (P4)', () => {
    const scene = connected();
    scene.tick(H);
    scene.tick(2 * H);
    expect(scene.of('hang_up')).toEqual([]);
    scene.ack();
    scene.tick(H);
    scene.tick(2 * H);
    expect(scene.of('hang_up')).toEqual([]);
    scene.tick(H / 10 - 1);
    expect(scene.of('hang_up')).toEqual([]);
    scene.tick(1);
    expect(scene.of('hang_up')).toHaveLength(1);
    expect(scene.streamNo).toBe(2n);
  });

  test('a Hello without an answer is given up after 10 s', () => {
    const scene = new Scene();
    scene.opened();
    scene.tick(9_999);
    expect(scene.of('hang_up')).toEqual([]);
    scene.tick(1);
    expect(scene.of('hang_up')).toHaveLength(1);
  });

  test('a coordinator that asks to reconnect is obeyed after its delay', () => {
    const scene = connected();
    scene.turn({ kind: 'reconnect', streamNo: scene.streamNo, delayMs: 700 });
    expect(scene.of('dial').at(-1)?.afterMs).toBeGreaterThanOrEqual(700);
  });
});

describe('a drain (P6)', () => {
  test('lets running work finish, asks for nothing, and says goodbye with nothing held', () => {
    const scene = connected();
    scene.run(100);
    scene.turn({ kind: 'drain', timeoutMs: null });
    scene.offer('b');
    expect(scene.beats.at(-1)).toMatchObject({ freeSlots: 0, startRequests: [] });
    scene.tick(H);
    expect(scene.beats.length).toBeGreaterThan(3);
    scene.ended(100);
    expect(scene.goodbyes).toBe(0);
    scene.ack({ acknowledgements: [{ token: token(100), disposition: 'recorded' }] });
    expect(scene.goodbyes).toBe(1);
    scene.turn({ kind: 'farewell', streamNo: scene.streamNo });
    expect(scene.of('exit')).toHaveLength(1);
    expect(scene.of('stop_run')).toEqual([]);
  });

  test('with a deadline stops what still runs then, and still delivers its report', () => {
    const scene = connected();
    scene.run(100);
    scene.turn({ kind: 'drain', timeoutMs: 400 });
    expect(scene.session.nextTick()).toBeLessThanOrEqual(scene.mono + 400);
    scene.tick(400);
    expect(scene.of('stop_run')).toMatchObject([{ token: 100n, reason: 'drain' }]);
    expect(scene.goodbyes).toBe(0);
    scene.ended(100, { kind: 'killed', reason: 'drain' });
    scene.ack({ acknowledgements: [{ token: token(100), disposition: 'recorded' }] });
    expect(scene.goodbyes).toBe(1);
  });

  test('that the operator says again with a shorter deadline has that one, and never a later one', () => {
    const scene = connected();
    scene.run(100);
    const directive = (drainTimeoutMs: number | null) =>
      scene.ack({ directive: { cordoned: true, draining: true, drainTimeoutMs } });
    directive(null);
    directive(400);
    directive(10_000);
    scene.tick(400);
    expect(scene.of('stop_run')).toMatchObject([{ token: 100n, reason: 'drain' }]);
  });

  test('by the operator is the same', () => {
    const scene = connected();
    scene.ack({ directive: { cordoned: true, draining: true, drainTimeoutMs: null } });
    expect(scene.goodbyes).toBe(1);
  });
});

describe('the goodbye of a drain', () => {
  test('an open request holds the goodbye back until it is answered', () => {
    const scene = connected();
    scene.offer('a');
    scene.turn({ kind: 'drain', timeoutMs: null });
    expect(scene.goodbyes).toBe(0);
    scene.ack({
      refusals: [
        { nonce: scene.beats.flatMap((b) => b.startRequests)[0]?.nonce ?? (0n as never), reason: '' },
      ],
    });
    expect(scene.goodbyes).toBe(1);
  });

  test('task output that waits holds the goodbye back', () => {
    const scene = connected();
    scene.turn({ kind: 'output', pending: true });
    scene.turn({ kind: 'drain', timeoutMs: null });
    expect(scene.goodbyes).toBe(0);
    scene.turn({ kind: 'output', pending: false });
    expect(scene.goodbyes).toBe(1);
  });

  test('ends although nobody answers the goodbye: nothing depends on it', () => {
    const scene = connected();
    scene.turn({ kind: 'drain', timeoutMs: null });
    scene.turn({ kind: 'stream_lost', streamNo: scene.streamNo, denied: false, why: '' });
    expect(scene.of('exit')).toHaveLength(1);
  });

  test('cut off from the coordinator ends with nothing held, and waits with a report', () => {
    const idle = connected();
    idle.turn({ kind: 'stream_lost', streamNo: idle.streamNo, denied: false, why: '' });
    idle.turn({ kind: 'drain', timeoutMs: null });
    idle.turn({ kind: 'stream_lost', streamNo: idle.streamNo, denied: false, why: '' });
    expect(idle.of('exit')).toHaveLength(1);
    const busy = connected();
    busy.run(100);
    busy.ended(100);
    busy.turn({ kind: 'drain', timeoutMs: null });
    busy.turn({ kind: 'stream_lost', streamNo: busy.streamNo, denied: false, why: '' });
    expect(busy.of('exit')).toEqual([]);
    expect(busy.opened().reports).toHaveLength(1);
  });

  test('before the first connection ends at once', () => {
    const scene = new Scene();
    scene.turn({ kind: 'drain', timeoutMs: null });
    expect(scene.of('exit')).toHaveLength(1);
  });
});

test('a cordon stops the asking, not the runs, and uncordon takes it back', () => {
  const scene = connected();
  scene.run(100);
  scene.ack({ directive: { cordoned: true, draining: false, drainTimeoutMs: null } });
  scene.offer('b');
  expect(scene.beats.at(-1)).toMatchObject({ freeSlots: 0, startRequests: [] });
  expect(scene.of('stop_run')).toEqual([]);
  const [beat] = beatsOf(scene.ack({ directive: NO_ORDERS }));
  expect(beat).toMatchObject({ freeSlots: 0, startRequests: [{ taskId: task('b') }] });
});

test('the highest token and epoch ever seen are remembered for the next process (P18)', () => {
  const scene = connected();
  scene.run(100);
  scene.ended(100);
  expect(scene.of('remember').at(-1)).toEqual({ kind: 'remember', highestToken: 100n, highestEpoch: 7n });
  expect(scene.reconnect()).toMatchObject({ highestToken: 100n, highestEpoch: 7n });
});
