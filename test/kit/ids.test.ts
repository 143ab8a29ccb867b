import { expect, test } from '@jest/globals';
import { NAME_PATTERN } from '../../src/kit/ids.js';

test('a name is 1 to 128 letters, digits, dots, underscores and dashes, and starts with a letter or digit', () => {
  for (const name of ['a', '9', 'worker-1.eu_west', 'x'.repeat(128)]) expect(name).toMatch(NAME_PATTERN);
  for (const name of ['', '-a', '.a', 'a b', 'a/b', 'ä', 'x'.repeat(129), 'a\n'])
    expect(name).not.toMatch(NAME_PATTERN);
});
