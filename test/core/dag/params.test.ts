import { describe, expect, test } from '@jest/globals';
import type { Json, Param } from '../../../src/core/dag/definition.js';
import { faultOfParam, fillParams, typeOfParam } from '../../../src/core/dag/params.js';

const param = (more: Partial<Param>): Param => ({
  type: 'string',
  description: '',
  oneOf: [],
  minimum: null,
  maximum: null,
  ...more,
});

describe('the params of a run', () => {
  test('are what was given, and the defaults of the rest', () => {
    const params = { city: param({ default: 'Oslo' }), days: param({ type: 'integer', default: 7 }) };
    expect(fillParams(params, { days: 3 })).toEqual({ ok: true, params: { city: 'Oslo', days: 3 } });
  });

  test('are refused with everything that is wrong at once', () => {
    const params = { city: param({}), days: param({ type: 'integer', default: 7 }) };
    expect(fillParams(params, { dayz: 3, days: 'x' })).toEqual({
      ok: false,
      faults: [
        { param: 'dayz', message: 'there is no param "dayz" (did you mean days?): the DAG has city, days' },
        { param: 'city', message: 'param city: it has no default, so a value must be given' },
        { param: 'days', message: 'param days: it must be a whole number, and is "x"' },
      ],
    });
    expect(fillParams({}, { x: 1 })).toMatchObject({
      faults: [{ message: 'there is no param "x": the DAG has none' }],
    });
  });

  test('hold no name that JSON objects have of themselves', () => {
    expect(fillParams({ constructor: param({ default: 'mine' }) }, {})).toEqual({
      ok: true,
      params: { constructor: 'mine' },
    });
  });
});

describe('a value of a param', () => {
  test.each<[Partial<Param>, Json, string | null]>([
    [{ type: 'string' }, 'x', null],
    [{ type: 'string' }, 1, 'it must be a text, and is 1'],
    [{ type: 'integer' }, 1.5, 'it must be a whole number, and is 1.5'],
    [{ type: 'integer' }, 2 ** 60, `it must be a whole number, and is ${2 ** 60}`],
    [{ type: 'number' }, 1.5, null],
    [{ type: 'number' }, '1', 'it must be a number, and is "1"'],
    [{ type: 'boolean' }, 'yes', 'it must be true or false, and is "yes"'],
    [{ type: 'array' }, {}, 'it must be a list, and is {}'],
    [{ type: 'object' }, [], 'it must be an object, and is []'],
    [{ type: 'object' }, null, 'it must be an object, and is null'],
    [{ type: 'number', minimum: 1 }, 0, 'it must be at least 1, and is 0'],
    [{ type: 'number', maximum: 1 }, 2, 'it must be at most 1, and is 2'],
    [{ oneOf: ['a', 'b'] }, 'c', 'it must be one of "a", "b", and is "c"'],
    [{ type: 'object', oneOf: [{ a: 1, b: [2] }] }, { b: [2], a: 1 }, null],
    [
      { type: 'object', oneOf: [{ a: 1 }] },
      { a: 1, b: 2 },
      'it must be one of {"a":1}, and is {"a":1,"b":2}',
    ],
  ])('of %j: %j gives %s', (more, value, because) => {
    expect(faultOfParam(param(more), value)).toBe(because);
  });

  test('has a type of itself, unless it is null', () => {
    expect([1, 1.5, 'x', true, [], {}, null].map((value) => typeOfParam(value as Json))).toEqual([
      'integer',
      'number',
      'string',
      'boolean',
      'array',
      'object',
      undefined,
    ]);
  });
});
