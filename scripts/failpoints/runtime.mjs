// What a failpoint does in a running process. It is part of instrumented copies only (instrument.mjs).
//
// The orders lie in the working directory, which the coordinator, the agents and their runners share:
//   failpoint.json   { name, side, order: hold|lose|duplicate|note, hit }, read once
//   failpoint.hit    written by whoever meets the point first; nobody does anything after that
//   failpoint.go     ends a hold
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

const ORDERS_FILE = 'failpoint.json';
const HIT_FILE = 'failpoint.hit';
const CLAIM_FILE = 'failpoint.claim';
const GO_FILE = 'failpoint.go';
const LOOK_MS = 4;
/** A harness that is gone must not leave processes that wait for ever. */
const HOLD_LIMIT_MS = 30_000;

const orders = existsSync(ORDERS_FILE) ? JSON.parse(readFileSync(ORDERS_FILE, 'utf8')) : null;
let passes = 0;
/** Items that are said again with the next message: { items, agentId }. */
let again = null;

/** Where the step is: `items` and `agentId` are read only where there are orders for it. */
export function failpoint(name, side, settleMs, { items, agentId, lose }) {
  if (orders === null || orders.name !== name) return;
  if (side === 'before' && again !== null) repeat(items(), agentId);
  if (orders.side !== side || again !== null) return;
  const list = items();
  if (list === null || list.length === 0 || existsSync(CLAIM_FILE)) return;
  passes += 1;
  if (passes < orders.hit) return;
  const fire = () => obey(list, agentId(list), lose);
  if (settleMs > 0) setTimeout(fire, settleMs);
  else fire();
}

function obey(items, agentId, lose) {
  const { order, side } = orders;
  if (order === 'duplicate' && side === 'after') {
    again = { items: [...items], agentId };
    return;
  }
  if (!claimed(agentId)) return;
  if (order === 'hold') hold();
  if (order === 'lose') lose(items);
  if (order === 'duplicate') items.push(...items);
}

/** A duplicate on its own: the same again in a later message to or from the same agent. */
function repeat(items, agentOf) {
  const { items: old, agentId } = again;
  if (items === null || agentOf(items) !== agentId) return;
  again = null;
  if (claimed(agentId)) items.push(...old);
}

/** On the clock of the harness: what follows from the fault may be told before the harness has looked. */
const monoMs = () => Number(process.hrtime.bigint()) / 1e6;

/** The first process gets it, and says so. */
function claimed(agentId) {
  try {
    writeFileSync(CLAIM_FILE, '', { flag: 'wx' });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
  writeFileSync(`${HIT_FILE}.new`, JSON.stringify({ pid: process.pid, agentId, at: monoMs() }));
  renameSync(`${HIT_FILE}.new`, HIT_FILE);
  return true;
}

/** Stands still, the whole process, until it is killed or told to go on. */
function hold() {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  for (let waited = 0; waited < HOLD_LIMIT_MS && !existsSync(GO_FILE); waited += LOOK_MS)
    Atomics.wait(cell, 0, 0, LOOK_MS);
  rmSync(GO_FILE, { force: true });
}

/** An agent's own name, as it was told to it. */
export function ownAgentId() {
  const at = process.argv.indexOf('--agent-id');
  return at === -1 ? null : process.argv[at + 1];
}
