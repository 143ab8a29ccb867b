// Stands in front of a coordinator that is right, and makes of it one with a fault: what the cases for coordinators have to
// notice. It knows the protos and nothing else.
import { resolve } from 'node:path';
import { Client, credentials, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const files = ['agent', 'task', 'fleet'].map((name) => `holdfast/v1/${name}_service.proto`);
/** @type {Record<string, any>} */
const definition = loadSync(files, {
  includeDirs: [resolve(import.meta.dirname, '../../proto')],
  ...{ longs: String, enums: String, oneofs: true },
});
const { requestSerialize, requestDeserialize, responseSerialize, responseDeserialize, path } =
  definition['holdfast.v1.AgentService'].Connect;
const asBytes = (bytes) => bytes;
const RAW = {
  ...{ requestSerialize: asBytes, requestDeserialize: asBytes },
  ...{ responseSerialize: asBytes, responseDeserialize: asBytes },
};
const plus = (number, by) => String(BigInt(number) + BigInt(by));
const twice = ({ seconds = '0', nanos = 0 }) => {
  const millis = 2 * (Number(seconds) * 1_000 + nanos / 1e6);
  return { seconds: String(Math.floor(millis / 1_000)), nanos: Math.round((millis % 1_000) * 1e6) };
};

/** Replaces every disposition; what it was is forgotten. */
const dispose = (ack, disposition) => {
  ack.acknowledgements = ack.acknowledgements?.map((one) => ({ ...one, disposition }));
};
const each = (list, change) => list?.map((one) => ({ ...one, ...change(one) }));

/** Answers every start request with a permit of its own making. */
function permitAll(up, own, all) {
  const asked = up.heartbeat?.startRequests ?? [];
  if (asked.length === 0) return undefined;
  const permits = asked.map(({ nonce, taskId }) => {
    all.tokens++;
    return { nonce, taskId, token: String(900_000 + all.tokens), epoch: own.epoch, tryNumber: 1 };
  });
  own.say({ ack: { number: '2', received: up.heartbeat.seq, permits } });
  return { ...up, heartbeat: { ...up.heartbeat, startRequests: [] } };
}

/**
 * What each fault does: to what comes down (welcome, ack, refused), to what goes up, or to the end of a call. `own` is the
 * stream's memory, `all` that of the relay.
 * @type {Record<string, { welcome?: Function, ack?: Function, refused?: Function, farewell?: Function, up?: Function, end?: Function }>}
 */
const LIES = {
  'long-lease': { welcome: (welcome) => (welcome.lease = twice(welcome.lease)) },
  'short-lease-told': {
    // H, L and gate stay in their proportion, and the lease that is kept is shorter.
    welcome: (welcome) => {
      for (const name of ['heartbeatInterval', 'lease', 'gate']) welcome[name] = twice(welcome[name]);
    },
  },
  'skips-numbers': { ack: (ack) => (ack.number = plus(ack.number, Number(ack.number) > 3 ? 1 : 0)) },
  'new-epoch-each-stream': {
    welcome: (welcome, _own, all) => (welcome.epoch = plus(welcome.epoch, 1_000 * ++all.streams)),
  },
  'other-refusal': { refused: (refused) => (refused.reason = 'HELLO_REFUSAL_FULL') },
  'other-status': { end: () => ({ code: status.UNKNOWN, details: 'lied' }) },
  'stops-runs': {
    welcome: (welcome) => (welcome.verdicts = each(welcome.verdicts, () => ({ kind: 'VERDICT_KIND_STOP' }))),
  },
  'keeps-runs': {
    welcome: (welcome) => (welcome.verdicts = each(welcome.verdicts, () => ({ kind: 'VERDICT_KIND_KEEP' }))),
  },
  'no-farewell': { farewell: () => null },
  'permits-all': { up: permitAll },
  'keeps-old-streams': { up: permitAll, end: () => null },
  'wrong-epoch': {
    ack: (ack) => (ack.permits = each(ack.permits, ({ epoch }) => ({ epoch: plus(epoch, 1) }))),
  },
  'draws-anew': {
    ack: (ack, _own, all) => {
      ack.permits = each(ack.permits, ({ token }) => ({ token: plus(token, 1_000 * ++all.tokens) }));
    },
  },
  'falling-tokens': {
    ack: (ack) => (ack.permits = each(ack.permits, ({ token }) => ({ token: plus(`-${token}`, 1_000_000) }))),
  },
  'records-all': { ack: (ack) => dispose(ack, 'REPORT_DISPOSITION_RECORDED') },
  'judges-no-refused': { refused: (refused) => (refused.acknowledgements = []) },
  'hides-cancels': { ack: (ack) => (ack.cancellations = []) },
  'hides-cordon': { ack: (ack) => (ack.directive = undefined) },
  'trusts-inventories': { ack: (ack) => (ack.sendFullInventory = false) },
  'rules-in-part': { welcome: (welcome) => welcome.verdicts?.pop() },
  'believes-in-runs': {
    // Whatever was permitted is there still, whatever the agent shows.
    ack: (ack, _own, all) => all.permitted.push(...(ack.permits ?? [])),
    up: (up, _own, all) => {
      if (up.hello === undefined) return undefined;
      const entries = all.permitted.map(({ token, taskId }) => ({
        token,
        taskId,
        phase: 'INVENTORY_PHASE_RUNNING',
      }));
      return { hello: { ...up.hello, inventory: [...(up.hello.inventory ?? []), ...entries] } };
    },
  },
  'hides-void': { ack: (ack) => (ack.voidTokens = []) },
  'loses-heartbeats': { up: (up, own) => (up.heartbeat !== undefined && ++own.beats > 3 ? null : undefined) },
  'counts-output': {
    up: (up, own) => {
      if (up.heartbeat !== undefined) own.last = up.heartbeat;
      if (up.logChunk === undefined || own.last === undefined) return undefined;
      own.last = { ...own.last, seq: plus(own.last.seq, 1), reports: [], startRequests: [] };
      return { heartbeat: own.last };
    },
  },
  'knows-all': { up: (up, own) => (Object.keys(up).length === 0 ? own.break(status.INTERNAL) : undefined) },
  'ends-well': { end: () => ({ code: status.OK, details: '' }) },
  'answers-few': {
    ack: (ack) => {
      ack.acknowledgements = ack.acknowledgements?.slice(0, 100);
      ack.refusals = ack.refusals?.slice(0, 100);
      if (Number(ack.received) > 100) ack.received = '100';
    },
  },
};

/** @returns {Promise<{ address: string, close(): void }>} */
export async function lyingRelay(target, fault) {
  const lie = LIES[fault];
  if (lie === undefined) throw new Error(`there is no lie ${fault}`);
  const far = new Client(target, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  const server = new Server();
  const all = { streams: 0, tokens: 0, permitted: [] };
  server.addService(
    { Connect: { ...RAW, path, requestStream: true, responseStream: true } },
    {
      Connect: (near) => join(near, far, lie, all),
    },
  );
  for (const service of ['TaskService', 'FleetService']) {
    for (const [name, method] of Object.entries(definition[`holdfast.v1.${service}`])) {
      const { path: at, requestStream, responseStream } = /** @type {any} */ (method);
      if (requestStream || responseStream) continue;
      server.addService(
        { [name]: { ...RAW, path: at, requestStream, responseStream } },
        {
          [name]: ({ request }, answer) => far.makeUnaryRequest(at, asBytes, asBytes, request, answer),
        },
      );
    }
  }
  const port = await new Promise((done, failed) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? done(bound) : failed(error),
    );
  });
  const close = () => {
    server.forceShutdown();
    far.close();
  };
  return { address: `127.0.0.1:${port}`, close };
}

function join(near, far, lie, all) {
  const call = far.makeBidiStreamRequest(path, asBytes, asBytes);
  const end = ({ code, details }) => {
    const told = lie.end === undefined ? { code, details } : lie.end();
    if (told === null) return;
    if (told.code === status.OK) near.end();
    else near.emit('error', told);
  };
  const own = {
    ...{ epoch: '0', beats: 0, last: undefined },
    say: (down) => near.write(responseSerialize(down)),
    break: (code) => {
      end({ code, details: 'lied' });
      call.cancel();
      return null;
    },
  };
  near.on('data', (bytes) => {
    let up;
    try {
      up = requestDeserialize(bytes);
    } catch {
      return call.write(bytes);
    }
    const { message: _, ...plain } = up;
    const changed = lie.up?.(plain, own, all);
    if (changed === null) return;
    call.write(changed === undefined ? bytes : requestSerialize(changed));
  });
  near.on('end', () => call.end());
  for (const event of ['cancelled', 'error']) near.on(event, () => call.cancel());
  call.on('data', (bytes) => {
    const { message: arm, ...down } = responseDeserialize(bytes);
    if (arm === 'welcome') own.epoch = down.welcome.epoch;
    if (lie[arm]?.(down[arm], own, all) === null) return;
    near.write(responseSerialize(down));
  });
  call.on('error', () => {});
  call.on('status', end);
}
