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

/** More combinations of queue and labels than the simulated coordinator takes. */
export const LANES_LIMIT = 16;

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
    tasks: Array.from({ length: LANES_LIMIT + 1 }, (_, lane) => ({
      ...world.newTask(),
      requiredLabels: { lane: String(lane) },
    })),
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
