import { describe, expect, test } from '@jest/globals';
import {
  isSingleExpression,
  parseTemplate,
  pathsOf,
  TEMPLATE_LIMITS,
} from '../../../src/core/dag/template.js';

const read = (text: string) => {
  const parsed = parseTemplate(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.fault));
  return parsed.template;
};
const faultOf = (text: string) => {
  const parsed = parseTemplate(text);
  if (parsed.ok) throw new Error(`${text} was read`);
  return parsed.fault;
};
const path = (text: string) => pathsOf(read(text)).map(({ head }) => [head.root, ...head.steps]);

describe('a template', () => {
  test.each([
    ['{{ params.city }}', ['params', 'city']],
    ['{{results.ingest.rows[0].name}}', ['results', 'ingest', 'rows', 0, 'name']],
    ['{{ results["a.b"][\'it\\\'s "x"\'][-1] }}', ['results', 'a.b', 'it\'s "x"', -1]],
    ['{{ results.load-all }}', ['results', 'load-all']],
    ['{{ ds }}', ['ds']],
  ])('%s names a path', (text, steps) => {
    expect(path(text)).toEqual([steps]);
    expect(isSingleExpression(read(text))).toBe(true);
  });

  test('holds texts and expressions in order, and knows where each stands', () => {
    const template = read('out/{{ ds }}-{{ item.x | default("}}") }}.csv');
    expect(template.parts.map((part) => (part.kind === 'text' ? part.text : part.at))).toEqual([
      'out/',
      4,
      '-',
      13,
      '.csv',
    ]);
    expect(isSingleExpression(template)).toBe(false);
    expect(path('out/{{ ds }}-{{ item.x }}')).toEqual([['ds'], ['item', 'x']]);
  });

  test('without braces stands for itself, closing ones alone included', () => {
    expect(read('a }} { { b').parts).toEqual([{ kind: 'text', text: 'a }} { { b' }]);
    expect(read('').parts).toEqual([]);
  });

  test('writes braces as a text of their own', () => {
    expect(read('{{ "{{" }}.Names}}').parts).toMatchObject([
      { kind: 'expression', head: { kind: 'literal', value: '{{' } },
      { kind: 'text', text: '.Names}}' },
    ]);
  });

  test.each([
    ['a {{ params.city', 2, 'is not closed', 'what opens with {{ must close with }}'],
    ['{{ }}', 0, 'is no expression', 'there is nothing between the braces'],
    ['{{ 1 }}', 0, 'is no expression', 'it begins with 1, and a path begins with a name'],
    ['{{ a + b }}', 0, 'is no expression', 'it cannot hold "+"'],
    ['{{ a b }}', 0, 'is no expression', 'it cannot go on with b'],
    ['{{ a.0 }}', 0, 'is no expression', 'a dot is followed by a name'],
    ['{{ a[1.5] }}', 0, 'is no expression', 'brackets hold a whole number or a text'],
    ['{{ a[b] }}', 0, 'is no expression', 'brackets hold a whole number or a text'],
    ['{{ a["\\d"] }}', 0, 'is no expression', 'brackets hold a whole number or a text'],
    ['{{ f(x) }}', 0, 'is no expression', 'it cannot go on with ('],
    ['{{ a | jsn }}', 0, 'is no expression', 'there is no filter jsn (did you mean json?)'],
    ['{{ a | default }}', 0, 'is no expression', 'default takes one text, number, true, false or null'],
    ['{{ a | default(b) }}', 0, 'is no expression', 'default takes one text, number, true, false or null'],
    ['x{{.Names}}', 1, 'is no expression', 'it begins with ., and a path begins with a name'],
  ])('%s is refused with its offset and why', (text, at, what, because) => {
    const fault = faultOf(text);
    expect(fault.at).toBe(at);
    expect(fault.what).toContain(what);
    expect(fault.because).toContain(because);
    expect(fault.try).not.toBe('');
  });

  test.each([
    ['characters', 'x'.repeat(TEMPLATE_LIMITS.characters + 1)],
    ['expressions', '{{ a }}'.repeat(TEMPLATE_LIMITS.expressions + 1)],
    ['steps', `{{ a${'.b'.repeat(TEMPLATE_LIMITS.steps + 1)} }}`],
    ['filters', `{{ a${' | json'.repeat(TEMPLATE_LIMITS.filters + 1)} }}`],
  ] as const)('has a limit of %s', (limit, text) => {
    expect(JSON.stringify(faultOf(text))).toContain(String(TEMPLATE_LIMITS[limit]));
  });

  test('of the greatest length is read in one pass, however it is made', () => {
    const size = TEMPLATE_LIMITS.characters;
    for (const text of [`{{ "${'\\"'.repeat(size / 2 - 4)}`, '{'.repeat(size), `{{${' '.repeat(size - 2)}`]) {
      expect(parseTemplate(text).ok).toBe(false);
    }
  });
});
