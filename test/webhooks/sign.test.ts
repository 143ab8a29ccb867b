import { describe, expect, test } from '@jest/globals';
import { keysOf, signatureOf } from '../../src/webhooks/sign.js';

const keys = (secret: string): readonly Buffer[] => {
  const found = keysOf(secret);
  if (typeof found === 'string') throw new Error(found);
  return found;
};

describe('a signature', () => {
  // The example of the Standard Webhooks specification: its libraries verify what we sign.
  const example = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
  const expected = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';

  test('is that of the Standard Webhooks example', () => {
    expect(signatureOf(keys(example), id, 1_614_265_330, '{"test": 2432232314}')).toBe(expected);
  });

  test('is given once for each key while one replaces another', () => {
    const other = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    const [first, second, ...more] = signatureOf(
      keys(`${example}\n${other}\n`),
      id,
      1_614_265_330,
      '{"test": 2432232314}',
    ).split(' ');
    expect(first).toBe(expected);
    expect(second).toMatch(/^v1,/);
    expect(more).toEqual([]);
  });

  test.each([
    ['', 'it has 0 keys'],
    ['whsec_c2hvcnQ=', 'key 1 must be'],
    ['a password that is long enough', 'it has 6 keys'],
    [`${'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw '.repeat(5)}`, 'it has 5 keys'],
    [`whsec_${'A'.repeat(200)}`, 'key 1 must be'],
  ])('needs keys that are long enough: %p is refused without being repeated', (secret, because) => {
    const fault = keysOf(secret);
    expect(fault).toContain(because);
    expect(fault).not.toContain(secret.trim() || 'whsec_c2hvcnQ=');
  });
});
