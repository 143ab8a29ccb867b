/** The load-bearing rules of the protocol, each a switch: on in the product, off to show what it bears. */
export const RULES = [
  { name: 'gateFromSend', rule: 'P2', says: 'the gate counts from the sending of what is acknowledged' },
  { name: 'gateBeforeLease', rule: 'P2', says: 'La < L' },
  {
    name: 'permitCompareAndSet',
    rule: 'P5',
    says: 'the permit is a compare-and-set on epoch, holder and stream',
  },
  { name: 'agentChecksPermit', rule: 'P5', says: 'the agent takes permits of its session and newest stream' },
  { name: 'permitOnce', rule: 'P13', says: 'a permit told again starts nothing again' },
  { name: 'takeoverFailsNobody', rule: 'P5', says: 'a take-over fails none of the old work' },
  { name: 'tokenCloses', rule: 'P10', says: 'a report counts only while its token is open' },
  { name: 'noTimedEnd', rule: 'P13', says: 'under a live lease a permit ends by the agent’s answer only' },
  { name: 'newEpoch', rule: 'P5', says: 'FAILED ends the session: its agent comes back with a new epoch' },
  { name: 'noAckAfterDecision', rule: 'P1', says: 'no heartbeat is acknowledged after the decision to fail' },
  { name: 'releaseFirst', rule: 'P11', says: 'under single_run a release comes before the next permit' },
  { name: 'cancelAsks', rule: 'P15', says: 'a cancel with an open token is a request' },
] as const;

export type RuleName = (typeof RULES)[number]['name'];

/** Which rules are switched off. */
export type Off = ReadonlySet<RuleName>;

/** How big a world is explored: every number is a bound of its own, so that the run comes to an end. */
export interface Bounds {
  readonly policy: 'reassign' | 'single_run';
  /** The two processes are two instances of one agent instead of two agents. */
  readonly sameAgent: boolean;
  /** L in units of time: few units, few states; more of them, finer races. */
  readonly lease: 3 | 4;
  readonly permits: 1 | 2 | 3;
  readonly epochs: number;
  /** Streams that each process may open. */
  readonly streams: readonly [number, number];
  /** Start requests of each process. */
  readonly asks: number;
  readonly cancel: boolean;
  readonly drain: boolean;
  readonly crash: boolean;
}
