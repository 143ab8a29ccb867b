import type { Timetable } from '../core/dag/timetable.js';
import type { Policy } from '../core/policy.js';
import type { Log } from '../kit/log.js';
import type { ServiceMs } from '../kit/time.js';
import type { Store } from '../store/store.js';
import type { DagCheck, LargeDagCheck } from './snapshot-check.js';
import type { ServerTlsFiles } from './tls.js';

/** What a coordinator is started with. */
export interface CoordinatorOptions {
  /** Address to listen on. */
  readonly host: string;
  /** Port for gRPC; 0 lets the system choose. */
  readonly port: number;
  /** The open store; the coordinator owns it from here on and closes it. */
  readonly store: Store;
  readonly policy: Policy;
  /** Directory for task output; null keeps it in memory (tests). */
  readonly logDirectory: string | null;
  /** Files of its certificate and of the authorities that vouch for its callers. Default: plaintext. */
  readonly tls?: ServerTlsFiles | null;
  readonly log: Log;
  /** Instants of schedules. Default: DAGs have none of their own, and run by hand and by assets. */
  readonly timetable?: Timetable;
  /** Checks the DAGs of snapshots. Default: this coordinator takes none. */
  readonly checkDag?: DagCheck;
  /** Checks those that take long, elsewhere than on this loop. Default: they are checked like all others. */
  readonly checkLargeDag?: LargeDagCheck;
  /** What delivers notifications to the outside, once there is a service clock; null when nobody wants any. */
  readonly outlet?: ((serviceNow: () => ServiceMs) => Promise<Outlet>) | null;
}

/** Where notifications leave. Stopped before the store is closed. */
export interface Outlet {
  /** New notifications are committed. */
  notified(): void;
  /** Whether some of them cannot be delivered just now: an alarm. */
  readonly failing: boolean;
  stop(): Promise<void>;
}

/** A running coordinator. */
export interface Coordinator {
  /** HOST:PORT on which it accepts calls. */
  readonly address: string;
  readonly coordinatorId: string;
  /** Reads the files of certificates again now, instead of within the next ten seconds. */
  readCertificates(): void;
  /** Tells agents to reconnect, finishes what was accepted, closes the store. Fails no work. Idempotent. */
  stop(): Promise<void>;
  /** Settles when the coordinator has ended: with null after stop(), with the error when it had to stop itself. */
  readonly ended: Promise<Error | null>;
}
