import { randomUUID } from 'node:crypto';

/** What the client needs of time and chance: deadlines of calls, waits between attempts, idempotency keys. */
export interface ClientClock {
  /** Milliseconds since 1970: gRPC takes deadlines as instants of this machine's wall clock. */
  readonly now: () => number;
  /** Resolves after `durationMs`, or as soon as the signal aborts. */
  readonly wait: (durationMs: number, signal: AbortSignal | undefined) => Promise<void>;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
  /** A new text that nobody has ever had, for the idempotency key of a task that has none. */
  readonly unique: () => string;
}

/** The machine's clock. */
export const CLIENT_CLOCK: ClientClock = {
  now: () => Date.now(),
  random: () => Math.random(),
  // Times first, so that the keys of one batch lie beside each other in the coordinator's index.
  unique: () => `${Date.now().toString(36).padStart(9, '0')}-${randomUUID()}`,
  wait: (durationMs, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, durationMs);
      signal?.addEventListener('abort', done);
    }),
};
