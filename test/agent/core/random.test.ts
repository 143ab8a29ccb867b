import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RandomCoordinator, type Step, WHATS } from './random-coordinator.js';

/** What brings a run on its way comes often, what breaks it now and then. */
const OFTEN: readonly Step['what'][] = [
  'offer',
  'deliver',
  'flush',
  'answer',
  'open',
  'greet',
  'end',
  'acknowledge',
  'stop',
];
const what = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...OFTEN) },
  { weight: 1, arbitrary: fc.constantFrom(...WHATS) },
);
const step: fc.Arbitrary<Step> = fc.record({ what, pick: fc.nat({ max: 60 }) });
const BEGIN: readonly Step[] = [
  { what: 'open', pick: 0 },
  { what: 'greet', pick: 2 },
];

function play(steps: readonly Step[]): RandomCoordinator {
  const coordinator = new RandomCoordinator();
  for (const one of [...BEGIN, ...steps]) {
    coordinator.happen(one);
    if (coordinator.faults.length > 0) return coordinator;
  }
  coordinator.rest();
  return coordinator;
}

test('whatever happens, the agent counts and hashes its inventory as a coordinator does that follows the proto', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 120, size: 'max' }), (steps) => {
      expect(play(steps).faults).toEqual([]);
    }),
    { numRuns: 1_500 },
  );
});

test('the random coordinator gets as far as starts, reports and stops', () => {
  const seen = new Map<string, number>();
  for (const steps of fc.sample(fc.array(step, { minLength: 100, maxLength: 120, size: 'max' }), 200)) {
    for (const { kind } of play(steps).scene.effects) seen.set(kind, (seen.get(kind) ?? 0) + 1);
  }
  for (const kind of ['start', 'stop_run', 'forget_report', 'dial'])
    expect(seen.get(kind)).toBeGreaterThan(20);
});
