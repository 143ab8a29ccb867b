import type { HistoryRow } from '../../core/rows.js';
import type { AgentId, TaskId } from '../../kit/ids.js';
import { strike } from './agent-faults.js';
import { type FaultWorld, limitQueue } from './faults.js';

/** What comes upon an event, and how soon: while what follows from the event is on its way. */
interface Reaction {
  readonly name: string;
  readonly event: HistoryRow['event'];
  /** How often an event of this kind leads to it. */
  readonly share: number;
  /** At most this much later, in milliseconds. */
  readonly withinMs: number;
  /** Only in such worlds; absent means in all. */
  readonly where?: (world: FaultWorld) => boolean;
  readonly act: (world: FaultWorld, row: HistoryRow) => void;
}

const REACTIONS: readonly Reaction[] = [
  // It may wait for its instant still.
  { name: 'cancel_at_submission', event: 'submitted', share: 1 / 150, withinMs: 40, act: cancel },
  // It is offered, and its agent is about to ask for it.
  { name: 'move_at_submission', event: 'submitted', share: 1 / 20, withinMs: 20, act: move },
  // The same, and the store is busy: what its agent asks meanwhile is decided behind the move, in the same batch.
  {
    name: 'move_in_busy_commit',
    event: 'submitted',
    share: 1 / 20,
    withinMs: 10,
    where: ({ isBusyAtMoves }) => isBusyAtMoves,
    act: (world, row) => {
      world.disk.nextFault = { fault: 'busy', applied: false };
      move(world, row);
    },
  },
  // The permit is on its way, or its agent is about to start it.
  { name: 'cancel_at_permit', event: 'permitted', share: 1 / 150, withinMs: 40, act: cancel },
  // The same moment, and the agent's machine, network or process fails.
  { name: 'strike_at_permit', event: 'permitted', share: 1 / 60, withinMs: 10, act: strikeAgent },
  // The try is lost: held back, or queued again and about to be permitted to another agent.
  { name: 'cancel_at_loss', event: 'lost', share: 1 / 10, withinMs: 3_000, act: cancel },
  { name: 'reassign_at_loss', event: 'lost', share: 1 / 6, withinMs: 2_000, act: reassign },
  // The run is back and its new session settles.
  { name: 'cancel_at_adoption', event: 'adopted', share: 1 / 10, withinMs: 40, act: cancel },
  // Somebody thinks better of it.
  { name: 'retry_at_cancel', event: 'cancelled', share: 1 / 8, withinMs: 3_000, act: retry },
  // A slot is free: the agent is about to be offered, or to ask for, the next one.
  { name: 'cordon_at_end', event: 'success', share: 1 / 300, withinMs: 30, act: cordon },
  {
    name: 'limit_at_end',
    event: 'success',
    share: 1 / 150,
    withinMs: 30,
    act: (world) => limitQueue(world, 0),
  },
];

/** Things that happen just then: operators who act on what they have this moment seen, and machines that fail at it. */
export class Moments {
  readonly #world: FaultWorld;

  constructor(world: FaultWorld) {
    this.#world = world;
  }

  /** An event was committed; whoever watches can see it. */
  saw(row: HistoryRow): void {
    for (const reaction of REACTIONS) {
      const isHere = reaction.where?.(this.#world) ?? true;
      if (isHere && reaction.event === row.event) this.#react(reaction, row);
    }
  }

  #react({ name, share, withinMs, act }: Reaction, row: HistoryRow): void {
    const world = this.#world;
    if (!world.chance(share)) return;
    world.events.after(world.random() * withinMs, () => {
      if (world.events.now > world.faultsEnd) return;
      world.auditor.tell(`moment ${name}`);
      world.auditor.count(`moment.${name}`);
      act(world, row);
    });
  }
}

function strikeAgent(world: FaultWorld, { agentId }: HistoryRow): void {
  const agent = world.agents.find(({ settings }) => settings.agentId === agentId);
  if (agent !== undefined) strike(world, agent);
}

function cancel({ coordinator }: FaultWorld, { taskId }: { readonly taskId: TaskId }): void {
  void coordinator.call((callId) => ({ kind: 'cancel', callId, taskId, reason: 'sim' }));
}

function retry({ coordinator }: FaultWorld, { taskId }: HistoryRow): void {
  const steering = { action: 'retry' } as const;
  void coordinator.call((callId) => ({
    ...{ kind: 'steer', callId, steering, chosen: { labels: {} }, taskIds: [taskId], reason: 'sim' },
    dryRun: false,
  }));
}

function move(world: FaultWorld, { taskId }: HistoryRow): void {
  const steering = { action: 'move', queue: world.pick(['q0', 'q1']) } as const;
  void world.coordinator.call((callId) => ({
    ...{ kind: 'steer', callId, steering, chosen: { labels: {} }, taskIds: [taskId], reason: 'sim' },
    dryRun: false,
  }));
}

function reassign({ coordinator }: FaultWorld, { taskId }: { readonly taskId: TaskId }): void {
  void coordinator.call((callId) => ({
    kind: 'resolve',
    callId,
    taskId,
    verdict: 'reassign',
    reason: 'sim',
  }));
}

function cordon({ coordinator, events, random }: FaultWorld, row: HistoryRow): void {
  const agentId = row.agentId as AgentId;
  void coordinator.call((callId) => ({ kind: 'cordon', callId, agentId }));
  events.after(random() * 20_000, () => {
    void coordinator.call((callId) => ({ kind: 'uncordon', callId, agentId }));
  });
}
