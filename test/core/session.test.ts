import { describe, expect, test } from '@jest/globals';
import { RESTORED } from '../../src/core/recovery.js';
import type { Epoch, Token } from '../../src/kit/ids.js';
import { agent, live, MACHINE, proofOf, ready, settleDown, successor } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { H, L, world } from './support.js';

describe('a Hello', () => {
  test('of a new agent is granted a session: H, L = 3 H and a gate of 5/6 L', () => {
    const w = world();
    const a = agent(w, 'a');
    a.connect();
    const [welcome] = w.frames;
    expect(welcome).toMatchObject({
      kind: 'welcome',
      welcome: { epoch: 1n, heartbeatMs: H, leaseMs: L, gateMs: (5 / 6) * L, verdicts: [] },
    });
    expect(w.session(a.agentId)).toMatchObject({ state: 'live', streamNo: 1n, holder: 'coordinator-1' });
    expect(w.noted('session_granted')).toHaveLength(1);
  });

  test('counts as a heartbeat from its receipt', () => {
    const w = world();
    const a = agent(w, 'a').connect();
    w.advance(L - 1);
    w.tick();
    expect(w.session(a.agentId).state).toBe('live');
    w.advance(1);
    w.tick();
    expect(w.session(a.agentId).state).toBe('failed');
  });

  test('of the same instance on a newer stream takes over at once, and the session goes on', () => {
    const w = world();
    const a = ready(w, 'a');
    const older = a.streamId;
    a.connect();
    expect(w.session(a.agentId)).toMatchObject({ epoch: 1n, state: 'live', streamNo: 2n });
    expect(w.frames).toContainEqual({ kind: 'close', streamId: older, reason: 'replaced' });
    checkWorld(w);
  });

  test('on an older stream of the same instance is refused and renews nothing', () => {
    const w = world();
    const a = ready(w, 'a');
    a.connect();
    const presence = w.state.presences.get(1n as Epoch);
    const before = presence?.leaseEnds;
    w.advance(1_000);
    w.feed({ kind: 'hello', streamId: w.newStream(a), at: w.now, hello: a.hello({ streamNo: 1n }) });
    expect(w.frames.at(-1)).toMatchObject({ kind: 'refused', refused: { reason: 'old_stream' } });
    expect(presence?.leaseEnds).toBe(before);
    expect(w.session(a.agentId).streamNo).toBe(2n);
  });

  test('of another instance is refused for as long as the old lease lives, then granted a session of its own', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit();
    a.talk().vanish();
    const b = successor(a, 'a-instance-0002');
    w.advance(5_000);
    b.connect();
    expect(b.refused).toBe('in_use');
    expect(w.frames.find((f) => f.kind === 'refused')).toMatchObject({ refused: { delayMs: L - 5_000 } });
    w.pass(L - 5_000);
    b.connect();
    expect(b.refused).toBeNull();
    expect(w.session(b.agentId)).toMatchObject({ epoch: 2n, instanceId: 'a-instance-0002' });
    checkWorld(w);
  });

  test('that is refused still has its finished reports judged and acknowledged', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk().end(a.only).vanish();
    const b = successor(a, 'a-instance-0002');
    b.connect();
    expect(b.refused).toBe('in_use');
    expect(b.acknowledged).toEqual([{ token: 1n, disposition: 'recorded' }]);
    expect(w.task(taskId).state).toBe('success');
    checkWorld(w);
  });

  test('of two new instances in one batch grants the first and refuses the second for the whole lease', () => {
    const w = world();
    const a = agent(w, 'a');
    const b = agent(w, 'a', { instanceId: 'a-instance-0002' });
    w.feed(a.helloInput(), b.helloInput());
    expect(a.epoch).toBe(1n);
    expect(b.refused).toBe('in_use');
    expect(w.frames.at(0)).toMatchObject({ refused: { delayMs: L } });
    checkWorld(w);
  });

  test('after FAILED brings the same process back with a new epoch', () => {
    const w = world();
    const a = ready(w, 'a');
    a.cut();
    w.pass(L);
    a.connect();
    expect(a.epoch).toBe(2n);
    expect([...w.sessions.values()].map((s) => s.state)).toEqual(['failed', 'live']);
    checkWorld(w);
  });

  test('in the batch of the tick that finds the lease over keeps the session: nothing of it is failed', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk().cut();
    w.advance(L);
    w.feed(a.helloInput(), { kind: 'tick' });
    expect(w.session(a.agentId).state).toBe('live');
    expect(w.task(taskId).open?.lost).toBeNull();
    checkWorld(w);
  });

  test('whose stream is lost in the same batch leaves its agent SUSPECT at once (P4)', () => {
    const w = world();
    const a = agent(w, 'a');
    const hello = a.helloInput();
    const { streamId } = a;
    if (streamId !== null) w.feed(hello, { kind: 'stream_closed', streamId });
    const taskId = w.submit();
    expect(w.state.presences.get(1n as Epoch)?.streamId).toBeNull();
    expect(w.state.offered.has(taskId)).toBe(false);
    checkWorld(w);
  });

  test('beyond the limit of sessions is refused as full', () => {
    const w = world({ limits: { sessions: 1 } });
    ready(w, 'a');
    expect(agent(w, 'b').connect().refused).toBe('full');
  });

  test('with another kind under a name that still holds runs is refused', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit({ partitionPolicy: 'hold' });
    a.talk().vanish();
    w.pass(L);
    expect(agent(w, 'a', { kind: 'triggerer', instanceId: 'a-instance-0002' }).connect().refused).toBe(
      'unsupported',
    );
  });

  test('with a token far beyond any drawn is refused: one wild number must not use the counters up', () => {
    const w = world();
    const a = agent(w, 'a');
    a.highestToken = 2_000_000_000_000n as Token;
    expect(a.connect().refused).toBe('unsupported');
    expect(w.counters.token).toBe(0n);
  });
});

describe('proof of a predecessor’s death (P5)', () => {
  const crashed = (process = MACHINE) => {
    const w = world();
    const a = ready(w, 'a', { process });
    const taskId = w.submit({ partitionPolicy: 'hold' });
    a.talk().vanish();
    return { w, a, taskId };
  };

  test('lets the successor in at once, and what the journal knows decides', () => {
    const { w, a, taskId } = crashed();
    const b = successor(a, 'a-instance-0002');
    b.connect({ proof: proofOf(a) });
    expect(b.refused).toBeNull();
    expect([...w.sessions.values()].map((s) => s.state)).toEqual(['ended', 'live']);
    expect(w.task(taskId)).toMatchObject({ state: 'queued', open: null });
    expect(w.events(taskId)).toEqual(['submitted', 'permitted', 'lost_reported', 'requeued']);
    checkWorld(w);
  });

  test('gives back a permit that the dead process never journalled as never started', () => {
    const { w, a, taskId } = crashed();
    const b = successor(a, 'a-instance-0002');
    b.reports.clear();
    b.connect({ proof: proofOf(a) });
    expect(w.task(taskId)).toMatchObject({ state: 'queued', open: null });
    checkWorld(w);
  });

  test('releases a lost try that is held, even though its lease ended before', () => {
    const { w, a, taskId } = crashed();
    w.pass(L);
    expect(w.task(taskId)).toMatchObject({ state: 'running', open: { lost: { rule: 'hold' } } });
    const b = successor(a, 'a-instance-0002');
    b.reports.clear();
    b.connect({ proof: proofOf(a) });
    expect(w.task(taskId)).toMatchObject({ state: 'queued', open: null });
  });

  test('leaves no trace of the dead session in memory', () => {
    const { w, a } = crashed();
    successor(a, 'a-instance-0002').connect({ proof: proofOf(a) });
    expect([...w.state.sessions.keys()]).toEqual([2n]);
    checkWorld(w);
  });

  const wrong = [
    { what: 'boot', proof: { bootId: 'boot-2' } },
    { what: 'device', proof: { lockDevice: 9n } },
    { what: 'inode', proof: { lockInode: 9n } },
    { what: 'instance', proof: { instanceId: 'a-instance-0009' as never } },
  ];
  for (const { what, proof } of wrong) {
    test(`of another ${what} proves nothing`, () => {
      const { w, a } = crashed();
      const b = successor(a, 'a-instance-0002');
      const right = proofOf(a);
      b.connect({ proof: right && { ...right, ...proof } });
      expect(b.refused).toBe('in_use');
      expect(w.session(a.agentId).state).toBe('live');
    });
  }

  test('from a process in another boot, or where the boot is unknown, proves nothing', () => {
    const { a } = crashed();
    const moved = successor(a, 'a-instance-0002', { ...MACHINE, bootId: 'boot-2' });
    expect(moved.connect({ proof: proofOf(a) }).refused).toBe('in_use');
    const unknown = crashed({ ...MACHINE, bootId: '' });
    const next = successor(unknown.a, 'a-instance-0002');
    expect(next.connect({ proof: proofOf(unknown.a) }).refused).toBe('in_use');
  });
});

describe('a Goodbye', () => {
  test('with an empty inventory ends the session on purpose', () => {
    const w = world();
    const a = ready(w, 'a');
    a.goodbye();
    expect(a.farewell).toBe(true);
    expect(w.session(a.agentId)).toMatchObject({ state: 'ended', endReason: 'drained' });
    checkWorld(w);
  });

  test('right after the acknowledgement of the last report counts as empty', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit();
    a.talk().end(a.only).beat();
    expect(a.inventory.count).toBe(0);
    a.goodbye();
    expect(a.farewell).toBe(true);
    expect(w.session(a.agentId).state).toBe('ended');
    checkWorld(w);
  });

  test('of an agent that is known to hold a run ends nothing', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    a.goodbye();
    expect(a.farewell).toBe(false);
    expect(w.session(a.agentId).state).toBe('live');
    expect(w.task(taskId).state).toBe('running');
  });

  test('gives back what was offered', () => {
    const w = world();
    const a = ready(w, 'a');
    const b = ready(w, 'b');
    a.asking = b.asking = false;
    const taskIds = [w.submit(), w.submit()];
    a.goodbye();
    b.asking = true;
    settleDown(b);
    expect(taskIds.map((taskId) => w.task(taskId).lastAgentId)).toContain('b');
    checkWorld(w);
  });

  test('that does not end the session is only the end of a stream', () => {
    const w = world();
    const a = ready(w, 'a');
    const { streamId } = a;
    if (streamId !== null) w.feed({ kind: 'goodbye', streamId, endsSession: false, reason: 'redial' });
    expect(w.session(a.agentId).state).toBe('live');
    a.cut();
    expect(w.session(a.agentId).state).toBe('live');
  });
});

describe('recovery (P18)', () => {
  test('after a restore nothing is permitted until a lease has passed', () => {
    const w = world();
    const a = ready(w, 'a');
    const b = ready(w, 'b');
    w.counters = { ...w.counters, recovery: RESTORED };
    w.restart();
    a.connect().talk();
    const taskId = w.submit();
    b.connect().talk();
    live(w, L - 1_000, a, b);
    expect(w.task(taskId).state).toBe('queued');
    live(w, 2_000, a, b);
    expect(w.task(taskId).state).toBe('running');
  });

  test('after a restore tokens and epochs leap beyond all that may have been drawn since the backup (I1)', () => {
    const w = world();
    const a = ready(w, 'a', { slots: 2 });
    const first = w.submit();
    a.talk();
    const { lastToken } = w.task(first);
    a.end(lastToken).talk();
    const { epoch } = w.counters;
    w.counters = { ...w.counters, recovery: RESTORED };
    w.restart();
    a.connect().talk();
    w.failCommits = 1;
    const taskIds = [w.submit(), w.submit()];
    live(w, L + H, a);
    const [second, third] = taskIds.map((taskId) => w.task(taskId).lastToken);
    expect(second).toBe(lastToken + 1_000_000_001n);
    expect(third).toBe(lastToken + 1_000_000_002n);
    ready(w, 'b');
    expect(w.counters.epoch).toBe(epoch + 1_000_000_001n);
  });

  test('counts on far beyond the highest token that an agent has seen, and gives no permit until L has passed', () => {
    const w = world();
    const a = ready(w, 'a');
    const b = agent(w, 'b');
    b.highestToken = 41n as Token;
    b.connect().talk();
    expect(w.counters.token).toBe(1_000_041n);
    expect(w.noted('commits_lost')).toHaveLength(1);
    const taskId = w.submit();
    settleDown(a, b);
    expect(w.task(taskId).state).toBe('queued');
    live(w, L, a, b);
    settleDown(a, b);
    expect(w.task(taskId)).toMatchObject({ state: 'running', lastToken: 1_000_042n });
    checkWorld(w);
  });

  test('waits on when every known session has shown its inventory: others were granted in the lost commits', () => {
    const w = world();
    const a = ready(w, 'a');
    const b = ready(w, 'b');
    w.restart();
    b.highestToken = 41n as Token;
    b.connect().talk();
    const taskId = w.submit();
    a.connect().talk();
    live(w, L - 1_000, a, b);
    expect(w.task(taskId).state).toBe('queued');
    live(w, 1_000, a, b);
    settleDown(a, b);
    expect(w.task(taskId).state).toBe('running');
    checkWorld(w);
  });

  test('counts on beyond the highest epoch, too', () => {
    const w = world();
    const a = agent(w, 'a');
    a.epoch = 9n as Epoch;
    a.connect();
    expect(w.session(a.agentId).epoch).toBe(1_000_010n);
  });

  test('ends a session whose process was granted a newer one in the lost commits', () => {
    const w = world();
    const a = ready(w, 'a');
    const backup = w.backup();
    a.cut();
    w.pass(L);
    a.connect().talk();
    expect(a.epoch).toBe(2n);
    w.restore(backup);
    a.connect().talk();
    expect(a.epoch).toBeGreaterThan(2n);
    expect(w.sessions.get(1n as Epoch)?.state).toBe('ended');
    checkWorld(w);
  });

  test('leaves the report of a refused Hello unanswered while its token may still be taken back', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    const backup = w.backup();
    a.talk();
    a.end(a.only);
    a.vanish();
    w.restore(backup);
    const b = successor(a, 'a-instance-0002');
    b.connect();
    expect(b).toMatchObject({ refused: 'in_use', acknowledged: [] });
    w.pass(L);
    b.connect().talk();
    expect(w.task(taskId)).toMatchObject({ state: 'success', tryNumber: 1 });
    checkWorld(w);
  });
});

describe('a restart of the coordinator (P7)', () => {
  test('gives every session a new term, and takes back its runs without a loss', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    w.restart(10 * L);
    w.advance(L - 1);
    w.tick();
    expect(w.session(a.agentId).state).toBe('live');
    a.connect().talk();
    expect(w.task(taskId)).toMatchObject({ state: 'running', losses: [], open: { epoch: 1n, lost: null } });
    a.end(a.only).talk();
    expect(w.task(taskId).state).toBe('success');
    checkWorld(w);
  });

  test('takes longer terms when very many sessions have to come back', () => {
    const w = world({ recoveryPerSecond: 1 });
    for (let n = 0; n < 20; n++) agent(w, `a${n}`).connect();
    w.restart();
    w.advance(20_000 - 1);
    w.tick();
    expect(w.noted('agent_failed')).toHaveLength(0);
    w.advance(1);
    w.tick();
    expect(w.noted('agent_failed')).toHaveLength(20);
  });

  test('says of an agent that it never heard how long it has waited for it, not that it was just heard', () => {
    const w = world();
    ready(w, 'a');
    w.restart(10 * L);
    w.advance(L);
    w.tick();
    expect(w.noted('agent_failed')).toMatchObject([{ agentId: 'a', silentMs: L }]);
  });

  test('counts a permit whose agent never returned as seen running: nobody can deny it', () => {
    const w = world({ stormBrake: false });
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    w.restart();
    w.pass(L);
    expect(w.task(taskId).losses).toHaveLength(1);
  });
});

describe('a stall of the coordinator (P7)', () => {
  test('extends every lease by its length', () => {
    const w = world();
    const a = ready(w, 'a');
    w.advance(L + 2_000);
    w.feed({ kind: 'stall', ms: 3_000 }, { kind: 'tick' });
    expect(w.session(a.agentId).state).toBe('live');
    w.advance(1_000);
    w.tick();
    expect(w.session(a.agentId).state).toBe('failed');
  });

  test('does not make the streams look silent', () => {
    const w = world();
    const a = ready(w, 'a');
    w.advance(2 * H);
    w.feed({ kind: 'stall', ms: 2 * H }, { kind: 'tick' });
    expect(a.closed).toBeNull();
  });
});
