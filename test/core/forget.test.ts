import { describe, expect, test } from '@jest/globals';
import { DEFAULT_POLICY } from '../../src/core/policy.js';
import type { AgentId } from '../../src/kit/ids.js';
import { HOUR, MINUTE } from '../../src/kit/time.js';
import { live, MACHINE, proofOf, ready, successor } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { L, type World, world } from './support.js';

const AGE = HOUR;
const aged = (limits: object = {}): World =>
  world({ prefetch: 0, limits, retention: { ...DEFAULT_POLICY.retention, agentAgeMs: AGE } });
const known = (w: World): string[] => [...w.agents.keys()].sort();
const ID = 'a' as AgentId;

describe('an agent that never comes back', () => {
  test('is forgotten with its sessions an hour after its last one ended, if that is its age; not before, and not one that lives', () => {
    const w = aged();
    const b = ready(w, 'b');
    ready(w, 'a').vanish();
    live(w, L, b);
    const endedAt = w.session(ID).endedAt as number;
    live(w, AGE - 2 * MINUTE, b);
    expect(known(w)).toEqual(['a', 'b']);
    live(w, 4 * MINUTE, b);
    expect(known(w)).toEqual(['b']);
    expect(w.wall - endedAt).toBeGreaterThan(AGE);
    expect([...w.sessions.values()].map((session) => session.agentId)).toEqual(['b']);
    expect(w.state.agents.has(ID)).toBe(false);
    expect(w.state.newestSession(ID)).toBeUndefined();
    expect(w.noted('agent_forgotten')).toEqual([{ kind: 'agent_forgotten', agentId: 'a' }]);
    checkWorld(w);
  });

  test('comes back like a new one', () => {
    const w = aged();
    const a = ready(w, 'a');
    a.vanish();
    w.pass(L + AGE + 2 * MINUTE, MINUTE);
    expect(known(w)).toEqual([]);
    const taskId = w.submit();
    a.connect().talk();
    expect(w.task(taskId).state).toBe('running');
    checkWorld(w);
  });

  test('is kept while a token is open for it, so that its successor can prove its death (P5, P11)', () => {
    const w = aged();
    const a = ready(w, 'a', { process: MACHINE });
    const taskId = w.submit({ partitionPolicy: 'hold', holdTimeoutMs: 10 * AGE });
    a.talk();
    a.vanish();
    w.pass(L + 3 * AGE, MINUTE);
    expect(known(w)).toEqual(['a']);
    expect(w.task(taskId).open?.lost).not.toBeNull();
    successor(a, 'a-2', MACHINE)
      .connect({ proof: proofOf(a) })
      .talk();
    expect(w.task(taskId)).toMatchObject({ state: 'running', tryNumber: 2 });
    expect(w.events(taskId)).toContain('lost_reported');
    checkWorld(w);
  });

  test('is kept while it is cordoned, because an operator has said so, and not when it was drained', () => {
    const w = aged();
    for (const id of ['cordoned', 'drained']) ready(w, id).vanish();
    w.call((callId) => ({ kind: 'cordon', callId, agentId: 'cordoned' as AgentId }));
    w.call((callId) => ({ kind: 'drain', callId, agentId: 'drained' as AgentId, timeoutMs: null }));
    w.pass(L + AGE + 2 * MINUTE, MINUTE);
    expect(known(w)).toEqual(['cordoned']);
    w.call((callId) => ({ kind: 'uncordon', callId, agentId: 'cordoned' as AgentId }));
    w.pass(2 * MINUTE, MINUTE);
    expect(known(w)).toEqual([]);
    checkWorld(w);
  });

  test('is not forgotten by the batch in which it says Hello, or in which somebody cordons it', () => {
    const w = aged();
    const [a, b] = [ready(w, 'a'), ready(w, 'b')];
    for (const agent of [a, b]) agent.vanish();
    w.pass(L, 1_000);
    w.advance(AGE + MINUTE);
    const cordon = { kind: 'cordon' as const, callId: 77, agentId: 'b' as AgentId };
    w.feed(a.helloInput(), cordon, { kind: 'tick' });
    expect(known(w)).toEqual(['a', 'b']);
    expect(w.reply(77)).toMatchObject({ kind: 'agent' });
    checkWorld(w);
  });

  test('goes in bounded steps, after a restart too', () => {
    const w = aged({ pruneStep: 2 });
    for (let n = 0; n < 5; n++) ready(w, `a${n}`).vanish();
    w.pass(L, 1_000);
    w.restart(AGE + MINUTE);
    const left = [0, 1, 2].map(() => {
      w.tick();
      return known(w).length;
    });
    expect(left).toEqual([3, 1, 0]);
    checkWorld(w);
  });
});
