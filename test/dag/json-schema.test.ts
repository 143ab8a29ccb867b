import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { dagSchema } from '../../src/dag/format/json-schema.js';
import { COMMON_FIELDS, dagFile, TASK_FIELDS } from '../../src/dag/format/schema.js';

const docs = resolve(import.meta.dirname, '../../docs/reference');
const fixture = (path: string): unknown[] =>
  parseAllDocuments(
    readFileSync(resolve(import.meta.dirname, 'fixtures', path), 'utf8').replaceAll('\t', ' '),
  ).map((document): unknown => document.toJS());

describe('the JSON Schema of DAG files', () => {
  // Read back by a validator of JSON Schemas that knows nothing of the checks which it was written from.
  const schema = z.fromJSONSchema(dagSchema() as Parameters<typeof z.fromJSONSchema>[0]);

  test('is the one that ships', () => {
    expect(JSON.parse(readFileSync(resolve(docs, 'dag.schema.json'), 'utf8'))).toEqual(dagSchema());
  });

  test.each(['good/weather.dag.yaml', 'good/hello.dag.json'])('accepts %s', (path) => {
    for (const document of fixture(path)) expect(schema.safeParse(document).error?.issues).toBeUndefined();
  });

  test.each([
    [{ dag_id: 'a' }],
    [{ dag_id: 'a b', tasks: { t: {} } }],
    [{ dag_id: 'a', tasks: { t: { comand: 'x' } } }],
    [{ dag_id: 'a', tasks: { t: { retries: -1 } } }],
    [{ dag_id: 'a', tasks: { t: { execution_timeout: '15' } } }],
    [{ dag_id: 'a', tasks: { t: { trigger_rule: 'all' } } }],
    [{ dag_id: 'a', schedule: { crn: 'x' }, tasks: { t: {} } }],
  ])('refuses %j', (value) => {
    expect(schema.safeParse(value).success).toBe(false);
  });
});

test('the reference of DAG files says what each field is', () => {
  const page = readFileSync(resolve(docs, 'dag-files.md'), 'utf8');
  const rows = [...Object.keys(dagFile.shape), ...TASK_FIELDS, 'task_id'].map((field) =>
    COMMON_FIELDS.includes(field) ? `| \`${field}\` † |` : `| \`${field}\` |`,
  );
  expect(rows.filter((row) => !page.includes(row))).toEqual([]);
});
