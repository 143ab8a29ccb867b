import { describe, expect, test } from '@jest/globals';
import { Deviation } from '../../src/testing/conformance/case.js';
import { Watched } from '../../src/testing/conformance/watch.js';

const LONG_MS = 60_000;

describe('waiting for an agent', () => {
  test('ends with what is there already, and with what a change brings', async () => {
    const watched = new Watched();
    await expect(watched.until('it', LONG_MS, () => 1)).resolves.toBe(1);
    let found: number | undefined;
    const waited = watched.until('it', LONG_MS, () => found);
    found = 2;
    watched.changed();
    await expect(waited).resolves.toBe(2);
  });

  test('ends in vain when its time is over, and says what was expected', async () => {
    const waited = new Watched().until('a heartbeat', 1, () => undefined);
    await expect(waited).rejects.toThrow(/^expected a heartbeat, and waited /);
    await expect(waited).rejects.toBeInstanceOf(Deviation);
  });

  test('ends with what the look throws, at once', async () => {
    const watched = new Watched();
    let isOver = false;
    const waited = watched.until('it', LONG_MS, () => {
      if (isOver) throw new Deviation('the stream was ended');
    });
    isOver = true;
    watched.changed();
    await expect(waited).rejects.toThrow('the stream was ended');
  });

  test('ends for everybody when the case is over, later waits included', async () => {
    const watched = new Watched();
    const waited = watched.until('it', LONG_MS, () => undefined);
    watched.close('the case took too long');
    await expect(waited).rejects.toThrow('the case took too long');
    await expect(watched.until('it', LONG_MS, () => undefined)).rejects.toThrow('the case took too long');
  });
});
