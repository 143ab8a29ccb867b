import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Json } from '../../../src/core/dag/definition.js';
import {
  type Filled,
  fill,
  fillInput,
  fillText,
  isTruthy,
  type Scope,
  textsWithin,
} from '../../../src/core/dag/fill.js';
import { parseTemplate, TEMPLATE_LIMITS } from '../../../src/core/dag/template.js';

const scope: Scope = {
  params: { city: 'Oslo', days: 3, full: false, none: null, list: [1, 2], 'a b': 'spaced' },
  results: { ingest: { rows: [{ name: 'first' }, { name: 'last' }] }, 'load.all': [10, 20] },
  ds: '2026-03-29',
};

const template = (text: string) => {
  const parsed = parseTemplate(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.fault));
  return parsed.template;
};
const got = <T>(filled: Filled<T>): T => {
  if (!filled.ok) throw new Error(JSON.stringify(filled.fault));
  return filled.value;
};
const faultOf = (text: string) => {
  const filled = fill(template(text), scope);
  if (filled.ok) throw new Error(`${text} was filled in`);
  return filled.fault;
};

describe('filling in', () => {
  test.each<[string, Json]>([
    ['{{ params.days }}', 3],
    ['{{ params.none }}', null],
    ['{{ results.ingest.rows[0] }}', { name: 'first' }],
    ['{{ results.ingest.rows[-1].name }}', 'last'],
    ['{{ results["load.all"] }}', [10, 20]],
    ['{{ params["a b"] }}', 'spaced'],
    ['{{ "{{" }}', '{{'],
    ['plain', 'plain'],
  ])('%s gives the value itself', (text, value) => {
    expect(got(fill(template(text), scope))).toEqual(value);
  });

  test.each([
    ['{{ ds }}/{{ params.city }}.csv', '2026-03-29/Oslo.csv'],
    ['n={{ params.days }} {{ params.full }} {{ params.none }}', 'n=3 false null'],
    ['rows={{ results.ingest.rows }}', 'rows=[{"name":"first"},{"name":"last"}]'],
    [' {{ params.days }}', ' 3'],
  ])('%s gives a text', (text, filled) => {
    expect(got(fill(template(text), scope))).toBe(filled);
  });

  test('gives a text where only one fits', () => {
    expect(got(fillText(template('{{ params.list }}'), scope))).toBe('[1,2]');
    expect(got(fillText(template('{{ params.city }}'), scope))).toBe('Oslo');
  });

  test.each<[string, Json]>([
    ['{{ params.nothing | default("x") }}', 'x'],
    ['{{ params.none | default(7) }}', 7],
    ['{{ results.skipped.rows | default(null) }}', null],
    ['{{ results.skipped | length | default(0) }}', 0],
    ['{{ params.city | default("x") }}', 'Oslo'],
    ['{{ params.full | default(true) }}', false],
    ['{{ params.list | json }}', '[1,2]'],
    ['{{ results.ingest.rows | length }}', 2],
    ['{{ params.city | length }}', 4],
    ['{{ params.city | equals("Oslo") }}', true],
    ['{{ params.city | equals("Oslo") | not }}', false],
    ['{{ params.list | length | equals(2) }}', true],
  ])('%s is filtered', (text, value) => {
    expect(got(fill(template(text), scope))).toEqual(value);
  });

  test.each([
    ['{{ params.citty }}', 'params has no citty (did you mean city?)'],
    ['{{ results.ingest.rows[7] }}', 'results.ingest.rows has 2 elements, counted from 0'],
    ['{{ params.city.x }}', 'params.city is a text, not an object'],
    ['{{ params.none.x }}', 'params.none is null, not an object'],
    ['{{ results.ingest[0] }}', 'results.ingest is an object, not a list'],
    ['{{ item.x }}', 'this run has no item'],
    ['{{ params.constructor }}', 'params has no constructor'],
    ['{{ params.list.length }}', 'params.list is a list, not an object'],
    ['{{ params.days | length }}', 'a number has no length'],
    ['{{ params.citty | json | length }}', 'params has no citty'],
  ])('%s is a fault, never an empty text', (text, because) => {
    expect(faultOf(text).because).toContain(because);
    expect(faultOf(`a ${text}`)).toMatchObject({ at: 2 });
    expect(faultOf(text).try).not.toBe('');
  });

  test('ends where the text would get too long', () => {
    const long = { ...scope, params: { text: 'x'.repeat(TEMPLATE_LIMITS.filledCharacters / 2 + 1) } };
    expect(fill(template('{{ params.text }}{{ params.text }}'), long)).toMatchObject({
      ok: false,
      fault: { what: '{{ params.text }} makes the text too long' },
    });
  });

  test('goes into every text of an input, and leaves the rest', () => {
    const input = { to: '{{ params.city }}', n: 1, deep: [{ rows: '{{ results.ingest.rows }}' }, null] };
    expect(got(fillInput(input, scope))).toEqual({
      to: 'Oslo',
      n: 1,
      deep: [{ rows: [{ name: 'first' }, { name: 'last' }] }, null],
    });
    expect(fillInput({ a: ['{{ params.x }}'] }, scope)).toMatchObject({ ok: false });
    expect(fillInput({ a: ['{{ params'] }, scope)).toMatchObject({ ok: false });
    expect(textsWithin(input)).toEqual([
      { path: ['to'], text: '{{ params.city }}' },
      { path: ['deep', 0, 'rows'], text: '{{ results.ingest.rows }}' },
    ]);
  });

  test('leaves an input without braces as it is, whatever it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const input = JSON.parse(JSON.stringify(value).replaceAll('{{', '{')) as Json;
        expect(got(fillInput(input, {}))).toEqual(input);
      }),
    );
  });
});

test.each<[Json, boolean]>([
  [false, false],
  [null, false],
  [0, false],
  ['', false],
  [[], false],
  [{}, false],
  [true, true],
  [-1, true],
  ['false', true],
  [[0], true],
  [{ a: null }, true],
])('%j counts as %s', (value, truth) => {
  expect(isTruthy(value)).toBe(truth);
});
