// CLOCK_MONOTONIC, the one clock that the harness and all task stubs of a machine share, in milliseconds.

export const monoMs = () => Number(process.hrtime.bigint()) / 1e6;

/** What to take from a wall time in milliseconds to have it on that clock. */
export const wallOffset = () => Date.now() - monoMs();
