import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { DEFINITION_LIMITS } from '../../src/core/dag/definition.js';
import { checkDag } from '../../src/dag/check/index.js';
import { languageOf, type ReadFile, readExported, readText } from '../../src/dag/read.js';

const fixture = (path: string): string =>
  readFileSync(resolve(import.meta.dirname, 'fixtures', path), 'utf8');
const yaml = (text: string): ReadFile => readText('x.dag.yaml', text, 'yaml');
const errorsOf = (read: ReadFile): readonly string[] => (read.ok ? [] : read.errors);
const dagsOf = (read: ReadFile) => {
  if (!read.ok) throw new Error(read.errors.join('\n'));
  return read.dags.map(({ definition }) => definition);
};
const one = (text: string) => dagsOf(yaml(text))[0];

describe('a DAG file', () => {
  test('gives each of its documents as a definition with every default filled in', () => {
    const [weather, publish] = dagsOf(readText('weather', fixture('good/weather.dag.yaml'), 'yaml'));
    expect(weather).toMatchObject({
      dagId: 'weather',
      schedule: { kind: 'cron', expression: '0 2 * * *', timezone: 'Europe/Berlin' },
      startDate: Date.parse('2025-12-31T23:00:00Z'),
      endDate: null,
      catchup: true,
      maxActiveRuns: 2,
      maxActiveTasks: 16,
      params: {
        city: { type: 'string', default: 'Oslo' },
        days: { type: 'integer', minimum: 1, maximum: 31 },
      },
    });
    const tasks = new Map(weather?.tasks.map((task) => [task.taskId, task]));
    expect([...tasks.keys()]).toEqual(['ingest', 'validate', 'late', 'monthly', 'report']);
    expect(tasks.get('ingest')).toEqual({
      taskId: 'ingest',
      work: {
        kind: 'command',
        argv: ['/bin/sh', '-c', './ingest --day {{ ds }} --city "$CITY"'],
        env: { CITY: '{{ params.city }}' },
        workingDirectory: '',
        memoryLimitBytes: 512 * 1024 * 1024,
        cpuLimitMillis: 500,
      },
      needs: [],
      triggerRule: 'all_success',
      when: '',
      shortCircuit: false,
      expand: '',
      wait: null,
      retries: 2,
      retryBackoff: { initialMs: 5_000, maxMs: 120_000 },
      executionTimeoutMs: 600_000,
      queuedTimeoutMs: null,
      killGraceMs: 10_000,
      queue: 'default',
      priority: 0,
      // Only where the limits are enforced.
      requiredLabels: { 'holdfast.memory-limit': 'enforced', 'holdfast.cpu-limit': 'enforced' },
      pool: 'default_pool',
      poolSlots: 1,
      partitionPolicy: 'reassign',
      holdTimeoutMs: 86_400_000,
      inlets: [],
      outlets: [],
    });
    expect(tasks.get('monthly')).toMatchObject({ expand: '{{ params.months }}', pool: 'heavy', retries: 0 });
    expect(tasks.get('late')).toMatchObject({
      work: { kind: 'none' },
      wait: { kind: 'delta', input: { for: '90m' }, timeoutMs: 86_400_000 },
    });
    expect(publish?.schedule).toEqual({
      kind: 'assets',
      condition: {
        kind: 'any',
        of: [
          { kind: 'asset', asset: 'report' },
          {
            kind: 'all',
            of: [
              { kind: 'asset', asset: 'prices' },
              { kind: 'asset', asset: 'rates' },
            ],
          },
        ],
      },
    });
  });

  test('may be JSON, indented as anybody likes', () => {
    const [hello] = dagsOf(readText('hello', fixture('good/hello.dag.json'), 'json'));
    expect(hello).toMatchObject({ dagId: 'hello', schedule: { kind: 'interval', everyMs: 900_000 } });
  });

  test('is checked the same by whoever has only its JSON', () => {
    const read = readText('weather', fixture('good/weather.dag.yaml'), 'yaml');
    if (!read.ok) throw new Error('not read');
    for (const { source, definition } of read.dags) {
      expect(checkDag(JSON.parse(source))).toEqual({ ok: true, definition });
    }
  });

  test('says everything that is wrong with it, each with line and column', () => {
    const read = readText('many.dag.yaml', fixture('bad/many.dag.yaml'), 'yaml');
    expect(errorsOf(read)).toEqual(fixture('bad/many.golden').trimEnd().split('\n'));
  });

  test('with one wrong DAG gives none', () => {
    expect(yaml('dag_id: a\ntasks: {t: {}}\n---\ndag_id: b\ntasks: {t: {retries: -1}}\n').ok).toBe(false);
  });

  test.each([
    ['a.dag.yaml', 'yaml'],
    ['a.dag.yml', 'yaml'],
    ['sub/a.dag.json', 'json'],
    ['a.dag.ts', 'module'],
    ['a.dag.js', 'module'],
    ['a.dag.mjs', 'module'],
    ['a.yaml', null],
    ['dag.yaml', null],
    ['a.dag.yaml.bak', null],
  ])('is known by its name: %s is %s', (file, language) => {
    expect(languageOf(file)).toBe(language);
  });
});

describe('a fault of a file', () => {
  test.each([
    ['dag_id: a\ntasks: {t: {}}\ndag_id: b', '3:1: the key "dag_id" is there twice'],
    ['dag_id: a\ntasks:\n  t: {}\n  u: {}\n  t: {}', '5:3: the key "t" is there twice'],
    ['dag_id: a\ntasks: [', '2:9: this is no YAML: '],
    ['dag_id: !secret a\ntasks: {t: {}}', '1:9: this is no YAML: Unresolved tag: !secret'],
    ['', '1:1: the file has no DAG'],
    ['# only words', '1:1: the file has no DAG'],
    ['just a text', '1:1: this is no DAG: it must be an object with dag_id and tasks'],
    ['tasks: {t: {}}', '1:1: dag_id is missing'],
    ['dag_id: a', '1:1: tasks is missing'],
    ['dag_id: a/b\ntasks: {t: {}}', '1:9: dag_id cannot be "a/b": it must be 1 to 128 characters'],
    ['dag_id: a\ntasks: {}', '2:8: tasks cannot be {}: it must hold a task at least'],
    ['dag_id: a\ntasks: {a b: {}}', '2:9: "a b" is no name'],
    ['dag_id: a\ntask: {t: {}}\ntasks: {t: {}}', '2:1: unknown field "task" (did you mean tasks?)'],
    ['dag_id: a\ntasks: {t: {comand: x}}', '2:13: unknown field "comand" (did you mean command?)'],
    ['dag_id: a\ntasks: [{task_id: t, needss: x}]', '2:22: unknown field "needss" (did you mean needs?)'],
    [
      'dag_id: a\ntasks: {t: {trigger_rule: all_sucess}}',
      '2:27: tasks.t.trigger_rule cannot be "all_sucess": it must be one of all_success, all_failed, all_done, all_done_min_one_success, all_skipped, one_failed, one_success, one_done, none_failed, none_failed_min_one_success, none_skipped, always (did you mean all_success?)',
    ],
    [
      'dag_id: a\ntasks: {t: {execution_timeout: 15}}',
      '2:32: tasks.t.execution_timeout cannot be 15: it must be a duration',
    ],
    [
      'dag_id: a\ntasks: {t: {execution_timeout: 0s}}',
      '2:32: tasks.t.execution_timeout cannot be "0s": it must be longer',
    ],
    [
      'dag_id: a\ntasks: {t: {command: [x], memory_limit: 5}}',
      '2:41: tasks.t.memory_limit cannot be 5: it must be a size',
    ],
    [
      'dag_id: a\ntasks: {t: {command: [x], cpu_limit: 1}}',
      '2:38: tasks.t.cpu_limit cannot be 1: it must be a number of CPUs',
    ],
    ['dag_id: a\ntasks: {t: {command: []}}', '2:22: tasks.t.command cannot be []: it must hold the program'],
    [
      'dag_id: a\ntasks: {t: {handler: h, input: .inf}}',
      '2:32: tasks.t.input cannot be null: it must be plain JSON',
    ],
    ['dag_id: a\ntasks: {t: {command: [x], env: {SECRET: 1234}}}', '2:41: tasks.t.env.SECRET cannot be this'],
    [
      'dag_id: a\nschedule: {cron: "* * * * *", timezon: UTC}\ntasks: {t: {}}',
      '2:31: unknown field "timezon" (did you mean timezone?)',
    ],
    [
      'dag_id: a\nschedule: {assets: {al: [x]}}\ntasks: {t: {}}',
      '2:20: schedule.assets cannot be {"al":["x"]}: it must be an asset',
    ],
    ['dag_id: a\nschedule: 15\ntasks: {t: {}}', '2:11: schedule cannot be 15: it must be a cron expression'],
    [
      'dag_id: a\nschedule: none\ntasks: {t: {}}',
      '2:11: "none" is no schedule: leave the schedule out for runs by hand only',
    ],
    ['dag_id: a\nschedule: 0 0 30 2 *\ntasks: {t: {}}', '2:11: "0 0 30 2 *" is no schedule: it never fires'],
    [
      'dag_id: a\nschedule: "@dayly"\ntasks: {t: {}}',
      '2:11: "@dayly" is no schedule: there is no preset @dayly (did you mean @daily?)',
    ],
    [
      'dag_id: a\nschedule: {cron: "@daily", timezone: Nowhere}\ntasks: {t: {}}',
      '2:38: there is no time zone "Nowhere"',
    ],
    [
      'dag_id: a\nstart_date: 2026-02-31\ntasks: {t: {}}',
      '2:13: start_date cannot be "2026-02-31": it must be a date',
    ],
    [
      'dag_id: a\nstart_date: 2026-02-01\nend_date: 2026-01-01\ntasks: {t: {}}',
      '3:11: end_date 2026-01-01 is before start_date 2026-02-01',
    ],
    [
      'dag_id: a\nparams: {n: {type: integr, default: 1}}\ntasks: {t: {}}',
      '2:20: params.n.type cannot be "integr": it must be one of string, integer',
    ],
    [
      'dag_id: a\nparams: {n: {type: string, minimum: 1}}\ntasks: {t: {}}',
      '2:37: minimum is for numbers only',
    ],
    [
      'dag_id: a\nparams: {n: {type: integer, enum: [1, x]}}\ntasks: {t: {}}',
      '2:39: param n, one of its enum: it must be a whole number',
    ],
    [
      'dag_id: a\nparams: {n: null}\ntasks: {t: {}}',
      '2:13: params.n cannot be null: it must be a default, or an object with type',
    ],
    [
      'dag_id: a\nschedule: "@daily"\nparams: {n: {type: string}}\ntasks: {t: {}}',
      '3:13: param n has no default',
    ],
    ['dag_id: a\ntasks: {t: {needs: t}}', '2:13: task t needs itself'],
    ['dag_id: a\ntasks: {t: {}, u: {needs: [t, t]}}', '2:31: task u needs t twice'],
    [
      'dag_id: a\ntasks: {load: {}, u: {needs: lod}}',
      '2:30: task u needs "lod", and there is no such task (did you mean load?)',
    ],
    ['dag_id: a\ntasks: [{task_id: t}, {task_id: t}]', '2:33: there are two tasks "t"'],
    [
      'dag_id: a\ntasks:\n  x: {}\n  a: {needs: [x, c]}\n  b: {needs: a}\n  c: {needs: b}',
      '4:7: these tasks wait for each other: a needs c needs b needs a',
    ],
    [
      'dag_id: a\ntasks: {t: {command: [x], handler: y}}',
      '2:36: a task has a command or a handler, never both',
    ],
    ['dag_id: a\ntasks: {t: {input: y}}', '2:20: only a handler takes an input'],
    ['dag_id: a\ntasks: {t: {short_circuit: true}}', '2:28: a task without work has no result'],
    ['dag_id: a\ntasks: {t: {wait: {kind: delta}}}', '2:19: the trigger delta wants for'],
    [
      'dag_id: a\ntasks: {t: {wait: {kind: file, input: [x]}}}',
      '2:39: the input of file must be an object with path, poll_interval',
    ],
    [
      'dag_id: a\ntasks: {t: {wait: {kind: http, input: {url: x, status: 99}}}}',
      '2:56: status of the trigger http cannot be 99',
    ],
    [
      'dag_id: a\ntasks: {t: {command: [x, "{{ item }}"]}}',
      '2:27: {{ item }} cannot be filled in: item is unknown here',
    ],
    [
      'dag_id: a\ntasks: {t: {command: [x, "{{ results.t }}"]}}',
      '2:27: {{ results.t }} cannot be filled in: a task cannot know its own result',
    ],
    [
      'dag_id: a\ntasks: {t: {command: [x, "{{ params }}"]}}',
      '2:27: {{ params }} cannot be filled in: name one of the params',
    ],
    [
      'dag_id: a\ntasks: {t: {command: [x, "{{ results[0] }}"]}}',
      '2:27: {{ results[0] }} cannot be filled in: name one of the tasks',
    ],
    [
      'dag_id: a\ntasks: {t: {command: [x, "{{ constructor }}"]}}',
      '2:27: {{ constructor }} cannot be filled in: there is no constructor',
    ],
    ['dag_id: a\ntasks: {t: {command: [x, "a {{ ds"]}}', '2:29: {{ ds is not closed'],
    [
      'dag_id: a\ndefault_args: {env: {A: "{{ dss }}"}}\ntasks: {t: {command: [x]}}',
      '2:26: {{ dss }} cannot be filled in: there is no dss (did you mean ds?)',
    ],
  ])('in %j is told as %s', (text, told) => {
    expect(errorsOf(yaml(text)).join('\n')).toContain(`x.dag.yaml:${told}`);
  });

  test.each([
    ['{"dag_id": "a",\n  "tasks": {"t": {}},}', '2:22: this is no JSON'],
    ['{"dag_id": "a", "dag_id": "b", "tasks": {"t": {}}}', '1:17: the key "dag_id" is there twice'],
    ["{dag_id: 'a'}", '1:2: this is no JSON'],
    ['{"dag_id": "a", "tasks":', 'this is no JSON'],
  ])('in JSON %s is told as %s', (text, told) => {
    expect(errorsOf(readText('x', text, 'json')).join('\n')).toContain(told);
  });

  test('that comes a thousand times is told a hundred times and counted', () => {
    const errors = errorsOf(
      yaml(`dag_id: a\ntasks:\n${Array.from({ length: 1_000 }, (_, n) => `  t${n}: {x: 1}`).join('\n')}`),
    );
    expect(errors).toHaveLength(101);
    expect(errors[100]).toBe('x.dag.yaml: and 900 more');
  });

  test('of two DAGs of one name is told at the second', () => {
    expect(errorsOf(yaml('dag_id: a\ntasks: {t: {}}\n---\ndag_id: a\ntasks: {t: {}}'))).toEqual([
      'x.dag.yaml:4:9: there are two DAGs a in this file',
    ]);
  });

  test('of a module is told with its path', () => {
    expect(errorsOf(readExported('m.dag.js', [{ dag_id: 'a', tasks: { t: { retries: -1 } } }]))).toEqual([
      'm.dag.js: [0].tasks.t.retries: tasks.t.retries cannot be -1: it must be a whole number from 0 to 100',
    ]);
    expect(errorsOf(readExported('m.dag.js', undefined))[0]).toContain('m.dag.js: DAG: this is no DAG');
    const handler = { dag_id: 'a', tasks: { t: { handler: 'h', input: { when: new Date(0) } } } };
    expect(errorsOf(readExported('m.dag.js', handler))[0]).toContain('it must be plain JSON');
  });
});

describe('YAML', () => {
  test('may use anchors and merges, and faults within are found', () => {
    const text = 'dag_id: a\ntasks:\n  t: &t {retries: 3, command: [x]}\n  u: {<<: *t, queue: q}\n  v: *t';
    expect(one(text)?.tasks.map(({ retries, queue }) => [retries, queue])).toEqual([
      [3, 'default'],
      [3, 'q'],
      [3, 'default'],
    ]);
    expect(errorsOf(yaml(text.replace('3', '-3')))).toContain(
      'x.dag.yaml:3:19: tasks.t.retries cannot be -3: it must be a whole number from 0 to 100',
    );
  });

  test('of aliases that multiply is refused', () => {
    const levels = Array.from({ length: 12 }, (_, n) => `l${n + 1}: &l${n + 1} [${`*l${n},`.repeat(9)}]`);
    expect(errorsOf(yaml(`l0: &l0 [x]\n${levels.join('\n')}`))[0]).toContain('this cannot be read');
  });
});

describe('the limits of a DAG', () => {
  const chain = (count: number): string =>
    JSON.stringify({
      dag_id: 'big',
      tasks: Object.fromEntries(
        Array.from({ length: count }, (_, n) => [
          `t${n}`,
          n === 0 ? {} : { needs: `t${n - 1}`, command: ['echo', '{{ results.t0 }}'] },
        ]),
      ),
    });

  test('are 10,000 tasks, which are read, with 10,001 refused', () => {
    expect(dagsOf(readText('big', chain(DEFINITION_LIMITS.tasks), 'json'))[0]?.tasks).toHaveLength(10_000);
    expect(errorsOf(readText('big', chain(DEFINITION_LIMITS.tasks + 1), 'json'))[0]).toContain(
      'it holds 10001 tasks, and a DAG has at most 10000: map one task over a list (expand), or divide the DAG',
    );
    const list = Array.from({ length: 10_001 }, (_, n) => ({ task_id: `t${n}` }));
    const listed = readText('big', JSON.stringify({ dag_id: 'big', tasks: list }), 'json');
    expect(errorsOf(listed)[0]).toContain('it holds 10001 tasks, and a DAG has at most 10000');
  });

  const hostile = (task: (n: number) => object): unknown => ({
    dag_id: 'a',
    tasks: Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`${n}`.padStart(100, 't'), task(n)])),
  });

  // Each compared with 10,000 names of 100 letters would be minutes, and a coordinator checks what others send.
  test.each([
    ['needs', (n: number) => ({ needs: [`${n}`.padStart(100, 'x')] })],
    ['results', (n: number) => ({ command: ['x', `{{ results.${'y'.repeat(100)}${n} }}`] })],
    [
      'fields',
      (n: number) => Object.fromEntries([...Array(20).keys()].map((k) => [`f${n}x${k}`.padEnd(100, 'z'), 1])),
    ],
    ['templates', () => ({ command: ['{{ nothing }}'.repeat(200)] })],
  ])('bound what wrong %s cost, however many there are', (_, task) => {
    const checked = checkDag(hostile(task));
    expect(checked.ok ? 0 : checked.faults.length).toBeGreaterThan(1_000);
    expect(checked.ok ? 0 : checked.faults.length).toBeLessThan(2_000);
  });

  test('are 4 MiB of JSON in a file', () => {
    const tasks = Object.fromEntries(
      Array.from({ length: 80 }, (_, n) => [`t${n}`, { command: ['x', 'y'.repeat(60_000)] }]),
    );
    const file = JSON.stringify({ dag_id: 'a', tasks });
    expect(errorsOf(readText('x', file, 'json'))).toEqual([
      'x:1:11: a DAG has at most 4194304 bytes as JSON: put long texts into files of their own',
    ]);
  });

  test('are 16 MiB of definition', () => {
    const tasks = Object.fromEntries(
      Array.from({ length: 300 }, (_, n) => [`t${n}`, { command: ['x', 'y'.repeat(60_000)] }]),
    );
    const checked = checkDag({ dag_id: 'a', tasks });
    expect(checked).toMatchObject({ ok: false, faults: [{ path: ['dag_id'] }] });
  });
});
