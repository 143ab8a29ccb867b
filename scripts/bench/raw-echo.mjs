// Both ends of the yardstick: a bare grpc-js server that echoes messages of records, and a client with some streams, each of
// which has one message under way. Nothing of Holdfast but the bytes of one of its messages.
import { readFileSync } from 'node:fs';
import { credentials, makeClientConstructor, Server, ServerCredentials } from '@grpc/grpc-js';
import { Heartbeat } from '../../dist/wire/gen/holdfast/v1/agent_service.js';
import { percentile } from './figures.mjs';

const encode = (message) => Buffer.from(Heartbeat.encode(message).finish());
const decode = (bytes) => Heartbeat.decode(bytes);
const service = {
  echo: {
    ...{ path: '/bench.Raw/Echo', requestStream: true, responseStream: true },
    ...{
      requestSerialize: encode,
      requestDeserialize: decode,
      responseSerialize: encode,
      responseDeserialize: decode,
    },
  },
};

/** A report as workers send them: 93 bytes. */
const record = {
  ...{ token: 1n << 40n, taskId: 'x'.repeat(26), kind: 1, exitCode: 0, reason: '', message: '' },
  ...{ result: Buffer.alloc(25), resultType: '', final: false },
  ...{ startedAt: new Date(1_700_000_000_123), endedAt: new Date(1_700_000_000_456) },
};

const beat = (records) =>
  /** @type {any} */ (Heartbeat).fromPartial({
    seq: 1n,
    reports: Array.from({ length: records }, () => record),
  });
const told = (message) => process.send?.(message);
const { role, port, key, cert, streams, records, seconds } = JSON.parse(process.argv[2] ?? '{}');
if (role === 'server') serve();
else await echo();

function serve() {
  const server = new Server();
  server.addService(service, {
    echo: (call) => {
      call.on('data', (message) => call.write(message));
      call.on('end', () => call.end());
    },
  });
  const pair = key && { private_key: readFileSync(key), cert_chain: readFileSync(cert) };
  const safety = pair ? ServerCredentials.createSsl(null, [pair]) : ServerCredentials.createInsecure();
  server.bindAsync('127.0.0.1:0', safety, (error, bound) => {
    if (error !== null) throw error;
    told({ port: bound });
  });
}

async function echo() {
  const Client = makeClientConstructor(service, 'Raw');
  const safety = cert ? credentials.createSsl(readFileSync(cert)) : credentials.createInsecure();
  const message = beat(records);
  const rtts = [];
  let isMeasured = false;
  const calls = Array.from({ length: streams }, () => {
    // A connection each, as agents have.
    const own = { 'grpc.use_local_subchannel_pool': 1, 'grpc.ssl_target_name_override': 'localhost' };
    const client = new Client(`127.0.0.1:${port}`, safety, own);
    const call = client.echo();
    let sent = performance.now();
    call.on('data', () => {
      const now = performance.now();
      if (isMeasured) rtts.push(now - sent);
      sent = now;
      call.write(message);
    });
    call.on('error', () => {});
    call.write(message);
    return { call, client };
  });
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  await pause(500 + 300 * seconds);
  isMeasured = true;
  told({ begins: true });
  await pause(1_000 * seconds);
  isMeasured = false;
  const messagesPerS = rtts.length / seconds;
  told({
    ...{ messagesPerS, recordsPerS: messagesPerS * records, bytes: encode(message).length },
    ...{ rttP50Ms: percentile(rtts, 0.5), rttP99Ms: percentile(rtts, 0.99) },
  });
  for (const { call, client } of calls) {
    call.cancel();
    client.close();
  }
  process.disconnect?.();
}
