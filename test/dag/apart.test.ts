import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { CheckerApart } from '../../src/dag/apart/checker.js';
import { checkDag } from '../../src/dag/check/index.js';

const ENTRY = pathToFileURL(resolve(import.meta.dirname, '../../dist/dag/apart/thread.js'));

describe('a check apart', () => {
  test('comes to what a check here comes to, and lets the loop go on meanwhile', async () => {
    const tasks = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, n) => [`t${n}`, { command: ['echo', `{{ params.n }} ${n}`] }]),
    );
    const dag = { dag_id: 'large', params: { n: 1 }, tasks };
    const checker = new CheckerApart(ENTRY);
    let turns = 0;
    const count = setInterval(() => turns++, 1);
    const { text, errors } = await checker.check(JSON.stringify(dag));
    clearInterval(count);
    checker.close();
    expect(turns).toBeGreaterThan(0);
    expect(errors).toEqual([]);
    expect({ ok: true, definition: JSON.parse(text ?? '') }).toEqual(checkDag(dag));
  });

  test('says what is wrong, and what is no JSON', async () => {
    const checker = new CheckerApart(ENTRY);
    const wrong = { dag_id: 'd', tasks: { a: { needs: 'b', command: ['true'] } } };
    expect(await checker.check(JSON.stringify(wrong))).toEqual({
      text: null,
      errors: [expect.stringContaining('there is no such task')],
    });
    expect((await checker.check('{')).errors).toEqual([expect.stringContaining('the DAG cannot be checked')]);
    checker.close();
  });

  test('that is given up is an error of its DAG, and the next one has another thread', async () => {
    const checker = new CheckerApart(ENTRY);
    const given = checker.check('{}');
    checker.close();
    expect((await given).errors).toEqual(['the DAG cannot be checked: the check was given up']);
    expect((await checker.check('{}')).text).toBeNull();
    checker.close();
  });

  test('without its program is an error of its DAG', async () => {
    const checker = new CheckerApart(new URL('file:///nowhere/thread.js'));
    expect((await checker.check('{}')).errors).toEqual([expect.stringContaining('cannot be checked')]);
  });
});
