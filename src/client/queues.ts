import { FleetServiceService, type Queue as WireQueue } from '../wire/gen/holdfast/v1/fleet_service.js';
import type { CallChoices, Channel } from './channel.js';
import { HoldfastError } from './errors.js';
import type { Queue } from './types.js';

/** Shows the queues and limits them. */
export class Queues {
  readonly #channel: Channel;

  /** For `connect`: queues as seen through this connection. */
  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Every queue that agents serve, that tasks wait or run in, or that has a limit; by name. */
  async list(choices?: CallChoices): Promise<readonly Queue[]> {
    const answer = await this.#channel.repeatable(FleetServiceService.listQueues, {}, choices);
    return answer.queues.map(queueFromWire);
  }

  /** Limits how many tasks of a queue run at once, durably; undefined lifts the limit. What runs already goes on. */
  async limit(name: string, runLimit: number | undefined, choices?: CallChoices): Promise<Queue> {
    const answer = await this.#channel.repeatable(
      FleetServiceService.limitQueue,
      { name, runLimit },
      choices,
    );
    if (answer.queue !== undefined) return queueFromWire(answer.queue);
    throw new HoldfastError({
      code: 'INCOMPLETE_ANSWER',
      what: 'the coordinator answered without the queue that was asked for',
    });
  }
}

const queueFromWire = ({ name, runLimit, running, waiting, agents }: WireQueue): Queue => ({
  ...{ name, runLimit, running, waiting, agents },
});
