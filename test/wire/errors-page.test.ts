import { readFileSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { describe, expect, test } from '@jest/globals';
import { CLIENT_STATUS } from '../../src/client/errors.js';
import { CALL_STATUS, CLOSE_STATUS, HELLO_STATUS } from '../../src/wire/status.js';

const page = readFileSync(new URL('../../docs/reference/errors.md', import.meta.url), 'utf8');

/** The rows of the page: code and status. */
const rows = new Map([...page.matchAll(/^\| `(\w+)` \| (\w+) \|/gm)].map(([, code, name]) => [code, name]));

describe('the page of errors', () => {
  test('names every code with its gRPC status, and no other', () => {
    const expected = new Map<string, string>();
    for (const [code, value] of Object.entries(CALL_STATUS)) expected.set(code, status[value]);
    for (const [code, value] of Object.entries(CLIENT_STATUS)) expected.set(code, status[value]);
    for (const [code, value] of Object.entries(HELLO_STATUS)) expected.set(code, status[value]);
    for (const [code, { code: value }] of Object.entries(CLOSE_STATUS)) expected.set(code, status[value]);
    expect(rows).toEqual(expected);
  });
});
