import { expect, test } from '@jest/globals';
import { EVENTS } from '../../src/core/history.js';

test('every event of a history has a stable lower-case name and says what it means', () => {
  for (const [name, meaning] of Object.entries(EVENTS)) {
    expect(name).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(meaning.length).toBeGreaterThan(5);
  }
});
