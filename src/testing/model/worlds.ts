import type { Bounds, RuleName } from './rules.js';

/** Agent A in full, with two streams; agent B answers at once; two permits. */
const TWO_AGENTS: Bounds = {
  policy: 'reassign',
  sameAgent: false,
  lease: 3,
  permits: 2,
  epochs: 3,
  streams: [2, 0],
  asks: 1,
  cancel: false,
  drain: false,
  crash: false,
};

/** A and B are two instances of one agent, both in full, with one stream each. */
const TWO_INSTANCES: Bounds = { ...TWO_AGENTS, sameAgent: true, epochs: 2, streams: [1, 1] };

const ONE_STREAM: Bounds = { ...TWO_AGENTS, streams: [1, 0] };

/** The worlds that are explored to the end with every rule on. */
export const WORLDS: Readonly<Record<string, Bounds>> = {
  'two agents': TWO_AGENTS,
  'two agents, one stream, a cancel and a drain': { ...ONE_STREAM, cancel: true, drain: true },
  'two agents, one stream, a finer clock, three permits': { ...ONE_STREAM, lease: 4, permits: 3, asks: 2 },
  'two agents, one stream, single_run, a cancel': { ...ONE_STREAM, policy: 'single_run', cancel: true },
  'two instances of one agent': TWO_INSTANCES,
};

/** As the above, for nights: some minutes and a few gigabytes. */
export const DEEP_WORLDS: Readonly<Record<string, Bounds>> = {
  'two agents, a cancel': { ...TWO_AGENTS, cancel: true },
  'two agents, a drain and goodbye': { ...TWO_AGENTS, drain: true },
  'two agents, single_run': { ...TWO_AGENTS, policy: 'single_run' },
  'two instances, a crash, with and without proof': { ...TWO_INSTANCES, crash: true },
};

/** In which world the absence of a rule shows. A coarse clock hides that a session must not come to life again. */
export const WITHOUT: Readonly<Record<RuleName, Bounds>> = {
  gateFromSend: TWO_AGENTS,
  gateBeforeLease: TWO_AGENTS,
  permitCompareAndSet: TWO_AGENTS,
  agentChecksPermit: TWO_AGENTS,
  permitOnce: TWO_AGENTS,
  takeoverFailsNobody: TWO_INSTANCES,
  tokenCloses: TWO_AGENTS,
  noTimedEnd: TWO_AGENTS,
  newEpoch: { ...TWO_AGENTS, lease: 4 },
  noAckAfterDecision: TWO_AGENTS,
  releaseFirst: { ...TWO_AGENTS, policy: 'single_run' },
  cancelAsks: { ...TWO_AGENTS, cancel: true },
};
