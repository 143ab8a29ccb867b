// K9: an agent that is gone is failed within [L, L + 1 s] of its last heartbeat, and nobody is failed who was there.

const PROMISE_MS = 1_000;

export function judgeDetection(history, verdict) {
  for (const failure of history.failures) judgeFailure(history, failure, verdict);
  for (const fault of history.faults) if (fault.mustFail) judgeLoss(history, fault, verdict);
}

/**
 * What a stalled coordinator, or one that has just started, does later than promised is its own stall (P7). Its faults are
 * over when it has heard all agents again: from then on only their heartbeats count.
 */
function isDisturbed({ faults }, from, to) {
  return faults.some((fault) => fault.target === 'coordinator' && fault.from <= to && fault.to >= from);
}

/** A failure as the coordinator tells it: not early, not late, and only of somebody to whom something was done. */
function judgeFailure(history, { at, agentId, silentMs }, verdict) {
  const { faults, leaseMs, heartbeatMs, slackMs } = history;
  const about = { agentId };
  verdict.count('agents failed');
  const silent = `${Math.round(silentMs)} ms after its last heartbeat`;
  verdict.check(silentMs >= leaseMs, 'K9 early', at, () => `${agentId} was failed ${silent}`, about);
  const isFree = !isDisturbed(history, at - silentMs, at);
  const inTime = silentMs <= leaseMs + PROMISE_MS + slackMs;
  verdict.check(!isFree || inTime, 'K9 late', at, () => `${agentId} was failed ${silent}`, about);
  if (isFree) verdict.time('an agent is failed, since its last heartbeat', silentMs);
  const own = faults.filter((fault) => fault.target === agentId && fault.from <= at);
  const silentFrom = at - silentMs - heartbeatMs;
  const cause = own.filter((fault) => fault.to >= silentFrom);
  const nobody = () =>
    `${agentId} was failed although nothing was done to it (silent for ${Math.round(silentMs)} ms)`;
  verdict.check(cause.length > 0, 'K9 false', at, nobody, about);
  const spared = cause.length > 0 && cause.every(({ mayNotFail }) => mayNotFail);
  const short = () =>
    `${agentId} was failed for a ${cause[0].kind} of ${Math.round(cause[0].to - cause[0].from)} ms`;
  verdict.check(!spared, 'K9 false', at, short, about);
}

/**
 * A loss as seen from outside. Its last heartbeat came at most one interval before the fault, and `spareMs` after it where
 * heartbeats still pass for a while (a cut of the other direction only).
 */
function judgeLoss(history, { kind, target, from, spareMs = 0 }, verdict) {
  const { failures, leaseMs, heartbeatMs, slackMs } = history;
  const about = { agentId: target };
  const found = failures.find(({ agentId, at }) => agentId === target && at >= from);
  const latest = from + spareMs + leaseMs + PROMISE_MS + slackMs;
  if (isDisturbed(history, from, Math.min(found?.at ?? latest, latest)))
    return verdict.count('losses not timed');
  if (found === undefined) {
    return verdict.violated('K9 late', latest, `${target} was never failed after ${kind}`, about);
  }
  const took = found.at - from;
  verdict.time(`an agent is failed, since ${kind}, seen from outside`, took);
  const what = () => `${target} was failed ${Math.round(took)} ms after ${kind}`;
  verdict.check(found.at <= latest, 'K9 late', found.at, what, about);
  // Heartbeats come an interval apart, give or take what a busy machine delays one.
  verdict.check(took >= leaseMs - heartbeatMs - slackMs, 'K9 early', found.at, what, about);
}
