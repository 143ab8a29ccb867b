import { status } from '@grpc/grpc-js';
import { type Backoff, fullJitter } from '../kit/backoff.js';
import type { CallChoices, Channel, StreamLimits } from './channel.js';
import { HoldfastError } from './errors.js';

/** How a stream goes on when the coordinator goes away in the middle. */
export interface StreamChoices extends CallChoices {
  /** Ends the stream, which then rejects with `CANCELLED`. Default: nothing does. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which it rejects with `DEADLINE_EXCEEDED`, over all reconnects. Default: no limit. */
  readonly timeoutMs?: number | undefined;
  /** Default true: dial again, until the signal aborts or the time is over. */
  readonly reconnect?: boolean | undefined;
  /** Told each time the stream is lost and dialled again. Default: nobody is. */
  readonly onInterrupted?: ((error: HoldfastError) => void) | undefined;
}

const BACKOFF: Backoff = { initialMs: 250, maxMs: 5_000 };

/**
 * Reads streams from `open`, one after the other, until `complete` says that all has been seen. A coordinator that
 * restarts ends its streams in several ways (unavailable, cancelled, reset, even a clean end): all mean "ask again".
 */
export async function* readAcrossRestarts<T>(
  channel: Channel,
  limits: StreamLimits,
  open: () => AsyncGenerator<T, void, undefined>,
  complete: () => boolean,
  choices: StreamChoices,
): AsyncGenerator<T, void, undefined> {
  const { clock } = channel;
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
      if (isOver(channel, limits)) throw channel.late(limits);
      choices.onInterrupted?.(error);
    }
    const wait = fullJitter(BACKOFF, attempt, clock.random);
    const left = limits.deadline === undefined ? wait : Math.max(0, limits.deadline - clock.now());
    await clock.wait(Math.min(wait, left), choices.signal);
    if (isOver(channel, limits)) throw channel.late(limits);
    attempt += 1;
  }
}

const isOver = (channel: Channel, { deadline }: StreamLimits): boolean =>
  deadline !== undefined && channel.clock.now() >= deadline;

function isInterruption(error: HoldfastError): boolean {
  if (error.grpcStatus === status.INTERNAL) return error.what.includes('RST_STREAM');
  return error.grpcStatus === status.UNAVAILABLE || error.grpcStatus === status.CANCELLED;
}
