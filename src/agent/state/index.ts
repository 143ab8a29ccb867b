/** What the agent may use of its state directory. */
export type { JournalWrite, Recovered } from './journal.js';
export { Journal, JournalCorruptError, MAX_HELD } from './journal.js';
export type { LockIdentity, StateLock } from './lock.js';
export type { InstanceRecord, Json, StartedRun, StoredReport } from './records.js';
export type { PredecessorProof, TakeOver, TakeOverOptions } from './takeover.js';
export { RUNNER_LOCK_FILE, StateDirectoryError, takeOver } from './takeover.js';
