import { describe, expect, test } from '@jest/globals';
import type { TriggerRow } from '../../../src/core/dag/rows.js';
import { TriggerBook } from '../../../src/core/dag/trigger-book.js';
import type { Epoch, TaskId, Token } from '../../../src/kit/ids.js';
import type { WallMs } from '../../../src/kit/time.js';

function row(triggerId: string, change: Partial<TriggerRow> = {}): TriggerRow {
  return {
    ...{
      triggerId,
      version: 1,
      taskId: `task-of-${triggerId}` as TaskId,
      kind: 'date_time',
      input: '{}',
      state: '',
    },
    ...{ createdAt: 0 as WallMs, timeoutAt: null, token: 0n as Token, epoch: 0n as Epoch, agentId: '' },
    ...change,
  };
}

const epoch = 7n as Epoch;
const unowned = (book: TriggerBook, kind = 'date_time') => [...(book.unowned.get(kind) ?? [])];

describe('the book of triggers', () => {
  test('finds a trigger by its id and by its task, until it is removed', () => {
    const book = new TriggerBook();
    book.put(row('a'));
    expect(book.get(book.ofTask('task-of-a' as TaskId) ?? '')).toMatchObject({ triggerId: 'a' });
    book.remove('a');
    expect([book.size, book.ofTask('task-of-a' as TaskId), unowned(book)]).toEqual([0, undefined, []]);
  });

  test('knows whom each is assigned to, and that all of a session have no owner once it is over', () => {
    const book = new TriggerBook();
    book.put(row('a'));
    book.put(row('a', { epoch }));
    book.put(row('b', { epoch, kind: 'delta' }));
    expect([[...book.of(epoch)], unowned(book)]).toEqual([['a', 'b'], []]);
    book.release(epoch);
    expect([[...book.of(epoch)], unowned(book), unowned(book, 'delta')]).toEqual([[], ['a'], ['b']]);
    book.put(row('a', { epoch: 8n as Epoch }));
    expect([[...book.of(8n as Epoch)], unowned(book)]).toEqual([['a'], []]);
  });

  test('notes which wait for an asset that has had an event since they were made', () => {
    const book = new TriggerBook();
    const kind = 'asset';
    book.put(row('old', { kind, input: '{"asset":"raw","after":3}' }));
    book.put(row('new', { kind, input: '{"asset":"raw","after":4}' }));
    book.noteAsset({ asset: 'raw', version: 1, lastEvent: 4, lastEventAt: 0 as WallMs });
    expect([...book.due]).toEqual(['old']);
    book.remove('old');
    expect([...book.due]).toEqual([]);
  });
});
