import type { StreamId } from '../kit/ids.js';

/** A stream's number within this process. */
export function streamIds(): () => StreamId {
  let last = 0;
  return () => ++last as StreamId;
}
