// What the plain worker keeps over its death: one JSON file, written anew at each change.
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasFault } from './fault.mjs';

const file = join(process.env.HOLDFAST_STATE_DIR, 'state.json');
const EMPTY = { highestToken: '0', highestEpoch: '0', runs: {}, reports: {}, process: null };

/** Of earlier processes first; `save` after a change. */
export const kept = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : structuredClone(EMPTY);

export function save() {
  writeFileSync(`${file}.new`, JSON.stringify(kept));
  renameSync(`${file}.new`, file);
}

/** 64-bit numbers are text here; `rounds` takes them for floating point, as careless programs do. */
export function raise(name, value) {
  const seen = hasFault('rounds') ? String(BigInt(Number(value))) : String(value);
  if (BigInt(seen) <= BigInt(kept[name])) return;
  kept[name] = seen;
  save();
}

/** Which process this is, for a successor to prove its death; the file stands in for a lock. */
export function identify(instanceId) {
  const predecessor = kept.process;
  writeFileSync(join(process.env.HOLDFAST_STATE_DIR, 'lock'), '');
  const { dev, ino } = statSync(join(process.env.HOLDFAST_STATE_DIR, 'lock'));
  const identity = {
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    lockDevice: String(dev),
    lockInode: String(ino),
  };
  kept.process = { ...identity, instanceId };
  save();
  return {
    process: { ...identity, pid: process.pid },
    proof: hasFault('no-proof') ? null : predecessor,
  };
}
