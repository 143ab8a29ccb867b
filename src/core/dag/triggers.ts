import type { Draft } from '../draft.js';
import type { Work } from '../rows.js';
import type { TriggerTemplate } from './definition.js';
import type { Scope } from './fill.js';
import { endUnrun, type NewInstance } from './instances.js';

/** An instance that waits for an event before its first try. */
export function startWait(
  draft: Draft,
  instance: NewInstance,
  wait: TriggerTemplate,
  _scope: Scope,
  _work: Work | null,
): 'ended' {
  endUnrun(draft, instance, { edge: 'failTask', reason: 'unknown_trigger', message: wait.kind });
  return 'ended';
}
