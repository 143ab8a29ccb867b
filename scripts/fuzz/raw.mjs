// What is not even gRPC: garbage on the socket, HTTP/2 frames that make no sense, gRPC frames that lie.
import { connect as http2 } from 'node:http2';
import { connect } from 'node:net';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

/** Sends `count` malformed inputs, `width` at a time. */
export async function fuzzRaw(address, chance, count, width) {
  const budget = { left: count };
  const inputs = [garbage, frames, lyingGrpc, headersGarbage, rapidReset];
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (budget.left > 0) {
        budget.left--;
        await chance.pick(inputs)(address, chance);
      }
    }),
  );
}

function socket(address, bytes) {
  const [host, port] = address.split(':');
  return new Promise((resolve) => {
    const peer = connect(Number(port), host, () => peer.end(bytes));
    const timer = setTimeout(() => peer.destroy(), 500);
    peer.on('data', () => {});
    peer.on('error', () => {});
    peer.on('close', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}

function noise(chance, most) {
  return Buffer.from(Array.from({ length: chance.below(most) }, () => chance.below(256)));
}

function garbage(address, chance) {
  return socket(address, noise(chance, 400));
}

function frame(type, flags, stream, payload, length = payload.length) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length & 0xff_ffff, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}

function frames(address, chance) {
  const parts = Array.from({ length: 1 + chance.below(12) }, () => {
    const payload = noise(chance, 60);
    const length = chance.is(0.8) ? payload.length : chance.below(2 ** 24);
    return frame(chance.below(14), chance.below(256), chance.below(8), payload, length);
  });
  return socket(address, Buffer.concat([PREFACE, SETTINGS, ...parts]));
}

/** HEADERS with bytes that are no HPACK, and CONTINUATIONs that never end. */
function headersGarbage(address, chance) {
  const parts = [frame(1, 0, 1, noise(chance, 200))];
  for (let i = 0; i < chance.below(30); i++) parts.push(frame(9, 0, 1, noise(chance, 200)));
  return socket(address, Buffer.concat([PREFACE, SETTINGS, ...parts]));
}

/** A real HTTP/2 request to the stream's method whose gRPC framing lies about length or compression. */
function lyingGrpc(address, chance) {
  return withSession(address, (session) => {
    const request = session.request({
      ':method': 'POST',
      ':path': chance.is(0.8) ? '/holdfast.v1.AgentService/Connect' : '/holdfast.v1.TaskService/SubmitTasks',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const head = Buffer.alloc(5);
    head[0] = chance.is(0.7) ? 0 : chance.below(256);
    head.writeUInt32BE(chance.pick([0, 1, 5, 1_048_577, 0x7fff_ffff, 0xffff_ffff]), 1);
    request.on('error', () => {});
    request.on('data', () => {});
    request.on('close', () => session.close());
    request.end(Buffer.concat([head, noise(chance, 100)]));
  });
}

function rapidReset(address, chance) {
  return withSession(address, (session) => {
    for (let i = 0; i < 1 + chance.below(20); i++) {
      const request = session.request({
        ':method': 'POST',
        ':path': '/holdfast.v1.AgentService/Connect',
        'content-type': 'application/grpc',
      });
      request.on('error', () => {});
      request.close(8);
    }
    session.close();
  });
}

function withSession(address, use) {
  return new Promise((resolve) => {
    const session = http2(`http://${address}`);
    const timer = setTimeout(() => session.destroy(), 500);
    session.on('error', () => {});
    session.on('close', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
    session.on('connect', () => use(session));
  });
}
