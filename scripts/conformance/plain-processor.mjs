// A DAG processor as plain as can be: it looks at its folder ten times a second. See plain-link.mjs.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { definition, hasFault, Link } from './plain-link.mjs';

const folder = process.env.HOLDFAST_BUNDLE;
const bundle = process.env.HOLDFAST_BUNDLE_NAME;
/** @type {any} */
const snapshotType = definition['holdfast.v1.BundleSnapshot'];
const CHUNK_BYTES = hasFault('one-chunk') ? 8 * 1024 * 1024 : 64 * 1024;
/** Chunks under way at once. */
const WINDOW = 4;

let newest = read();
let held = false;
let inForce = '';
let refused = '';
let sequence = 0;
let upload = null;

const agent = {
  hello: { kind: 'AGENT_KIND_DAG_PROCESSOR', bundles: [bundle] },
  lost: () => {
    if (!hasFault('keep-hold')) held = false;
    if (!hasFault('go-on')) upload = null;
  },
  connected: () => send(),
  stop: () => {},
  goOn: () => {},
  heard: (down) => {
    if (down.message === 'bundleHold') {
      held = down.bundleHold.held;
      inForce = down.bundleHold.lastSha256.toString('hex');
      refused = '';
      if (!held) upload = null;
    }
    if (down.message === 'bundleAck') answered(down.bundleAck);
    send();
  },
};
const link = new Link(agent);

/** The folder as the bytes of a BundleSnapshot. */
function read() {
  const dags = [];
  const importErrors = [];
  for (const file of readdirSync(folder).sort()) {
    const dag = readFileSync(join(folder, file));
    try {
      JSON.parse(dag.toString());
      dags.push({ file, dag });
    } catch (error) {
      if (!hasFault('hide-errors')) importErrors.push({ file, message: `${file}:1:1: ${error.message}` });
    }
  }
  const bytes = snapshotType.serialize({ dags, importErrors });
  return { bytes, digest: createHash('sha256').update(bytes).digest() };
}

function answered({ sequence: of, nextOffset, state }) {
  if (upload === null || Number(of) !== upload.sequence) return;
  const hash = upload.digest.toString('hex');
  switch (state) {
    case 'SNAPSHOT_STATE_IN_FORCE':
      inForce = hash;
      upload = null;
      return;
    case 'SNAPSHOT_STATE_REFUSED':
      if (!hasFault('send-refused')) refused = hash;
      upload = null;
      return;
    case 'SNAPSHOT_STATE_NOT_HELD':
      if (!hasFault('ignore-not-held')) held = false;
      upload = null;
      return;
    default: {
      const offset = Number(nextOffset);
      // The same word again, or a lower one: something is missing from there on.
      if (offset <= upload.arrived && !hasFault('never-back')) upload.sent = offset;
      upload.arrived = offset;
      upload.begun = upload.sent > 0;
    }
  }
}

function send() {
  const hash = newest.digest.toString('hex');
  const isNews = (hash !== inForce || hasFault('always-send')) && hash !== refused;
  const mayBegin = held || hasFault('send-unasked');
  if (upload === null && mayBegin && isNews) {
    if (!hasFault('same-sequence') || sequence === 0) sequence++;
    upload = { ...newest, sequence, sent: 0, arrived: 0, begun: false };
  }
  while (upload !== null && upload.sent - upload.arrived < WINDOW * CHUNK_BYTES) {
    const { bytes, digest, sent } = upload;
    if (upload.begun && sent === bytes.length) return;
    const data = bytes.subarray(sent, sent + CHUNK_BYTES);
    upload.begun = true;
    upload.sent += data.length;
    const isLast = upload.sent === bytes.length;
    const sha256 = isLast ? (hasFault('bad-digest') ? Buffer.alloc(32, 7) : digest) : Buffer.alloc(0);
    const numbers = { sequence: upload.sequence, offset: sent, totalBytes: bytes.length };
    link.say({ bundleChunk: { bundle, ...numbers, data, sha256 } });
  }
}

setInterval(() => {
  if (hasFault('no-watch')) return;
  newest = read();
  send();
}, 100);
link.dial();
