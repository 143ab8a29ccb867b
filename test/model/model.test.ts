import { describe, expect, test } from '@jest/globals';
import { type Bounds, explore, RULES, WITHOUT } from '../../src/testing/model/index.js';

/** A corner of the worlds that `npm run model` explores to the end. */
function small(bounds: Bounds): Bounds {
  return { ...bounds, streams: [1, bounds.streams[1]] };
}

describe('every order of events of the handshake', () => {
  test.each(['reassign', 'single_run'] as const)('breaks no promise under %s', (policy) => {
    const bounds = { ...WITHOUT.releaseFirst, policy };
    const { fault, cutOff, states } = explore(small(bounds), new Set());
    expect({ fault, cutOff }).toEqual({ fault: null, cutOff: false });
    expect(states).toBeGreaterThan(1_000);
  });

  test('is explored the same way each time', () => {
    const bounds = small(WITHOUT.gateFromSend);
    const off = new Set(['gateFromSend'] as const);
    expect(explore(bounds, off)).toEqual(explore(bounds, off));
  });

  // The others need more streams or a finer clock, and more seconds than a unit test has.
  const QUICK = RULES.filter(({ name }) => name !== 'newEpoch' && name !== 'noAckAfterDecision');

  test.each(QUICK)('breaks a promise without $rule: $says', ({ name }) => {
    expect(explore(WITHOUT[name], new Set([name]), 200_000).fault).not.toBeNull();
  });
});
