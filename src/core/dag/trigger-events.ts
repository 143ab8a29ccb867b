import type { Draft } from '../draft.js';
import type { TriggerAck } from '../frames.js';
import type { TriggerEvent } from '../inputs.js';
import type { TaskRow } from '../rows.js';
import { firstMatch } from '../rules.js';
import type { Json } from './definition.js';
import type { TriggerRow } from './rows.js';
import { failDeferred, resumeTask } from './triggers.js';

/** What an event is decided on. */
interface EventCase {
  readonly draft: Draft;
  readonly event: TriggerEvent;
  /** The trigger that it names, if that still waits. */
  readonly trigger: TriggerRow | undefined;
  readonly task: TaskRow | undefined;
}

/** Both are there: the rows before have ruled out that they are not. */
type Waits = EventCase & { readonly trigger: TriggerRow; readonly task: TaskRow };

/** P16: what becomes of an event. The first row that matches; null changes nothing. */
export const EVENT_RULES: readonly {
  readonly name: string;
  readonly when: (c: EventCase) => boolean;
  readonly then: ((c: Waits) => void) | null;
}[] = [
  // Taken before, cancelled, timed out: whatever it was, nobody waits any more.
  { name: 'over', when: ({ trigger }) => trigger === undefined, then: null },
  { name: 'superseded', when: ({ trigger, event }) => trigger?.token !== event.token, then: null },
  { name: 'not_deferred', when: ({ task }) => task?.state !== 'deferred', then: null },
  {
    name: 'failure',
    when: ({ event }) => event.failure !== null,
    then: ({ draft, task, event }) => {
      if (event.failure !== null) failDeferred(draft, task, event.failure);
    },
  },
  {
    name: 'event',
    when: () => true,
    then: ({ draft, task, trigger, event }) => resumeTask(draft, task, trigger, event.payload),
  },
];

/** Takes an event once, while its token is the trigger's newest, whoever reports it and whether it is owned or not. */
export function judgeEvent(draft: Draft, event: TriggerEvent): TriggerAck {
  const { triggerId, eventId } = event;
  const trigger = draft.dags.trigger(triggerId);
  const task = trigger && draft.task(trigger.taskId);
  const c: EventCase = { draft, event, trigger, task };
  const then = firstMatch('trigger_event', EVENT_RULES, draft.ctx.tally, c)?.then ?? null;
  if (then === null || trigger === undefined || task === undefined)
    return { triggerId, eventId, taken: false };
  then({ ...c, trigger, task });
  return { triggerId, eventId, taken: true };
}

/** By hand, by call: an event of any trigger that waits. False when nobody waits. */
export function fireTrigger(draft: Draft, trigger: TriggerRow, payload: string): boolean {
  const task = draft.task(trigger.taskId);
  if (task?.state !== 'deferred') return false;
  resumeTask(draft, task, trigger, payload);
  return true;
}

/** Triggers of one batch that the core itself fires; the others follow in the next. */
export const FIRE_STEP = 256;

/** Tasks that wait for events of assets which have come; the engine has read their rows. */
export function fireDueTriggers(draft: Draft): void {
  const { due } = draft.state.dags.triggers;
  for (const triggerId of [...due].slice(0, FIRE_STEP)) {
    const trigger = draft.dags.trigger(triggerId);
    const { asset } =
      trigger === undefined ? { asset: '' } : (JSON.parse(trigger.input) as { asset: string });
    const row = draft.dags.asset(asset);
    if (trigger === undefined || row === undefined) continue;
    const at = row.lastEventAt === null ? null : new Date(row.lastEventAt).toISOString();
    const extra = extraOf(draft, row.lastEvent);
    fireTrigger(draft, trigger, JSON.stringify({ asset, event: row.lastEvent, at, extra }));
  }
}

/** What whoever told of an asset event had to say with it; null when that was nothing, or retention has removed it. */
function extraOf(draft: Draft, n: number): Json {
  const own = draft.dags.assetEvents.find((event) => event.n === n);
  const { extra } = own ?? draft.loaded.dags.assetEvents.get(n) ?? { extra: '' };
  return extra === '' ? null : (JSON.parse(extra) as Json);
}
