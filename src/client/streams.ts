import { status } from '@grpc/grpc-js';
import { type Backoff, fullJitter } from '../kit/backoff.js';
import type { ClientClock } from './clock.js';
import { HoldfastError } from './errors.js';

/** How a stream goes on when the coordinator goes away in the middle. */
export interface StreamChoices {
  readonly signal?: AbortSignal | undefined;
  /** Default true: dial again, for ever, until the signal aborts. */
  readonly reconnect?: boolean | undefined;
  /** Told each time the stream is lost and dialled again. */
  readonly onInterrupted?: ((error: HoldfastError) => void) | undefined;
}

const BACKOFF: Backoff = { initialMs: 250, maxMs: 5_000 };

/**
 * Reads streams from `open`, one after the other, until `complete` says that all has been seen. A coordinator that
 * restarts ends its streams in several ways (unavailable, cancelled, reset, even a clean end): all mean "ask again".
 */
export async function* readAcrossRestarts<T>(
  open: () => AsyncGenerator<T, void, undefined>,
  complete: () => boolean,
  clock: ClientClock,
  choices: StreamChoices,
): AsyncGenerator<T, void, undefined> {
  let attempt = 0;
  for (;;) {
    try {
      for await (const item of open()) {
        attempt = 0;
        yield item;
      }
      if (complete()) return;
    } catch (error) {
      const lost = error instanceof HoldfastError && isInterruption(error);
      if (!lost || choices.reconnect === false || choices.signal?.aborted) throw error;
      choices.onInterrupted?.(error);
    }
    await clock.wait(fullJitter(BACKOFF, attempt, clock.random), choices.signal);
    attempt += 1;
  }
}

function isInterruption(error: HoldfastError): boolean {
  if (error.grpcStatus === status.INTERNAL) return error.what.includes('RST_STREAM');
  return error.grpcStatus === status.UNAVAILABLE || error.grpcStatus === status.CANCELLED;
}
