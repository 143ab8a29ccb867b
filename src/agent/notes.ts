import type { Log } from '../kit/log.js';
import type { AgentNote } from './core/events.js';

/** Says in the log what people should hear of, one line a note. */
export function logNote(log: Log, note: AgentNote): void {
  const event = note.kind;
  switch (note.kind) {
    case 'session':
      return log.info(
        { event, epoch: String(note.epoch), heartbeatMs: note.heartbeatMs },
        note.isNew ? 'connected: a new session' : 'connected again: the session goes on',
      );
    case 'gate_closed':
      return log.warn(
        { event, running: note.running },
        'gate closed: nothing new is started; confirmed runs go on',
      );
    case 'gate_open':
      return log.info({ event }, 'gate open: new work may be started');
    case 'stream_lost':
      if (note.why === 'asked to reconnect') {
        return log.info(
          { event, running: note.running },
          'the coordinator asked to reconnect; dialing again',
        );
      }
      return log.warn(
        { event, why: note.why, running: note.running },
        'the stream to the coordinator is lost; dialing again',
      );
    case 'unreachable':
      if (note.denied) {
        return log.error(
          { event, code: 'COORDINATOR_DENIED', attempt: note.attempt },
          `${note.why}; dialing goes on every half minute`,
        );
      }
      return log.error(
        { event, code: 'COORDINATOR_UNREACHABLE', attempt: note.attempt },
        `${note.why}, because nothing answers there; dialing goes on. Try: check the address, and that the coordinator runs`,
      );
    case 'refused':
      return log.error(
        { event, reason: note.reason, delayMs: note.delayMs },
        `the coordinator refuses this agent: ${note.message}`,
      );
    case 'permit_void':
      return log.warn(
        { event, taskId: note.taskId, token: String(note.token), why: note.why },
        'a permit came too late: never started',
      );
    case 'stop_told':
      return log.warn({ event, token: String(note.token), reason: note.reason }, 'a run is stopped');
    case 'late_report':
      return log.warn(
        { event, token: String(note.token), disposition: note.disposition },
        'a late report was refused: its token is closed',
      );
    case 'triggers_stopped':
      return log.warn(
        { event, count: note.count },
        'all triggers are stopped until the coordinator is heard again',
      );
    case 'event_refused':
      return log.warn(
        { event, triggerId: note.triggerId },
        'a trigger event changed nothing: its trigger is over, or another triggerer has it',
      );
    case 'inventory_asked':
      return log.warn({ event }, 'the coordinator asks for the full inventory');
    case 'draining':
      return log.info(
        { event, running: note.running },
        'draining: nothing new is started, running work may finish',
      );
    case 'drained':
      return log.info({ event }, 'drained: nothing is held any more');
  }
}
