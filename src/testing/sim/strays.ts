import type { CallInput, NewTask } from '../../core/inputs.js';
import type { AgentId, TaskId } from '../../kit/ids.js';
import type { WallMs } from '../../kit/time.js';
import type { CoordinatorNode } from './coordinator-node.js';

/** What a stray call needs of the world. */
export interface StrayWorld {
  readonly coordinator: CoordinatorNode;
  newTask(): NewTask;
  pick<T>(values: readonly T[]): T;
}

/** Few enough that one stray call goes beyond: combinations of queue and labels, keys with waiting tasks, queues. */
export const STRAY_LIMITS = { lanes: 16, keys: 12, queues: 2 };

/** What clients and operators get wrong: each is refused, and changes nothing. */
const STRAYS: readonly ((world: StrayWorld, callId: number) => CallInput)[] = [
  (_, callId) => ({ kind: 'cancel', callId, taskId: 'task-nobody' as TaskId, reason: 'sim' }),
  (_, callId) => ({ kind: 'cordon', callId, agentId: 'agent-nobody' as AgentId }),
  (world, callId) => ({
    kind: 'submit',
    callId,
    tasks: ['one', 'other'].map((contentHash) => ({
      ...world.newTask(),
      idempotencyKey: `key-${callId}`,
      contentHash,
    })),
  }),
  (world, callId) => ({
    kind: 'submit',
    callId,
    tasks: Array.from({ length: STRAY_LIMITS.lanes + 1 }, (_, lane) => ({
      ...world.newTask(),
      requiredLabels: { lane: String(lane) },
    })),
  }),
  (world, callId) => ({
    kind: 'submit',
    callId,
    tasks: Array.from({ length: STRAY_LIMITS.keys + 1 }, (_, key) => ({
      ...world.newTask(),
      concurrencyKey: `stray-${key}`,
    })),
  }),
  // Named again and again, they are soon as many as there may be.
  (world, callId) => ({
    kind: 'limit_queue',
    callId,
    queue: `stray-${world.pick([0, 1, 2, 3, 4, 5, 6, 7])}`,
    limit: 1,
  }),
  (world, callId) => ({
    kind: 'submit',
    callId,
    tasks: [{ ...world.newTask(), startAfter: null, startBefore: 0 as WallMs }],
  }),
];

export function strayCall(world: StrayWorld): void {
  const stray = world.pick(STRAYS);
  void world.coordinator.call((callId) => stray(world, callId));
}
