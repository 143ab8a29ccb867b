import type { Case } from '../case.js';
import { HOLD } from './dag-processor/hold.js';
import { SNAPSHOT } from './dag-processor/snapshot.js';
import { DRAIN } from './every/drain.js';
import { HELLO } from './every/hello.js';
import { RECONNECT } from './every/reconnect.js';
import { SESSION } from './every/session.js';
import { SKEW } from './every/skew.js';
import { STREAM } from './every/stream.js';
import { EVENT } from './triggerer/event.js';
import { START } from './triggerer/start.js';
import { STOP } from './triggerer/stop.js';
import { CORDON } from './worker/cordon.js';
import { GATE } from './worker/gate.js';
import { HANDSHAKE } from './worker/handshake.js';
import { INVENTORY } from './worker/inventory.js';
import { LOG } from './worker/log.js';
import { PERMIT } from './worker/permit.js';
import { REPORT } from './worker/report.js';
import { RESTART } from './worker/restart.js';
import { RUN } from './worker/run.js';

const EVERY = [HELLO, SESSION, STREAM, RECONNECT, SKEW, DRAIN];
const WORKER = [HANDSHAKE, PERMIT, GATE, RUN, REPORT, RESTART, INVENTORY, CORDON, LOG];
const TRIGGERER = [START, STOP, EVENT];
const DAG_PROCESSOR = [SNAPSHOT, HOLD];

/** Every case, in the order in which they are told. A file of cases is one word here. */
export const CASES: readonly Case[] = [...EVERY, ...WORKER, ...TRIGGERER, ...DAG_PROCESSOR].flat();
