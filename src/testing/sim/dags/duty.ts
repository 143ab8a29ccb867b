import type { BundleTold } from '../../../agent/core/bundle-upload.js';
import type { Effect } from '../../../agent/core/events.js';

/** What an agent's session asks of what its kind does beside it. */
export type DutyEffect = Extract<
  Effect,
  { readonly kind: 'start_trigger' | 'stop_trigger' | 'stop_triggers' | 'renew_guardian' }
>;

/** What makes an agent a triggerer or a DAG processor; a worker has its runner instead. Lives as long as the process. */
export interface Duty {
  perform(effect: DutyEffect): void;
  /** The stream is gone. */
  disconnected(): void;
  /** The coordinator has said something of bundles. */
  told(told: BundleTold): void;
}
