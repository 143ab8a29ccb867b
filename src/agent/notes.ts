import type { Log } from '../kit/log.js';
import type { AgentNote } from './core/events.js';

/** Says in the log what people should hear of, one line a note. */
export function logNote(log: Log, note: AgentNote): void {
  switch (note.kind) {
    case 'session':
      return log.info(
        { epoch: String(note.epoch), heartbeatMs: note.heartbeatMs },
        note.isNew ? 'connected: a new session' : 'connected again: the session goes on',
      );
    case 'gate_closed':
      return log.warn({ running: note.running }, 'gate closed: nothing new is started; confirmed runs go on');
    case 'gate_open':
      return log.info({}, 'gate open: new work may be started');
    case 'stream_lost':
      return log.warn(
        { why: note.why, running: note.running },
        'the stream to the coordinator is lost; dialing again',
      );
    case 'refused':
      return log.error(
        { reason: note.reason, delayMs: note.delayMs },
        `the coordinator refuses this agent: ${note.message}`,
      );
    case 'permit_void':
      return log.warn(
        { taskId: note.taskId, token: String(note.token), why: note.why },
        'a permit came too late: never started',
      );
    case 'stop_told':
      return log.warn({ token: String(note.token), reason: note.reason }, 'a run is stopped');
    case 'late_report':
      return log.warn(
        { token: String(note.token), disposition: note.disposition },
        'a late report was refused: its token is closed',
      );
    case 'inventory_asked':
      return log.warn({}, 'the coordinator asks for the full inventory');
    case 'draining':
      return log.info({ running: note.running }, 'draining: nothing new is started, running work may finish');
    case 'drained':
      return log.info({}, 'drained: nothing is held any more');
  }
}
