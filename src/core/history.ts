/**
 * The events that a task's history can show. Their names are part of the public API: scripts rely on them.
 */
export const EVENTS = {
  submitted: 'accepted, durable; queued, or scheduled until its start_after',
  queued: 'its start_after has come: queued',
  expired: 'its first try was not permitted before its start_before',
  permitted: 'start confirmed to an agent: the token is open',
  success: 'ended well',
  deferred: 'waits for an event, without a slot; its token is closed',
  resumed: 'its event has come: it goes on',
  failed: 'ended badly for good',
  try_failed: 'a try ended badly; a retry follows',
  retry_queued: 'back-off over, queued again for a retry',
  retry_scheduled: 'back-off over, waits for room in its pool for a retry',
  never_started: 'a permit was not started and never will be; queued again',
  lost: 'the agent that holds the token is lost',
  try_lost: 'the lost try is closed for good with the outcome agent_lost',
  lost_reported:
    'the agent says the run is gone without an outcome: the try is closed with the outcome agent_lost',
  requeued: 'released (P11): queued again',
  adopted: 'the agent came back with the run: it goes on, the loss is not charged',
  regained: 'an agent showed a run whose permit the store had lost (P18): its token is open again',
  assignment_failed: 'offered to an agent that was lost before the start; queued as before',
  skipped:
    'its trigger rule, its condition, a short circuit or the task itself says that there is nothing to do',
  upstream_failed: 'what it needs has failed',
  cancel_requested: 'a cancel waits for the agent',
  timeout_requested: 'the execution timeout has passed; the agent is asked to stop the run',
  clear_requested: 'a clear waits for the agent',
  mark_requested: 'what an operator says of its end waits for the agent',
  cancelled: 'ended by a cancel',
  cleared: 'an operator had the instance cleared: its needs are asked again',
  marked: 'an operator said how the instance ended',
  queued_timeout: 'waited too long for an agent (P12)',
  poison: 'took down too many agents (P14)',
  retried: 'an operator had it tried again after its end: queued, or scheduled until its start_after',
  moved: 'an operator moved it to another queue',
  resolved: 'the operator ruled on a lost try',
  overlap: 'a run went on beside a newer one of its task: counted, nothing changed',
  late_report_refused: 'a report with a closed or foreign token was kept apart and changed nothing',
} as const;

export type EventName = keyof typeof EVENTS;
