import { describe, expect, test } from '@jest/globals';
import { agent, ready, settleDown } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { H, L, world } from './support.js';

describe('a batch', () => {
  test('takes in all facts before it decides: the heartbeat behind a tick counts', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    w.advance(L);
    w.feed({ kind: 'tick' }, a.beatInput());
    expect(w.session(a.agentId).state).toBe('live');
    expect(w.task(taskId).open?.lost).toBeNull();
  });

  test('counts the Hello behind a tick before it judges leases', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit();
    w.advance(L);
    w.feed({ kind: 'tick' }, a.helloInput());
    expect(w.session(a.agentId)).toMatchObject({ state: 'live', epoch: 1n });
    checkWorld(w);
  });

  test('ignores what an older stream says once a newer one is attached in it (P5)', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    const old = a.beatInput();
    w.feed(a.helloInput(), old);
    expect(w.task(taskId).state).toBe('queued');
    expect(a.verdicts).toMatchObject([{ kind: 'never_start' }]);
    settleDown(a);
    expect(w.task(taskId).state).toBe('running');
    checkWorld(w);
  });

  test('with a start on the older stream before the Hello tells the permit on the newer one', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    const old = a.beatInput();
    w.feed(old, a.helloInput());
    expect(a.verdicts).toMatchObject([{ kind: 'keep' }]);
    expect(a.started).toEqual([1n]);
    expect(w.task(taskId)).toMatchObject({ state: 'running', tryNumber: 1 });
    a.talk();
    checkWorld(w);
  });

  test('with the end of the stream drops what came on it, and loses nothing: the Hello says it again', () => {
    const w = world();
    const a = ready(w, 'a');
    const taskId = w.submit();
    a.talk();
    a.end(a.only);
    const beat = a.beatInput();
    const { streamId } = a;
    a.vanish();
    if (streamId !== null) w.feed(beat, { kind: 'stream_closed', streamId });
    expect(w.task(taskId).state).toBe('running');
    a.connect();
    expect(w.task(taskId).state).toBe('success');
    checkWorld(w);
  });

  test('whose commit fails is decided again to the same end, facts counted once', () => {
    const story = (failures: number) => {
      const w = world();
      const [a, b] = [agent(w, 'a', { slots: 2 }), agent(w, 'b')];
      const fail = () => {
        w.failCommits = failures;
      };
      fail();
      w.feed(a.helloInput(), b.helloInput());
      settleDown(a, b);
      for (let n = 0; n < 5; n++) {
        fail();
        w.submit({ retries: n });
      }
      settleDown(a, b);
      fail();
      a.end(a.running[0] ?? a.only, 'failed').beat();
      fail();
      b.cut();
      w.advance(2 * H);
      a.beat();
      fail();
      w.tick();
      checkWorld(w);
      return [...w.tasks.values()].map((task) => [
        task.taskId,
        task.state,
        task.lastToken,
        task.historyCount,
      ]);
    };
    expect(story(2)).toEqual(story(0));
  });

  test('is pure: deciding changes neither rows nor what is settled', () => {
    const w = world();
    const a = ready(w, 'a');
    w.submit();
    a.deaf = true;
    a.beat();
    w.advance(2 * H);
    const before = w.frames.length;
    w.failCommits = 1;
    const frames = w.tick();
    expect(w.frames.length - before).toBe(frames.length);
    checkWorld(w);
  });
});
