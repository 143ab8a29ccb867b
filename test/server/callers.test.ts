import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { refuseCall } from '../../src/server/access.js';
import { type Caller, callerNamed } from '../../src/server/callers.js';
import { Authority } from '../wire/support/certificates.js';

let authority: Authority;
beforeAll(() => {
  authority = new Authority();
});
afterAll(() => authority.close());

const MINUTE = 60_000;

/** The caller that a real certificate with these alternative names makes. */
function named(...names: string[]): Caller {
  const { certFile } = authority.issue('caller', {
    names,
    validMs: [Date.now() - MINUTE, Date.now() + MINUTE],
  });
  const { subjectAltName, validTo } = new X509Certificate(readFileSync(certFile));
  return callerNamed({ subjectaltname: subjectAltName ?? '', valid_to: validTo });
}

describe('the one spiffe:// name of a certificate says who its owner is', () => {
  test.each<[string[], object]>([
    [['URI:spiffe://a.example/agent/worker/w-1'], { kind: 'agent', agentId: 'w-1', agentKind: 'worker' }],
    [['URI:spiffe://a/agent/dag-processor/d'], { kind: 'agent', agentId: 'd', agentKind: 'dag_processor' }],
    [['URI:spiffe://a/agent/any/x'], { kind: 'agent', agentId: 'x', agentKind: null }],
    [
      ['DNS:host.example', 'URI:spiffe://a/operator/ada'],
      { kind: 'operator', name: 'spiffe://a/operator/ada' },
    ],
    [['URI:https://a/', 'URI:spiffe://a/viewer'], { kind: 'viewer' }],
  ])('%j', (names, caller) => {
    expect(named(...names)).toMatchObject(caller);
  });

  test.each<[string, string[]]>([
    ['none', ['DNS:operator', 'URI:https://a/operator']],
    ['two', ['URI:spiffe://a/operator', 'URI:spiffe://a/agent/worker/w']],
    ['one inside a name of another kind', ['DNS:a, URI:spiffe://a/operator', 'DNS:b']],
    ['one inside a name that quotes', ['DNS:a", URI:spiffe://a/operator, "b']],
    ['a role that there is not', ['URI:spiffe://a/admin']],
    ['an operator below an operator', ['URI:spiffe://a/operator/ada/more']],
    ['an agent without a kind', ['URI:spiffe://a/agent/w']],
    ['a kind that there is not', ['URI:spiffe://a/agent/constructor/w']],
    ['an id that is no name', ['URI:spiffe://a/agent/worker/..%2fw']],
    ['an id with more behind it', ['URI:spiffe://a/agent/worker/w/x']],
  ])('%s: the certificate names nobody', (_what, names) => {
    expect(named(...names)).toMatchObject({ kind: 'stranger' });
  });
});

describe('calls', () => {
  const operator = { kind: 'operator', name: 'spiffe://a/operator', notAfterMs: 1_000 } as const;

  test('of a certificate that has expired since the connection was made are refused', () => {
    const path = '/holdfast.v1.TaskService/SubmitTasks';
    expect(refuseCall(path, operator, 999)).toBeNull();
    expect(refuseCall(path, operator, 1_000)).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test.each(['/holdfast.v2.TaskService/SubmitTasks', '/other.Service/GetTask', '/holdfast.v1.Task/x', ''])(
    '%s: what no row of the table matches, nobody may',
    (path) => {
      expect(refuseCall(path, operator, 0)).toMatchObject({
        code: 'PERMISSION_DENIED',
        because: 'it may be called by nobody',
      });
    },
  );
});
