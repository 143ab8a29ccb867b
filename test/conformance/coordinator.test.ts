import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  COORDINATOR_CASES,
  jsonOf,
  probeCoordinator,
  runCoordinatorCases,
} from '../../src/testing/conformance/index.js';
import { Authority } from '../wire/support/certificates.js';
import { Stage } from '../wire/support/stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.start({ heartbeatIntervalMs: 1_000 });
});
afterAll(() => stage.close());

describe('the conformance kit for coordinators', () => {
  test('is passed by ours, every case of it', async () => {
    const results = await runCoordinatorCases({
      ...{ address: stage.address, tls: null, patienceMs: 15_000, cases: COORDINATOR_CASES, parallel: 12 },
      ...{ told: () => undefined, signal: new AbortController().signal },
    });
    const failed = results.filter(({ outcome }) => outcome !== 'pass');
    expect(failed.map(({ case: { id }, seen }) => `${id}: ${seen}`)).toEqual([]);
    expect(results).toHaveLength(COORDINATOR_CASES.length);
    expect(jsonOf('coordinator', results)).toMatchObject({ kind: 'coordinator', conforms: true });
  }, 120_000);

  test('plays over TLS where the coordinator speaks it, agents and callers alike', async () => {
    const authority = new Authority();
    const tls = { ...authority.server(), clientCaFile: null };
    const secured = await Stage.start({ heartbeatIntervalMs: 1_000 }, undefined, tls);
    const options = { address: secured.address, tls: { caFile: authority.caFile }, patienceMs: 15_000 };
    try {
      await expect(probeCoordinator({ ...options, tls: null })).rejects.toThrow('UNAVAILABLE');
      await probeCoordinator(options);
      const cases = COORDINATOR_CASES.filter(({ id }) => /^(start|report)\./.test(id));
      const signal = new AbortController().signal;
      const results = await runCoordinatorCases({
        ...options,
        ...{ cases, parallel: 12, told: () => undefined, signal },
      });
      const failed = results.filter(({ outcome }) => outcome !== 'pass');
      expect(failed.map(({ case: { id }, seen }) => `${id}: ${seen}`)).toEqual([]);
      expect(results.length).toBeGreaterThan(0);
    } finally {
      await secured.close();
      authority.close();
    }
  }, 120_000);

  test('says so where no coordinator answers', async () => {
    await expect(probeCoordinator({ address: '127.0.0.1:1', tls: null, patienceMs: 1_000 })).rejects.toThrow(
      'UNAVAILABLE',
    );
  });

  test('names every case once, by a rule of the protocol', () => {
    const ids = COORDINATOR_CASES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(COORDINATOR_CASES.filter(({ title, rule }) => title === '' || rule === '')).toEqual([]);
  });
});
