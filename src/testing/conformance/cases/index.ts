import type { Case } from '../case.js';
import { HOLD } from './dag-processor/hold.js';
import { SNAPSHOT } from './dag-processor/snapshot.js';
import { HELLO } from './every/hello.js';
import { SESSION } from './every/session.js';
import { EVENT } from './triggerer/event.js';
import { START } from './triggerer/start.js';
import { STOP } from './triggerer/stop.js';
import { GATE } from './worker/gate.js';
import { HANDSHAKE } from './worker/handshake.js';
import { PERMIT } from './worker/permit.js';

/** Every case, in the order in which they are told. A file of cases is one line here. */
export const CASES: readonly Case[] = [
  ...HELLO,
  ...SESSION,
  ...HANDSHAKE,
  ...PERMIT,
  ...GATE,
  ...START,
  ...STOP,
  ...EVENT,
  ...SNAPSHOT,
  ...HOLD,
];
