// A worker as plain as can be, written from the protos alone: what the conformance kit's cases for workers are shown to be
// able to fail with. It is right unless HOLDFAST_FAULT names a fault that it is to have (../faults.mjs).
import { randomUUID } from 'node:crypto';
import { hasFault } from './fault.mjs';
import * as inventory from './inventory.mjs';
import { identify, kept, raise, save } from './keep.mjs';
import { clock, Link, millis } from './link.mjs';
import { outputOf } from './output.mjs';
import * as running from './runs.mjs';

const { PHASES } = inventory;
const SLOTS = Number(process.env.HOLDFAST_SLOTS);
/** Bytes of reports in one message. */
const REPORT_BYTES = 600 * 1024;

const instanceId = randomUUID();
const identity = identify(instanceId);
/** By nonce: start requests without an answer. By token: reports without an acknowledgement. */
const asks = new Map();
const reports = new Map();
const offers = new Set();
const voided = new Set();
let nextNonce = 0;
let seq = 1;
let applied = 1;
let sentAt = new Map();
let sentLast = 0;
let parts = [];
let changes = [];
let terms = null;
let gateEndsAt = 0;
let wasOpen = false;
let cordoned = false;
let closing = false;
let full = false;
let mustSpeak = false;
let soon = false;

const gateIsOpen = () => terms !== null && clock() < gateEndsAt;
const freeSlots = () => (closing || cordoned ? 0 : Math.max(0, SLOTS - inventory.occupied()));

// — up —

function hello() {
  seq = 1;
  applied = 1;
  sentAt = new Map([[1, clock()]]);
  sentLast = clock();
  parts = [];
  changes = [];
  voided.clear();
  if (!hasFault('keep-offers')) offers.clear();
  // Every report makes its entry final; those that do not fit into the Hello follow in heartbeats.
  for (const { report } of reports.values()) inventory.put(phaseOfReport(report), report);
  for (const one of reports.values()) one.sentAt = null;
  const value = {
    agentId: hasFault('wrong-name') ? 'somebody-else' : process.env.HOLDFAST_AGENT_ID,
    instanceId: hasFault('instance-per-stream') ? randomUUID() : instanceId,
    streamNo: link.streamNo,
    kind: 'AGENT_KIND_WORKER',
    queues: [process.env.HOLDFAST_QUEUE],
    slots: SLOTS,
    software: 'plain-worker/1',
    protocolVersion: 1,
    highestToken: kept.highestToken,
    highestEpoch: kept.highestEpoch,
    inventory: inventory.entries(),
    reports: reportsToSend(),
    ...identity,
  };
  return [{ hello: value }];
}

function phaseOfReport({ kind }) {
  if (kind === 'NEVER_STARTED') return PHASES.VOID;
  return kind === 'LOST' ? PHASES.LOST : PHASES.FINISHED;
}

function reportsToSend() {
  const sent = [];
  let bytes = 0;
  for (const one of reports.values()) {
    const again = terms !== null && one.sentAt !== null && clock() - one.sentAt >= terms.heartbeatMs;
    if (one.sentAt !== null && (!again || hasFault('report-once'))) continue;
    bytes += one.report.result?.length ?? 0;
    if (bytes > REPORT_BYTES && sent.length > 0 && !hasFault('one-big-hello')) {
      mustSpeak = true;
      break;
    }
    one.sentAt = clock();
    const { token, taskId, kind, exitCode, reason, result } = one.report;
    inventory.put(phaseOfReport(one.report), one.report);
    const value = { token, taskId, kind: `REPORT_KIND_${kind}`, exitCode, reason };
    sent.push({ ...value, result: Buffer.from(result ?? '', 'base64') });
  }
  return sent;
}

function requestsToSend() {
  const may = (gateIsOpen() || hasFault('asks-behind-gate')) && !cordoned && !closing;
  for (const taskId of may ? offers : []) {
    if (freeSlots() <= 0 && !hasFault('no-slots')) break;
    offers.delete(taskId);
    const nonce = hasFault('zero-nonce') ? '0' : String(++nextNonce);
    asks.set(nonce, { taskId, sentAt: null, askedAt: clock() });
    inventory.put(PHASES.ASKED, { nonce, taskId });
  }
  const requests = [];
  for (const [nonce, ask] of asks) {
    if (hasFault('forget-asks') && clock() - ask.askedAt > 3 * terms.heartbeatMs) closeAsk(nonce);
    else if (ask.sentAt === null || (clock() - ask.sentAt >= terms.heartbeatMs && !hasFault('ask-once'))) {
      ask.sentAt = clock();
      requests.push({ nonce, taskId: ask.taskId });
    }
  }
  return requests;
}

function beat() {
  if (!link.isUp || link.isLeaving) return;
  mustSpeak = false;
  const sent = reportsToSend();
  const stopping = changes.filter(({ token }) => inventory.phaseOf(token) === PHASES.STOPPING);
  const startRequests = requestsToSend();
  changes = [];
  seq++;
  sentAt.set(seq, clock());
  sentLast = clock();
  const shown = inventory
    .entries()
    .filter(({ phase }) => !(hasFault('full-without-asked') && phase === PHASES.ASKED));
  const heartbeat = {
    ...{ seq, applied, reports: sent, inventoryChanges: stopping, startRequests, freeSlots: freeSlots() },
    ...{ inventoryCount: inventory.count(), inventoryHash: inventory.hash() },
    ...(full ? { fullInventory: { entries: shown } } : {}),
  };
  full = false;
  link.send({ heartbeat });
  sayGoodbye();
}

function sayGoodbye() {
  const holds = inventory.count() > 0 || reports.size > 0;
  if (!closing || running.runs.size > 0 || (holds && !hasFault('early-goodbye'))) return;
  link.isLeaving = true;
  link.send({ goodbye: { endsSession: true, reason: 'drained' } });
}

/** At the end of the turn: one heartbeat for all there is to say. */
function speakSoon() {
  if (soon || hasFault('tick-only')) return;
  soon = true;
  setImmediate(() => {
    soon = false;
    const isNew = [...reports.values(), ...asks.values()].some((one) => one.sentAt === null);
    if (link.isUp && (mustSpeak || full || isNew || changes.length > 0 || offers.size > 0 || closing)) beat();
  });
}

function look() {
  if (terms === null) return;
  const intervalMs = hasFault('slow-beats') ? 2 * terms.heartbeatMs : terms.heartbeatMs;
  if (link.isUp && (clock() - sentLast >= intervalMs || mustSpeak)) beat();
  if (gateIsOpen() === wasOpen) return;
  wasOpen = gateIsOpen();
  if (wasOpen) return;
  if (hasFault('gate-stops-all')) running.stopAll('gate');
  if (!hasFault('no-gate-end') && !hasFault('no-guardian')) running.stopAll('gate', running.isSingleRun);
}

// — down —

function heard(down) {
  switch (down.message) {
    case 'welcome':
      return welcomed(down.welcome);
    case 'ack':
      return part(down.ack);
    case 'logAck':
      return output.acknowledged(down.logAck);
    case 'refused':
      if (hasFault('ends-when-in-use') && down.refused.reason === 'HELLO_REFUSAL_IN_USE') process.exit(1);
      if (!hasFault('ignore-refused-acks'))
        for (const { token } of down.refused.acknowledgements) forget(token);
      return;
    case 'farewell':
      return process.exit(hasFault('bad-exit') ? 1 : 0);
  }
}

function welcomed(welcome) {
  const isNew = welcome.epoch !== terms?.epoch;
  if (isNew && terms !== null && hasFault('one-session')) return link.hangUp();
  if (isNew && terms !== null && hasFault('stop-on-session')) running.stopAll('session');
  if (isNew && hasFault('reuse-nonce')) nextNonce = 0;
  if (hasFault('needs-limits')) welcome.limits.maxMessageBytes.toString();
  raise('highestEpoch', welcome.epoch);
  link.heartbeatMs = millis(welcome.heartbeatInterval);
  terms = { epoch: welcome.epoch, heartbeatMs: link.heartbeatMs, gateMs: millis(welcome.gate) };
  if (isNew) gateEndsAt = 0;
  acknowledged(1);
  for (const { token } of welcome.acknowledgements) forget(token);
  for (const verdict of welcome.verdicts) rule(verdict);
  if (!hasFault('ignore-welcome-cordon')) direct(welcome.directive);
  output.again();
  beat();
}

function rule({ kind, token, nonce }) {
  switch (kind) {
    case 'VERDICT_KIND_KEEP':
      if (nonce !== '0' && hasFault('keep-forbids')) closeAsk(nonce);
      return;
    case 'VERDICT_KIND_STOP':
      if (!hasFault('ignore-verdict-stop')) stop(token, !hasFault('stop-unseen'));
      return;
    case 'VERDICT_KIND_RECORDED':
      return void inventory.drop({ token });
    case 'VERDICT_KIND_NEVER_START':
      if (!hasFault('ignore-never-start')) closeAsk(nonce);
      return;
    default:
      if (nonce !== '0') closeAsk(nonce);
      else if (hasFault('unknown-verdict-stops')) stop(token, true);
  }
}

function acknowledged(received) {
  const sent = sentAt.get(received);
  if (sent === undefined) return;
  for (const one of sentAt.keys()) if (one <= received) sentAt.delete(one);
  gateEndsAt = Math.max(gateEndsAt, (hasFault('gate-from-receipt') ? clock() : sent) + terms.gateMs);
  running.tellGuardians(gateEndsAt - clock());
}

/** Parts with one number are one message. */
function part(ack) {
  parts.push(ack);
  if (ack.more && !hasFault('parts-at-once')) return;
  const whole = parts;
  parts = [];
  applied = Math.max(applied, Number(ack.number));
  for (const one of whole) apply(one);
  speakSoon();
}

function apply(ack) {
  acknowledged(Number(ack.received));
  if (!hasFault('ignore-stops')) for (const one of ack.stops) told(one);
  if (!hasFault('ignore-cancellations')) for (const one of ack.cancellations) told(one);
  for (const { token, disposition } of ack.acknowledgements) {
    if (disposition === 'REPORT_DISPOSITION_RECORDED' || !hasFault('picky')) forget(token);
  }
  for (const permit of ack.permits) take(permit);
  for (const { nonce, reason } of ack.refusals) {
    if (typeof reason !== 'number' || !hasFault('known-refusals')) closeAsk(nonce);
  }
  for (const token of ack.voidTokens) voidToken(token);
  for (const { taskId } of ack.offers) offers.add(taskId);
  if (!hasFault('ignore-withdrawals')) for (const taskId of ack.withdrawals) offers.delete(taskId);
  if (ack.directive !== null) direct(ack.directive);
  full ||= ack.sendFullInventory;
  mustSpeak ||= ack.permits.length > 0;
}

function told({ token, reason }) {
  if (typeof reason === 'number' && hasFault('known-stops')) return;
  if (hasFault('report-not-held') && inventory.phaseOf(token) === undefined)
    add({ token, taskId: '', kind: 'KILLED', exitCode: 0, reason: 'stopped' });
  stop(token, true);
}

function stop(token, isShown) {
  const { taskId } = running.runs.get(token)?.permit ?? { taskId: '' };
  if (inventory.phaseOf(token) === PHASES.RUNNING && isShown) {
    inventory.put(PHASES.STOPPING, { token, taskId });
    changes.push({ phase: PHASES.STOPPING, token, nonce: '0', taskId });
  }
  running.stop(token, 'stopped');
}

function take(permit) {
  const { token, nonce, taskId } = permit;
  if (inventory.phaseOf(token) !== undefined && !hasFault('no-memory')) return;
  const why = whyVoid(permit);
  raise('highestToken', token);
  asks.delete(nonce);
  inventory.drop({ nonce });
  inventory.put(PHASES.RUNNING, { token, taskId });
  if (why !== null) return add({ token, taskId, kind: 'NEVER_STARTED', exitCode: 0, reason: why });
  running.start(permit, add, (token, id, data) => output.said(token, id, data));
}

/** The rules of a start; each fault leaves one out. */
function whyVoid({ epoch, nonce, token }) {
  const rules = [
    ['any-epoch', 'other_session', epoch === terms.epoch],
    ['not-asked-is-fine', 'not_asked', asks.has(nonce) || hasFault('no-memory')],
    ['forget-void', 'void', !voided.has(token)],
    ['no-gate', 'gate_closed', gateIsOpen()],
    ['start-in-drain', 'draining', !closing],
  ];
  return rules.find(([fault, , holds]) => !holds && !hasFault(fault))?.[1] ?? null;
}

function voidToken(token) {
  if (inventory.phaseOf(token) !== undefined) full ||= !hasFault('ignore-void-held');
  else {
    voided.add(token);
    add({ token, taskId: '', kind: 'NEVER_STARTED', exitCode: 0, reason: 'void' });
  }
}

function direct({ cordoned: isCordoned, draining, drainTimeout }) {
  cordoned = isCordoned && !hasFault('ignore-cordon');
  mustSpeak = true;
  if (!draining || hasFault('ignore-drain')) return;
  closing = true;
  if (drainTimeout !== null && !hasFault('no-drain-deadline')) {
    setTimeout(() => running.stopAll('drain'), millis(drainTimeout));
  }
}

// — reports —

function add(report) {
  delete kept.runs[report.token];
  if (hasFault('offline-forgets') && !link.isUp) return;
  reports.set(report.token, { report, sentAt: null });
  if (!hasFault('no-journal')) kept.reports[report.token] = report;
  save();
  speakSoon();
}

function forget(token) {
  reports.delete(token);
  inventory.drop({ token });
  if (hasFault('never-forget')) return;
  delete kept.reports[token];
  save();
}

function closeAsk(nonce) {
  asks.delete(nonce);
  inventory.drop({ nonce });
}

function lost() {
  parts = [];
  if (hasFault('stop-on-loss')) running.stopAll('loss');
  if (!hasFault('forget-reports')) return;
  for (const token of reports.keys()) inventory.drop({ token });
  reports.clear();
}

const link = new Link({ hello, heard, lost, look });
const output = outputOf((message) => link.isUp && link.send(message));
process.on('SIGTERM', () => {
  if (hasFault('dies-at-sigterm')) process.exit(0);
  if (hasFault('sigterm-stops')) running.stopAll('drain');
  closing = true;
  mustSpeak = true;
});
running.tellGuardians(0);
for (const report of Object.values(kept.reports)) reports.set(report.token, { report, sentAt: null });
for (const report of await running.bury()) add(report);
link.dial();
