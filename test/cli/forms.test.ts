import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import picocolors from 'picocolors';
import { present, presentItem } from '../../src/cli/present.js';
import { resultShape, taskShape } from '../../src/cli/shapes.js';
import { renderFacts, renderTable } from '../../src/cli/table.js';
import { parseTaskFile } from '../../src/cli/task-file.js';
import { stateWords, taskListView, taskView } from '../../src/cli/task-views.js';
import type { OutputForm, Sink } from '../../src/cli/terminal.js';
import { agoWords, commandWords, oneLine, spanWords } from '../../src/cli/words.js';
import type { Task } from '../../src/client/index.js';

const plain = picocolors.createColors(false);
const at = (seconds: number): Date => new Date(Date.UTC(2026, 0, 1) + seconds * 1_000);

const task = (more: Partial<Task> = {}): Task => ({
  taskId: 't-1',
  spec: { command: ['sh', '-c', 'exit 0'], retries: 1, partitionPolicy: 'hold' },
  queue: 'q',
  state: 'running',
  tryNumber: 1,
  fencingToken: 9_007_199_254_740_993n,
  agentId: 'a-1',
  reason: '',
  message: '',
  result: new Uint8Array(),
  resultType: '',
  exitCode: undefined,
  submittedAt: at(0),
  endedAt: undefined,
  instance: undefined,
  lost: undefined,
  cancelRequested: false,
  lostTries: 0,
  progress: undefined,
  history: [
    {
      at: at(1),
      event: 'permitted',
      agentId: 'a-1',
      tryNumber: 1,
      fencingToken: 7n,
      sessionEpoch: 3n,
      reason: '',
      message: '',
      offeredAt: at(0.5),
    },
  ],
  ...more,
});

function sink(): Sink & { text: string } {
  const written = {
    isTTY: false,
    columns: undefined,
    text: '',
    print: (text: string | Uint8Array): void => {
      written.text += String(text);
    },
  };
  return written;
}
const printed = async (form: OutputForm, stream = false): Promise<string> => {
  const out = sink();
  const view = taskListView([task(), task({ taskId: 't-2' })], {
    out,
    colours: plain,
    now: at(12).getTime(),
  });
  await (stream ? presentItem : present)(out, form, view);
  return out.text;
};

describe('every form shows the same data', () => {
  test('json is one array, jsonl one object a line, name one id a line', async () => {
    expect((JSON.parse(await printed('json')) as { taskId: string }[]).map((t) => t.taskId)).toEqual([
      't-1',
      't-2',
    ]);
    expect(
      (await printed('jsonl'))
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as Task).taskId),
    ).toEqual(['t-1', 't-2']);
    expect(await printed('name')).toBe('t-1\nt-2\n');
  });

  test('yaml has the same keys', async () => {
    expect(await printed('yaml')).toMatch(/^- taskId: t-1\n {2}state: running\n/);
  });

  test('a stream has no frame', async () => {
    expect((await printed('json', true)).split('\n')).toHaveLength(3);
    expect(await printed('yaml', true)).toMatch(/^---\n/);
  });

  test('a table is aligned', async () => {
    const [head = '', row = ''] = (await printed('table')).split('\n');
    expect(head).toBe('TASK  STATE    QUEUE  TRY  AGENT  SUBMITTED  WORK');
    expect(row).toBe("t-1   running  q      1    a-1    12s ago    sh -c 'exit 0'");
  });
});

describe('the JSON of a task', () => {
  test('has 64-bit numbers as strings, RFC 3339 times, null for what is not there', () => {
    expect(taskShape(task({ agentId: '' }), true)).toMatchObject({
      taskId: 't-1',
      agentId: null,
      fencingToken: '9007199254740993',
      submittedAt: '2026-01-01T00:00:00.000Z',
      endedAt: null,
      partitionPolicy: 'hold',
      result: null,
      history: [{ at: '2026-01-01T00:00:01.000Z', event: 'permitted', fencingToken: '7', reason: null }],
    });
    expect(taskShape(task(), false)).not.toHaveProperty('history');
  });

  test.each([
    ['application/json', '{"a":[1]}', { result: { a: [1] } }],
    ['application/problem+json; charset=utf-8', '1', { result: 1 }],
    ['application/json', 'not json', { result: 'not json' }],
    ['text/plain', 'héllo', { result: 'héllo' }],
    ['text/plain', '', { result: '' }],
    ['application/octet-stream', Buffer.from([0xff, 0]), { result: '/wA=', resultEncoding: 'base64' }],
  ])('shows a result of type %s', (resultType, bytes, shape) => {
    expect(resultShape({ result: Buffer.from(bytes as string), resultType })).toEqual({
      ...shape,
      resultType,
    });
  });
});

describe('words for people', () => {
  test('a lost agent and a waiting cancel are part of the state', () => {
    const lost = { at: at(5), agentId: 'a-1', heldForMs: 0 };
    expect(stateWords(task({ lost, cancelRequested: true }))).toBe('running (lost, cancelling)');
    expect(stateWords(task({ state: 'success', cancelRequested: true }))).toBe('success');
  });

  test('a description ends with the history', () => {
    const text = taskView(task({ reason: 'exit_code', message: 'exit 3' }), {
      out: sink(),
      colours: plain,
      now: at(60).getTime(),
    }).table();
    expect(text).toContain('try:              1 of 2\n');
    expect(text).toContain('reason:           exit_code: exit 3\n');
    expect(text).toMatch(
      /WHEN {2}EVENT {6}TRY {2}AGENT {2}TOKEN {2}REASON\n\+0ms {2}permitted {2}1 {4}a-1 {4}7\n$/,
    );
  });

  test.each([
    [400, '400ms'],
    [3_210, '3.2s'],
    [42_000, '42s'],
    [125_000, '2m 05s'],
    [15_120_000, '4h 12m'],
    [277_200_000, '3d 5h'],
    [-5, '0ms'],
  ])('%d ms are %s', (ms, words) => {
    expect(spanWords(ms)).toBe(words);
  });

  test('a command is quoted as a shell would need it', () => {
    expect(commandWords(['echo', 'a b', "it's", '', '--x=1'])).toBe("echo 'a b' 'it'\\''s' '' --x=1");
    expect(agoWords(undefined, 0)).toBe('-');
  });

  test('what comes from outside cannot move the cursor', () => {
    expect(oneLine('a\u001b[2Jb\nc')).toBe('a [2Jb c');
  });

  test('on a terminal the last column is cut to fit, elsewhere nothing is', () => {
    const rows = [['x', 'long '.repeat(20)]];
    expect(renderTable(['A', 'B'], rows, plain, 20).split('\n')[1]).toHaveLength(20);
    expect(renderTable(['A', 'B'], rows, plain, undefined).split('\n')[1]).toHaveLength(102);
    expect(
      renderFacts(
        [
          ['a', '1'],
          ['bb', ''],
          ['ccc', '3'],
        ],
        plain,
      ),
    ).toBe('a:   1\nccc: 3\n');
  });

  test('colours do not shift columns', () => {
    const colours = picocolors.createColors(true);
    const text = renderTable(['A', 'B'], [[{ text: 'x', paint: colours.red }, 'y']], colours, undefined);
    expect(stripVTControlCharacters(text)).toBe('A  B\nx  y\n');
    expect(text).toContain('\u001b[31m');
  });
});

describe('a task file', () => {
  const faults = (text: string): string[] =>
    parseTaskFile('t.jsonl', text).problems.map((problem) => `${problem.what}; ${problem.because}`);

  test('has one task a line, blank lines aside', () => {
    const line = {
      queue: 'q',
      command: ['a'],
      env: { A: '1' },
      retries: 2,
      retryBackoff: { initial: '2s' },
      partitionPolicy: 'single_run',
      executionTimeout: '1m',
      priority: -3,
      startAfter: '2026-01-31T08:00:00+01:00',
      idempotencyKey: 'k',
    };
    const { tasks, problems } = parseTaskFile('t.jsonl', `\n${JSON.stringify(line)}\r\n\n{"command":["b"]}`);
    expect(problems).toEqual([]);
    expect(tasks.map((t) => t.line)).toEqual([2, 4]);
    expect(tasks[0]?.spec).toMatchObject({
      queue: 'q',
      executionTimeoutMs: 60_000,
      retryBackoff: { initialMs: 2_000 },
      partitionPolicy: 'single_run',
      priority: -3,
      startAfter: new Date('2026-01-31T07:00:00Z'),
    });
  });

  test('limits commands on some lines', () => {
    const { tasks } = parseTaskFile('t.jsonl', '{"command":["a"],"memory":"512MiB","cpu":"1.5"}');
    expect(tasks[0]?.spec).toMatchObject({ memoryLimitBytes: 536_870_912, cpuLimitMillis: 1_500 });
  });

  test('calls handlers on some lines', () => {
    const { tasks, problems } = parseTaskFile('t.jsonl', '{"handler":"resize","input":{"width":320}}');
    expect(problems).toEqual([]);
    expect(tasks[0]?.spec).toMatchObject({ handler: 'resize', input: { width: 320 } });
  });

  test.each([
    ['{"handler":"a b"}', /: handler cannot be "a b"; it must be the name of a handler/],
    [
      '{"handler":"h","command":["a"]}',
      /: handler cannot be "h"; a task has a command or a handler, never both$/,
    ],
    ['{"command":["a"],"input":1}', /: input cannot be 1; only a handler takes one$/],
    ['{"handler":"h","env":{"A":"1"}}', /: env cannot be this; a handler is called with an input, not with/],
    [
      '{"command":["a"],"memory":512}',
      /: memory cannot be 512; it must be a size with its unit, such as "512MiB"$/,
    ],
    [
      '{"command":["a"],"cpu":"half"}',
      /: cpu cannot be "half"; it must be a number of CPUs, such as "500m" or "2"$/,
    ],
    ['{"handler":"h","memory":"1GiB"}', /: memory cannot be "1GiB"; a handler has its worker's memory/],
    ['{', /^t\.jsonl:1: this line is not JSON; Expected /],
    ['[]', /^t\.jsonl:1: this line is no task; each line must be a JSON object$/],
    ['{"queue":"q"}', /^t\.jsonl:1: command is missing; it must be a list of 1 to 1024 strings/],
    ['{"command":[]}', /^t\.jsonl:1: command cannot be \[\]; it must be a list/],
    ['{"command":["a",1]}', /^t\.jsonl:1: command\.1 cannot be 1; it must be a string$/],
    ['{"command":["a"],"queue":"a b"}', /: queue cannot be "a b"; it must be 1 to 128 characters/],
    ['{"command":["a"],"queu":"q"}', /: unknown field "queu" \(did you mean queue\?\); a task has queue, /],
    [
      '{"command":["a"],"retryBackoff":{"initital":"1s"}}',
      /: unknown field "initital" \(did you mean initial\?\); retryBackoff has initial, max$/,
    ],
    [
      '{"command":["a"],"retries":-1}',
      /^t\.jsonl:1: retries cannot be -1; it must be a whole number from 0 to 100$/,
    ],
    ['{"command":["a"],"retries":"1"}', /: retries cannot be "1"; it must be a whole number from 0 to 100$/],
    ['{"command":["a"],"retries":0.5}', /: retries cannot be 0\.5; it must be a whole number from 0 to 100$/],
    ['{"command":["a"],"executionTimeout":15}', /: executionTimeout cannot be 15; it must be a duration/],
    ['{"command":["a"],"killGrace":"15"}', /: killGrace cannot be "15"; it must be a duration/],
    ['{"command":["a"],"env":{"SECRET":5}}', /: env\.SECRET cannot be this; it must be a string$/],
    ['{"command":["a"],"env":[]}', /: env cannot be this; it must be an object of strings$/],
    [
      '{"command":["a"],"partitionPolicy":"x"}',
      /: partitionPolicy cannot be "x"; it must be one of reassign, single_run, hold$/,
    ],
    [
      `{"command":["a"],"workingDirectory":"/${'é'.repeat(2_048)}"}`,
      /: workingDirectory cannot be "\/é+…; it must be a string of at most 4096 bytes$/,
    ],
  ])('%s is refused', (line, words) => {
    expect(faults(line)).toEqual([expect.stringMatching(words)]);
    for (const problem of parseTaskFile('t.jsonl', line).problems) expect(problem.try).toMatch(/^write /);
  });

  test('every fault of every line is told', () => {
    expect(faults('{"a":1,"command":["x"]}\n{"command":["x"]}\nnope')).toHaveLength(2);
  });
});
