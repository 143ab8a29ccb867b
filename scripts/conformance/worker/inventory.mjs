// Everything the plain worker holds, by token, or by nonce while asked; count and hash as the proto's comment defines them.
import { hasFault } from './fault.mjs';

export const PHASES = { ASKED: 1, RUNNING: 2, STOPPING: 3, FINISHED: 4, VOID: 5, LOST: 6 };
const held = new Map();

const keyOf = ({ token, nonce }) => (token === '0' ? `nonce ${nonce}` : `token ${token}`);

export function put(phase, { token = '0', nonce = '0', taskId }) {
  held.set(keyOf({ token, nonce }), { phase, token, nonce, taskId });
}

export const drop = ({ token = '0', nonce = '0' }) => held.delete(keyOf({ token, nonce }));
export const phaseOf = (token) => held.get(keyOf({ token, nonce: '0' }))?.phase;
export const entries = () => [...held.values()];
export const count = () => held.size;
export const occupied = () => entries().filter(({ phase }) => phase <= PHASES.STOPPING).length;

export function hash() {
  let sum = 0;
  for (const { token, nonce, phase } of held.values()) {
    const bytes = Buffer.alloc(17);
    bytes.writeBigUInt64LE(BigInt(token), 0);
    bytes.writeBigUInt64LE(BigInt(nonce), 8);
    bytes.writeUInt8(hasFault('hash-without-phase') ? 0 : phase, 16);
    let one = 2_166_136_261;
    for (const byte of bytes) one = Math.imul(one ^ byte, 16_777_619) >>> 0;
    sum = (sum + one) >>> 0;
  }
  return sum;
}
