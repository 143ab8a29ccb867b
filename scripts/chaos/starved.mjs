// Failures of agents that nobody struck hard enough, or struck too late, on a machine with more to do than it can. An
// agent without a CPU is silent, and a silent agent is rightly failed: no promise is broken if the kernel itself counts
// that agent or coordinator stood in the queue for a CPU for all of the silence that nothing else explains.

const EXCUSABLE = new Set(['K9 early', 'K9 false']);

/**
 * Sorts violations: `violations` stand, `excused` are told in words, each with its figures. `waits(agentId, from, to)` is
 * for how many milliseconds of that time the agent or the coordinator could have run and had no CPU.
 */
export function withoutStarved(violations, { failures, faults, heartbeatMs, leaseMs }, waits) {
  const told = { violations: [], excused: [] };
  for (const violation of violations) {
    const words = EXCUSABLE.has(violation.rule) ? excuse(violation) : null;
    if (words === null) told.violations.push(violation);
    else told.excused.push(words);
  }
  return told;

  function excuse({ rule, at, agentId, what }) {
    const failure = failures.find((one) => one.agentId === agentId && one.at === at);
    // By the coordinator's own word before the end of the lease: no machine is busy enough for that.
    if (failure === undefined || failure.silentMs < leaseMs) return null;
    const from = at - failure.silentMs;
    const own = faults.filter((fault) => fault.target === agentId && fault.to >= from && fault.from <= at);
    // What a hard fault brought about needs no other cause: the silence before it does.
    const struck = own.find(({ mustFail }) => mustFail);
    const until = struck === undefined ? at : Math.max(from, Math.min(at, struck.from));
    const soft = own.filter(({ mustFail }) => !mustFail);
    const faultMs = soft.reduce((sum, { from: a, to: b }) => sum + overlap(a, b, from, until), 0);
    const missingMs = until - from - heartbeatMs - faultMs;
    const waitedMs = waits(agentId, from, until);
    if (missingMs <= 0 || waitedMs < missingMs) return null;
    const [missing, waited] = [missingMs, waitedMs].map(Math.round);
    return `${rule}: ${what}; ${missing} ms of silence are unexplained, and it or the coordinator had no CPU for ${waited} ms of it`;
  }
}

function overlap(from, to, start, end) {
  return Math.max(0, Math.min(to, end) - Math.max(from, start));
}
