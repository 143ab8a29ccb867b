import type { Draft } from './draft.js';
import type { Note } from './frames.js';
import type { NotificationEvent, NotificationRow, TaskRow } from './rows.js';

/** What a notification says besides its event; the row gets its time and coordinator from the draft. */
interface Said {
  /** Unique among those of its event, over restarts: the same happening never gets two ids. */
  readonly key: string;
  /** What it is about; notifications about one subject are delivered in order. */
  readonly subject: string;
  readonly data: NotificationRow['data'];
}

/** What the outside is told of. Every row that applies, in this order: a task has failed before it is known as poison. */
const NOTIFY_RULES: readonly {
  readonly event: NotificationEvent;
  readonly said: (draft: Draft) => readonly Said[];
}[] = [
  { event: 'task.failed', said: (draft) => [...draft.tasks.values()].flatMap((task) => failed(draft, task)) },
  {
    event: 'task.poison',
    said: (draft) =>
      notes(draft, 'poison').map(({ taskId, agentIds }) => ({
        key: `${taskId}_${draft.task(taskId)?.historyCount ?? 0}`,
        subject: taskId,
        data: { taskId, agentIds },
      })),
  },
  {
    event: 'agent.failed',
    said: (draft) =>
      notes(draft, 'agent_failed').map(({ agentId, epoch, lostRuns, silentMs }) => ({
        key: `${draft.ctx.coordinatorId}_${epoch}`,
        subject: agentId,
        data: { agentId, sessionEpoch: String(epoch), lostRuns, silentMs },
      })),
  },
  {
    event: 'storm.brake',
    said: (draft) =>
      notes(draft, 'storm_brake').map(({ failed, alive }) => ({
        key: `${draft.ctx.coordinatorId}_${draft.ctx.wall}`,
        subject: 'storm.brake',
        data: { failed, alive },
      })),
  },
];

/** The notifications of a draft that somebody has asked for, to be written with it. */
export function notificationsOf(draft: Draft): readonly NotificationRow[] {
  const { notify } = draft.ctx.policy;
  if (notify.length === 0) return [];
  const { wall: at, service: atService } = draft.ctx;
  return NOTIFY_RULES.filter(({ event }) => notify.includes(event)).flatMap(({ event, said }) =>
    said(draft).map(({ key, subject, data }) => ({
      id: `${event}_${key}`,
      event,
      at,
      atService,
      subject: `${event.split('.')[0]}:${subject}`,
      data,
    })),
  );
}

function failed(draft: Draft, task: TaskRow): readonly Said[] {
  if (task.state !== 'failed' || draft.base(task.taskId)?.state === 'failed') return [];
  const { taskId, queue, reason, message, tryNumber, lastAgentId, lastToken, exitCode } = task;
  return [
    {
      key: `${taskId}_${task.historyCount}`,
      subject: taskId,
      data: {
        ...{ taskId, queue, reason, message, tryNumber },
        ...{ agentId: lastAgentId, fencingToken: String(lastToken), exitCode },
      },
    },
  ];
}

function notes<K extends Note['kind']>(draft: Draft, kind: K): Extract<Note, { kind: K }>[] {
  return draft.notes.filter((note): note is Extract<Note, { kind: K }> => note.kind === kind);
}
