import { describe, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { callHandler } from '../../../src/agent/handlers/call.js';
import { FinalError, type HandlerContext } from '../../../src/agent/handlers/context.js';
import { defineHandlers, handler, handlersIn } from '../../../src/agent/handlers/define.js';
import type { HandlerCall } from '../../../src/agent/runner/protocol.js';

const handlers = defineHandlers({
  area: handler({
    input: z.object({ width: z.number(), unit: z.string().default('px') }),
    output: z.object({ area: z.number() }),
    run: async ({ width, unit }) => ({ area: unit === 'px' ? width * width : Number.NaN }),
  }),
  echo: (input) => input as string,
  nothing: () => {},
  large: () => 'x'.repeat(256 * 1024),
  bytes: () => new Uint8Array([0, 255]),
  big: (() => ({ n: 1n })) as never,
  fails: () => {
    throw new TypeError('no');
  },
  neverAgain: () => {
    throw new FinalError('gone for good');
  },
});

const call = (name: string, input: unknown, inputType = 'application/json') =>
  callHandler(
    handlersIn(handlers) ?? new Map(),
    {
      handler: name,
      input: input instanceof Uint8Array ? input : Buffer.from(JSON.stringify(input ?? null)),
      inputType: input === undefined ? '' : inputType,
    } as HandlerCall,
    {} as HandlerContext,
  );
const succeeds = (result: Uint8Array | null, resultType: string) => ({ kind: 'success', result, resultType });
const fails = (reason: string, message: RegExp, final = false) => ({
  kind: 'failed',
  reason,
  message: expect.stringMatching(message),
  final,
});

describe('a handler', () => {
  test('is called with what its input schema makes of the input', async () => {
    expect(await call('area', { width: 3 })).toEqual(succeeds(Buffer.from('{"area":9}'), 'application/json'));
  });

  test('with an input that its schema refuses fails for good, every issue named', async () => {
    expect(await call('area', { width: 'x', unit: 1 })).toEqual(
      fails('handler_input_invalid', /width: .*expected number.*; unit: .*expected string/, true),
    );
  });

  test('with an input that says JSON and is not fails for good', async () => {
    expect(await call('echo', Buffer.from('{'))).toEqual(fails('handler_input_invalid', /is not JSON/, true));
  });

  test('with an output that its schema refuses fails, and may be tried again', async () => {
    expect(await call('area', { width: 3, unit: 'cm' })).toEqual(
      fails('handler_output_invalid', /^the output is refused: area: /),
    );
  });

  test('is given bytes as they are when they are not JSON, and nothing as undefined', async () => {
    const bytes = new Uint8Array([1, 2, 3]);
    expect(await call('echo', bytes, 'image/png')).toEqual(succeeds(bytes, 'application/octet-stream'));
    expect(await call('echo', undefined)).toEqual(succeeds(null, ''));
  });

  test('gives JSON, bytes or nothing back', async () => {
    expect(await call('echo', 'hi')).toEqual(succeeds(Buffer.from('"hi"'), 'application/json'));
    expect(await call('bytes', 1)).toEqual(succeeds(new Uint8Array([0, 255]), 'application/octet-stream'));
    expect(await call('nothing', 1)).toEqual(succeeds(null, ''));
  });

  test('that gives more than travels, or what JSON cannot hold, fails with the reason', async () => {
    expect(await call('large', 1)).toEqual(fails('result_too_large', /262146 bytes; at most 262144 travel/));
    expect(await call('big', 1)).toEqual(fails('handler_output_invalid', /BigInt/));
  });

  test('that throws fails its try with name and message; a FinalError fails the task', async () => {
    const said = jest.spyOn(console, 'error').mockImplementation(() => {});
    expect(await call('fails', 1)).toEqual(fails('handler_failed', /^TypeError: no$/));
    expect(await call('neverAgain', 1)).toEqual(fails('handler_failed', /^FinalError: gone for good$/, true));
    expect(said).toHaveBeenCalledTimes(2);
    said.mockRestore();
  });

  test('that is not there fails with the names of those that are', async () => {
    expect(await call('resize', 1)).toEqual(
      fails('handler_unknown', /^no handler resize: there are area, echo/),
    );
  });
});

describe('handlers are refused where they are defined', () => {
  test.each([
    ['a name with a space', { 'a b': () => 1 }, /"a b" is no name/],
    ['no function', { a: { input: z.string() } }, /handler a has nothing to run/],
    ['nothing', { a: undefined }, /handler a has nothing to run/],
  ])('with %s', (_, wrong, words) => {
    expect(() => defineHandlers(wrong as never)).toThrow(words);
  });
});
