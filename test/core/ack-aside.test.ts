import { describe, expect, test } from '@jest/globals';
import { ackAside } from '../../src/core/ack-aside.js';
import { NOTHING_OF_DAGS } from '../../src/core/dag/inputs.js';
import { Draft } from '../../src/core/draft.js';
import { ready } from './agent-model.js';
import { L, type World, world } from './support.js';

/** A decision that waits for its commit. */
const pendingIn = (w: World): Draft =>
  new Draft(w.state, w.context(), {
    ...{ tasks: new Map(), histories: new Map(), byKey: new Map(), due: [], finished: null },
    dags: NOTHING_OF_DAGS,
  });

function waiting() {
  const w = world();
  const a = ready(w, 'a');
  const { streamId } = a;
  if (streamId === null) throw new Error('it has no stream');
  const sent = w.state.presences.get(a.epoch)?.sent ?? 0;
  return { w, a, streamId, sent };
}

describe('a heartbeat that waits for the store', () => {
  test('is acknowledged by its number, with the next number of the stream and nothing else', () => {
    const { w, streamId, sent } = waiting();
    const frame = ackAside(w.state, pendingIn(w), streamId, 7);
    expect(frame).toMatchObject({
      kind: 'ack',
      streamId,
      ack: { number: sent + 1, received: 7, permits: [], offers: [], acknowledgements: [] },
    });
    w.advance(1);
    expect(ackAside(w.state, null, streamId, 8)).toMatchObject({ ack: { number: sent + 2, received: 8 } });
  });

  test('is not acknowledged once its session has failed, or is about to by what is being committed (P1)', () => {
    const { w, a, streamId, sent } = waiting();
    const pending = pendingIn(w);
    pending.putSession({ ...w.session(a.agentId), state: 'failed' });
    expect(ackAside(w.state, pending, streamId, 7)).toBeNull();
    expect(w.state.presences.get(a.epoch)?.sent).toBe(sent);
    w.advance(L);
    w.tick();
    expect(ackAside(w.state, null, streamId, 7)).toBeNull();
  });
});
