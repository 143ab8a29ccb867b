import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';

/*
 * Bad input of DAGs, and where its answer is tested: for readers, who find what they look for, and for writers, who cannot take a
 * test away without being told. Each row: what is wrong, the file of the test, words that the test holds.
 */
const ANSWERED: readonly (readonly [input: string, file: string, words: string])[] = [
  ['a cycle, named task by task', 'dag/read', 'these tasks wait for each other: a needs c needs b needs a'],
  ['unknown needs', 'dag/read', 'and there is no such task (did you mean load?)'],
  ['duplicate ids', 'dag/read', 'there are two tasks "t"'],
  ['a bad cron expression', 'dag/read', 'is no schedule'],
  ['a bad zone', 'dag/read', 'there is no time zone "Nowhere"'],
  ['a cron expression that never fires', 'dag/read', 'is no schedule: it never fires'],
  ['params of the wrong type', 'wire/dags', "'INVALID_PARAMS'"],
  ['templates that refer to nothing', 'dag/read', 'cannot be filled in'],
  [
    'a mapped list beyond the limit',
    'core/dag/limits',
    'a list of as many elements as are allowed is mapped, of one more it is not',
  ],
  ['10,000 tasks, and 10,001', 'dag/read', 'are 10,000 tasks, which are read, with 10,001 refused'],
  [
    'snapshot chunks that are missing or out of order',
    'wire/bundles',
    'with chunks missing or out of order is told where to go on',
  ],
  [
    'snapshot chunks that are repeated',
    'wire/bundles',
    'whose chunks come again, whole or in part, is the same',
  ],
  ['a snapshot larger than the limit', 'wire/bundles', 'when it is larger than 64 MiB'],
  [
    'an unknown trigger kind',
    'core/explain-wait',
    'is the kind that was probably meant by one that nobody has',
  ],
  [
    'a trigger that throws',
    'e2e/trigger-faults.long',
    'fails its own task, by name, and costs neither the lease nor the other triggers',
  ],
  ['a trigger that blocks', 'e2e/trigger-faults.long', "blocks: 'trigger_blocked'"],
  [
    'an event of a trigger that is too large',
    'wire/triggers',
    "'of more than 64 KiB', { payload: LARGE }, 'payload_too_large'",
  ],
  [
    'an event by hand that is too large',
    'wire/run-steering',
    'what is too large is told by its size, with advice that fits',
  ],
  ['a run for an unknown DAG', 'wire/dags', "'of an unknown DAG'"],
  ['a run for a paused DAG', 'wire/dags', "'of a paused DAG'"],
  ['an asset event for an unknown asset', 'wire/run-steering', "['EmitAssetEvent', 'ASSET_NOT_FOUND'"],
];

describe('bad input is answered, and the answer tested', () => {
  test.each(ANSWERED)('%s: test/%s', (_, file, words) => {
    const path = file.endsWith('.long') ? file : `${file}.test`;
    const text = readFileSync(new URL(`../${path}.ts`, import.meta.url), 'utf8');
    expect(text).toContain(words);
  });
});
