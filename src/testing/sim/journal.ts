import type { Report } from '../../agent/core/messages.js';
import type { Epoch, InstanceId, TaskId, Token } from '../../kit/ids.js';
import { NO_EPOCH, NO_TOKEN } from '../../kit/ids.js';

/** What an agent's state directory remembers over the death of its process. */
export interface Journal {
  /** `atMs` is the start, by the machine's wall clock. */
  started: Map<Token, { readonly taskId: TaskId; readonly atMs: number }>;
  ended: Map<Token, Report>;
  highestToken: Token;
  highestEpoch: Epoch;
  /** Of the last process. */
  instanceId: InstanceId | null;
  /** Tells one state directory from another. */
  readonly lockInode: bigint;
}

/** An empty state directory. */
export function freshJournal(lockInode: bigint): Journal {
  return {
    started: new Map(),
    ended: new Map(),
    highestToken: NO_TOKEN,
    highestEpoch: NO_EPOCH,
    instanceId: null,
    lockInode,
  };
}
