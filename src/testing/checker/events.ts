import type { EventName } from '../../core/history.js';
import type { PartitionPolicy, TaskState } from '../../core/rows.js';

/**
 * What observers outside can tell of a running Holdfast. Instants are milliseconds on one clock of the observer; events
 * come in the order in which they happened, as far as he knows it (`Settings.clockStepMs`).
 */
export type HistoryEvent =
  /** A client was told that a submission is accepted. */
  | { readonly kind: 'accepted'; readonly at: number; readonly key: string; readonly taskId: string }
  | Recorded
  /** The coordinator acknowledged a report as recorded. */
  | { readonly kind: 'acknowledged'; readonly at: number; readonly token: bigint }
  /** A permit left the coordinator. */
  | { readonly kind: 'permit_told'; readonly at: number; readonly token: bigint }
  | Started
  /** A run gave a sign of life. */
  | { readonly kind: 'alive'; readonly at: number; readonly token: bigint }
  | Ended
  /** The machine or the runner of a run slept while it was alive: what is promised of overlaps does not cover that. */
  | { readonly kind: 'slept'; readonly at: number; readonly token: bigint; readonly agentId?: string }
  /**
   * The agent no longer knows of the run, because its report was acknowledged, and the store may have lost that (P18):
   * its try may be told as never started.
   */
  | { readonly kind: 'forgotten'; readonly at: number; readonly token: bigint }
  | { readonly kind: 'granted'; readonly at: number; readonly agentId: string; readonly epoch: bigint }
  | Heard
  | Failed
  /** The coordinator could not do its work from then until then: no upper bound holds for what it does meanwhile. */
  | {
      readonly kind: 'disturbed';
      readonly at: number;
      readonly until: number;
      readonly by: 'outage' | 'stall';
    }
  | Fault
  /** A client was shown a task. */
  | {
      readonly kind: 'shown';
      readonly at: number;
      readonly taskId: string;
      readonly state: string;
      readonly token: bigint;
    }
  | Listed
  /** Nothing more comes. */
  | { readonly kind: 'over'; readonly at: number };

/** The exit code of a run that gives its slot back until an event (P16). */
export const DEFERS = 75;

/** The last of a run. */
export interface Ended {
  readonly kind: 'ended';
  readonly at: number;
  readonly token: bigint;
  /** Whose run it was, where the observer knows: before lost commits are noticed a token may be drawn twice (P18). */
  readonly agentId?: string;
  /** Null when the run did not choose it. */
  readonly code: number | null;
}

/** A row of a task's durable history. */
export interface Recorded {
  readonly kind: 'recorded';
  /** When it was durable. */
  readonly at: number;
  /** When it was decided, where the observer knows that; absent, it counts as `at`. */
  readonly decidedAt?: number;
  readonly taskId: string;
  readonly event: EventName;
  readonly agentId: string;
  readonly tryNumber: number;
  readonly token: bigint;
  /** Absent when the observer is not told. */
  readonly epoch?: bigint;
  readonly reason: string;
}

/** A process of a task is alive. */
export interface Started {
  readonly kind: 'started';
  /** When it was seen. */
  readonly at: number;
  /** When it began; not after `at`. With `stoodStill`, when its gate was looked at last. */
  readonly execAt: number;
  /**
   * Its runner stood still between the last look and exec, for longer than P2's d: of when it starts, and beside whom,
   * nothing is promised.
   */
  readonly stoodStill?: boolean;
  readonly taskId: string;
  readonly tryNumber: number;
  readonly token: bigint;
  readonly agentId: string;
  readonly epoch?: bigint;
  readonly policy: PartitionPolicy | 'unknown';
  /** Tokens of other runs of the same task that were seen alive at that moment. */
  readonly beside: readonly bigint[];
  /** Its concurrency key with its limit; absent without one, or when the observer is not told. */
  readonly key?: { readonly name: string; readonly limit: number };
  /** P2, on the agent's own clocks: since the newest acknowledged heartbeat was sent, and La. */
  readonly gate?: { readonly sinceMs: number; readonly limitMs: number };
}

/** The coordinator heard of a session. `clockMs` is its lease clock: monotonic, without its own stalls (P7). */
export interface Heard {
  readonly kind: 'heard';
  readonly at: number;
  readonly epoch: bigint;
  /** By its own restart it owes the session a new term, and has heard nothing. */
  readonly by: 'beat' | 'hello' | 'restart';
  readonly clockMs: number;
}

/** The coordinator failed an agent. */
export interface Failed {
  readonly kind: 'failed';
  readonly at: number;
  readonly agentId: string;
  readonly epoch: bigint;
  readonly leaseMs: number;
  readonly clockMs: number;
}

/** Something was done to a process or its network. */
export interface Fault {
  readonly kind: 'fault';
  readonly at: number;
  readonly until: number;
  readonly fault: string;
  /** An agent, or `coordinator`. */
  readonly target: string;
  /** The agent must be failed for it, at most `spareMs` later than for a kill. */
  readonly mustFail: boolean;
  readonly spareMs: number;
  /** It is too short to fail an agent for it. */
  readonly mayNotFail: boolean;
}

/** A task as the API tells it at the end. */
export interface Listed {
  readonly kind: 'listed';
  readonly at: number;
  readonly taskId: string;
  readonly key: string;
  readonly state: TaskState;
  readonly reason: string;
  /** Token that the run itself wrote into its result; null without one, absent where runs write none. */
  readonly resultToken?: bigint | null;
  /** Faults have stopped long enough for everything to have ended. */
  readonly settled: boolean;
}

/** What the checker needs to know of the world that it judges. Times in milliseconds. */
export interface Settings {
  /** H; what an outside observer cannot know of the last heartbeat before a fault. */
  readonly heartbeatMs: number;
  /** L. */
  readonly leaseMs: number;
  /** What a busy machine may add to an upper bound; never to a lower one. */
  readonly slackMs: number;
  /** How far two instants may be in the wrong order; 0 when events come exactly in theirs. */
  readonly clockStepMs: number;
  /** Every end of a run is seen: a run without one is alive. Else a run lived as long as it gave signs. */
  readonly endsAreSeen: boolean;
  /** Every fault is told, so that an agent may only be failed for one. */
  readonly faultsAreTold: boolean;
  readonly slotsOf: (agentId: string) => number;
  /** P12. */
  readonly queuedTimeoutMs: number;
  /** P12's option: no upper bound. */
  readonly queuedTimeoutWaits: boolean;
  /** P14. */
  readonly poisonLimit: number;
  /**
   * By how much the rates of clocks may differ, as a share; beyond CLOCK_BOUND what rests on the bound is not judged: when
   * a lost agent starts nothing more, and when its single_run work is gone.
   */
  readonly clockError: number;
}

/** P2: 1 % between any two clocks. Reckoned with twice that, so that rounding is no violation. */
export const CLOCK_BOUND = 0.02;

/** What follows from events, worked out by the book: rules judge it like an event. */
export type Consequence =
  /** Two runs were alive at once; the newer one's start is where. */
  | {
      readonly kind: 'together';
      readonly at: number;
      readonly taskId: string;
      readonly token: bigint;
      readonly agentId: string;
      readonly older: Run;
      readonly newer: Run;
    }
  /** So many runs were alive on one agent at the start of this one. */
  | {
      readonly kind: 'crowd';
      readonly at: number;
      readonly taskId: string;
      readonly token: bigint;
      readonly agentId: string;
      readonly alive: number;
    }
  /** So many runs of one concurrency key under `single_run` were alive at the start of one of them. */
  | {
      readonly kind: 'sharing';
      readonly at: number;
      readonly taskId: string;
      readonly token: bigint;
      readonly agentId: string;
      readonly key: string;
      readonly alive: number;
      /** The smallest limit among them. */
      readonly limit: number;
    }
  /** A run gave a sign of life after its agent was killed. */
  | {
      readonly kind: 'outlived';
      readonly at: number;
      readonly taskId: string;
      readonly token: bigint;
      readonly agentId: string;
      readonly livedMs: number;
    }
  /** An agent that had to be failed was, or was not in all of the history. */
  | {
      readonly kind: 'detected';
      readonly at: number;
      readonly agentId: string;
      readonly fault: Fault;
      readonly found: boolean;
      /** Latest instant at which it is in time. */
      readonly latest: number;
      /** The coordinator was disturbed meanwhile. */
      readonly disturbed: boolean;
    }
  /** At the end: an accepted submission, and the tasks that bear its key. */
  | {
      readonly kind: 'counted';
      readonly at: number;
      readonly taskId: string;
      readonly key: string;
      readonly found: readonly string[];
    };

export type Judged = HistoryEvent | Consequence;

/** A run as its signs tell it. */
export interface Run {
  readonly token: bigint;
  readonly taskId: string;
  readonly agentId: string;
  readonly policy: string;
  readonly key: { readonly name: string; readonly limit: number } | null;
  readonly at: number;
  /** Its last sign of life. */
  until: number;
  over: boolean;
  /** By its own last word; undefined before that. */
  code: number | null | undefined;
  slept: boolean;
  /** Tokens of the same task that its start saw alive, and those that it is known to have been alive with. */
  readonly beside: readonly bigint[];
  readonly pairs: Set<bigint>;
  /** Runs that were alive on its agent when it started, as far as is known. */
  alongside: number;
}

/** A promise that was broken, with what was seen and whom it concerns. */
export interface Violation {
  /** Of the rule's row: K1 … K17, or the invariant. */
  readonly rule: string;
  readonly at: number;
  readonly what: string;
  readonly taskId?: string;
  readonly token?: bigint;
  readonly agentId?: string;
}
