// A worker made of the protos of the first release, grpc-js and proto-loader, and of nothing else of this repository: what
// somebody has deployed and never touches again. It runs commands, keeps the gate, and stops what it is told to stop.
//
//   node first-worker.mjs PROTO_FOLDER ADDRESS AGENT_ID QUEUE
//
// Every line that it prints is a JSON object: what it met, for whoever watches.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Client, credentials } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const [protos, address, agentId, queue] = process.argv.slice(2);
const SLOTS = 4;
const { Connect } = loadSync('holdfast/v1/agent_service.proto', {
  includeDirs: [protos],
  ...{ longs: String, enums: String, defaults: true, oneofs: true },
})['holdfast.v1.AgentService'];
const client = new Client(address, credentials.createInsecure());
const instanceId = randomUUID();
const PHASES = { ASKED: 1, RUNNING: 2, STOPPING: 3, FINISHED: 4, VOID: 5 };

/** Everything held: by token, or by nonce while asked. */
const entries = new Map();
const reports = new Map();
const offers = new Set();
let streamNo = 0;
let nonce = 0;
let unknownMessages = 0;
let call = null;
let leaving = false;
let session = null;
let seq = 1;
let applied = 1;
let sentAt = [];
let gateEndsAt = 0;
const logOffsets = new Map();
let tick = null;

const say = (what, more = {}) => process.stdout.write(`${JSON.stringify({ what, ...more })}\n`);
const millis = ({ seconds, nanos }) => Number(seconds) * 1_000 + nanos / 1e6;
const gateIsOpen = () => session !== null && !leaving && performance.now() < gateEndsAt;
const keyOf = ({ token, nonce: asked }) => (token === '0' ? `nonce ${asked}` : `token ${token}`);
const put = (phase, entry) => entries.set(keyOf(entry), { phase: `INVENTORY_PHASE_${phase}`, ...entry });
const numberOf = ({ phase }) => PHASES[phase.replace('INVENTORY_PHASE_', '')];

/** An enum value by its name; one that this release does not know comes as a number, is counted, and means `fallback`. */
function known(value, fallback) {
  if (typeof value === 'string') return value;
  unknownMessages++;
  return fallback;
}

function hashOfInventory() {
  let sum = 0;
  for (const entry of entries.values()) {
    const bytes = Buffer.alloc(17);
    bytes.writeBigUInt64LE(BigInt(entry.token), 0);
    bytes.writeBigUInt64LE(BigInt(entry.nonce), 8);
    bytes.writeUInt8(numberOf(entry), 16);
    let hash = 2_166_136_261;
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 16_777_619) >>> 0;
    sum = (sum + hash) >>> 0;
  }
  return sum;
}

function dial() {
  streamNo++;
  session = null;
  seq = 1;
  applied = 1;
  sentAt = [];
  offers.clear();
  const own = client.makeBidiStreamRequest(
    Connect.path,
    Connect.requestSerialize,
    Connect.responseDeserialize,
  );
  call = own;
  own.on('data', (down) => own === call && hear(down));
  own.on('error', (error) => say('stream', { code: error.code, details: error.details }));
  own.on('status', () => own === call && lost());
  sentAt[1] = performance.now();
  own.write({
    hello: {
      ...{ agentId, instanceId, streamNo, kind: 'AGENT_KIND_WORKER', queues: [queue], slots: SLOTS },
      ...{ software: 'first-worker/0.1.0', protocolVersion: 1, inventory: [...entries.values()] },
      reports: [...reports.values()],
    },
  });
}

function lost() {
  clearInterval(tick);
  session = null;
  if (leaving) process.exit(0);
  setTimeout(dial, 100 + Math.random() * 200);
}

function hear(down) {
  switch (down.message) {
    case 'welcome':
      return welcomed(down.welcome);
    case 'ack':
      return apply(down.ack);
    case 'logAck':
      return;
    case 'reconnect':
      return void call.end();
    case 'refused':
      return say('refused', { reason: known(down.refused.reason, 'HELLO_REFUSAL_UNAVAILABLE') });
    case 'farewell':
      return say('farewell');
    default:
      unknownMessages++;
  }
}

function welcomed(welcome) {
  session = welcome;
  gateEndsAt = sentAt[1] + millis(welcome.gate);
  for (const { token, nonce: asked, kind, reason } of welcome.verdicts) {
    const ruling = known(kind, token === '0' ? 'VERDICT_KIND_NEVER_START' : 'VERDICT_KIND_KEEP');
    if (ruling === 'VERDICT_KIND_NEVER_START') entries.delete(keyOf({ token, nonce: asked }));
    if (ruling === 'VERDICT_KIND_RECORDED') forget(token);
    if (ruling === 'VERDICT_KIND_STOP') stop(token, reason);
  }
  for (const { token } of welcome.acknowledgements) forget(token);
  say('welcome', { epoch: welcome.epoch, verdicts: welcome.verdicts.length });
  tick = setInterval(beat, millis(welcome.heartbeatInterval));
}

function beat(changes = []) {
  if (session === null) return;
  const now = performance.now();
  sentAt[++seq] = now;
  if (gateIsOpen()) {
    for (const taskId of offers) {
      if (entries.size >= SLOTS) break;
      offers.delete(taskId);
      put('ASKED', { token: '0', nonce: String(++nonce), taskId });
    }
  }
  const asked = [...entries.values()].filter(({ phase }) => phase === 'INVENTORY_PHASE_ASKED');
  call.write({
    heartbeat: {
      ...{ seq, applied, reports: [...reports.values()], inventoryChanges: changes },
      ...{ inventoryCount: entries.size, inventoryHash: hashOfInventory(), freeSlots: SLOTS - entries.size },
      startRequests: asked.map((entry) => ({ nonce: entry.nonce, taskId: entry.taskId })),
      health: { unknownMessages },
    },
  });
}

const forget = (token) => {
  entries.delete(`token ${token}`);
  reports.delete(token);
};

function apply(ack) {
  const sent = sentAt[Number(ack.received)];
  if (sent !== undefined) gateEndsAt = Math.max(gateEndsAt, sent + millis(session.gate));
  applied = Number(ack.number);
  for (const { token, reason } of [...ack.stops, ...ack.cancellations]) stop(token, reason);
  for (const { token, disposition } of ack.acknowledgements) {
    if (reports.has(token)) say('acknowledged', { token, disposition: known(disposition, 'RECORDED') });
    forget(token);
  }
  for (const permit of ack.permits) start(permit);
  for (const { nonce: refused, reason } of ack.refusals) {
    say('refusal', { reason: known(reason, 'REFUSAL_REASON_NOT_OFFERED') });
    entries.delete(`nonce ${refused}`);
  }
  for (const token of ack.voidTokens) if (!entries.has(`token ${token}`)) neverStart(token, '');
  for (const { taskId } of ack.offers) offers.add(taskId);
  for (const taskId of ack.withdrawals) offers.delete(taskId);
  if (ack.permits.length > 0 || (offers.size > 0 && gateIsOpen())) beat();
}

function end(token, taskId, phase, report) {
  put(phase, { token, nonce: '0', taskId });
  reports.set(token, { token, taskId, ...report });
  beat();
}
const neverStart = (token, taskId) => end(token, taskId, 'VOID', { kind: 'REPORT_KIND_NEVER_STARTED' });

const runs = new Map();

function start({ nonce: answered, token, epoch, taskId, work, partitionPolicy }) {
  entries.delete(`nonce ${answered}`);
  if (entries.has(`token ${token}`)) return;
  put('RUNNING', { token, nonce: '0', taskId });
  if (epoch !== session.epoch || !gateIsOpen() || work?.work !== 'command') return neverStart(token, taskId);
  const policy = known(partitionPolicy, 'PARTITION_POLICY_UNSPECIFIED');
  say('start', { taskId, token, policy });
  const [program, ...args] = work.command.argv;
  const env = { ...process.env, ...work.command.env, HOLDFAST_FENCING_TOKEN: token };
  const child = spawn(program, args, { env, detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  runs.set(token, child);
  child.stdout.on('data', (data) => {
    const offset = logOffsets.get(token) ?? 0;
    logOffsets.set(token, offset + data.length);
    call.write({ logChunk: { token, taskId, offset, data, stream: 'LOG_STREAM_STDOUT' } });
  });
  child.on('close', (code, signal) => {
    const stopped = entries.get(`token ${token}`)?.phase === 'INVENTORY_PHASE_STOPPING';
    const kind = stopped ? 'KILLED' : code === 0 ? 'SUCCESS' : 'FAILED';
    const reason = code === 0 ? '' : signal === null ? 'exit_code' : 'signal';
    runs.delete(token);
    end(token, taskId, 'FINISHED', { kind: `REPORT_KIND_${kind}`, exitCode: code ?? 0, reason });
  });
}

function stop(token, reason) {
  const child = runs.get(token);
  if (child === undefined) return;
  say('stop', { token, reason: known(reason, 'STOP_REASON_SUPERSEDED') });
  const entry = entries.get(`token ${token}`);
  put('STOPPING', { token, nonce: '0', taskId: entry.taskId });
  process.kill(-child.pid, 'SIGTERM');
  beat([entries.get(`token ${token}`)]);
}

process.on('SIGTERM', () => {
  leaving = true;
  for (const child of runs.values()) process.kill(-child.pid, 'SIGKILL');
  if (session === null) process.exit(0);
  call.write({ goodbye: { endsSession: entries.size === 0, reason: 'done' } });
  say('unknown', { unknownMessages });
});
dial();
