import type { Note } from '../core/frames.js';
import type { Log } from '../kit/log.js';

/** Says in the log what operators should hear of, one line a note. */
export function logNotes(log: Log, notes: readonly Note[]): void {
  for (const { kind, ...rest } of notes) {
    const { level, text } = WORDS[kind];
    log[level]({ event: kind, ...plain(rest) }, text);
  }
}

const WORDS: Readonly<Record<Note['kind'], { level: 'info' | 'warn' | 'error'; text: string }>> = {
  session_granted: { level: 'info', text: 'an agent has a new session' },
  stream_attached: { level: 'info', text: 'an agent is back on a new stream; its session goes on' },
  agent_suspect: {
    level: 'warn',
    text: 'the stream of an agent is silent or lost: no offers, no permits until it is heard again',
  },
  agent_failed: { level: 'warn', text: 'an agent has missed three heartbeat intervals: failed' },
  session_ended: { level: 'info', text: 'an agent has said goodbye' },
  agent_forgotten: { level: 'info', text: 'an agent that has been away for long is no longer listed' },
  storm_brake: {
    level: 'error',
    text: 'most workers failed at once: reassignment is held back for one lease',
  },
  late_report: { level: 'warn', text: 'a report with a closed or foreign token was refused' },
  overlap: { level: 'warn', text: 'a run went on beside a newer one of its task' },
  run_adopted: { level: 'info', text: 'a lost agent is back and has its run again' },
  inventory_mismatch: {
    level: 'warn',
    text: 'what an agent holds differs from what was told: asking for all of it',
  },
  poison: { level: 'error', text: 'a task took down too many agents: failed as poison' },
  bundle_held: { level: 'info', text: 'a DAG processor holds a bundle: its snapshots count from now on' },
  snapshot_in_force: { level: 'info', text: 'a snapshot of a bundle is in force' },
  snapshot_refused: {
    level: 'warn',
    text: 'a snapshot of a bundle was refused; the one before stays in force',
  },
  commits_lost: {
    level: 'error',
    text: 'an agent has seen tokens that the store never drew: commits were lost',
  },
};

/** Counters are bigint, which JSON has no form for. */
function plain(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? String(value) : (value as unknown),
    ]),
  );
}
