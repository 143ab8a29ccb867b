import { describe, expect, test } from '@jest/globals';
import { H, Scene } from './scene.js';

function connected(): Scene {
  const scene = new Scene();
  scene.connect();
  return scene;
}

describe('a goodbye that is not answered', () => {
  test('asks for no tick at an instant that has passed: the agent does not spin while it waits', () => {
    const scene = connected();
    scene.turn({ kind: 'drain', timeoutMs: null });
    expect(scene.goodbyes).toBe(1);
    scene.advance(H + 1);
    expect(scene.session.nextTick()).toBeGreaterThan(scene.mono);
  });

  test('ends the agent once the stream is given up: nothing is held, so nothing depends on it', () => {
    const scene = connected();
    scene.turn({ kind: 'drain', timeoutMs: null });
    scene.tick(2 * H);
    expect(scene.of('exit')).toHaveLength(1);
  });
});
