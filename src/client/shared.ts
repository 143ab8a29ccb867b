import { DagServiceService } from '../wire/gen/holdfast/v1/dag_service.js';
import type { CallChoices, Channel } from './channel.js';
import { assetEventFromWire, assetFromWire, poolFromWire, triggerFromWire } from './dag-translate.js';
import { incomplete } from './errors.js';
import { type PageChoices, pagesOf } from './pages.js';
import type { Asset, AssetEvent, Pool, Trigger, TriggerFilter } from './shared-types.js';

/** Shows assets, and tells of what happened to them. */
export class Assets {
  readonly #channel: Channel;

  /** For `connect`: assets as seen through this connection. */
  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** The assets that DAGs name, by name. */
  list(choices: PageChoices = {}): AsyncGenerator<Asset, void, undefined> {
    return pagesOf(choices.limit, async (page) => {
      const answer = await this.#channel.repeatable(DagServiceService.listAssets, page, choices);
      return { items: answer.assets.map(assetFromWire), nextPageToken: answer.nextPageToken };
    });
  }

  /** Events of one asset, or of all, newest first. */
  events(asset?: string, choices: PageChoices = {}): AsyncGenerator<AssetEvent, void, undefined> {
    return pagesOf(choices.limit, async (page) => {
      const request = { asset: asset ?? '', ...page };
      const answer = await this.#channel.repeatable(DagServiceService.listAssetEvents, request, choices);
      return { items: answer.events.map(assetEventFromWire), nextPageToken: answer.nextPageToken };
    });
  }

  /** Says that something happened to an asset outside of every run. Never sent twice: each event counts. */
  async emit(
    asset: string,
    extra?: Readonly<Record<string, unknown>>,
    choices?: CallChoices,
  ): Promise<AssetEvent> {
    const request = { asset, extra: extra === undefined ? '' : JSON.stringify(extra) };
    const answer = await this.#channel.once(DagServiceService.emitAssetEvent, request, choices);
    if (answer.event === undefined) throw incomplete('event');
    return assetEventFromWire(answer.event);
  }
}

/** Shows pools, sets their slots, and removes them. */
export class Pools {
  readonly #channel: Channel;

  /** For `connect`: pools as seen through this connection. */
  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Every pool that was set or that task instances are in, by name. */
  async list(choices?: CallChoices): Promise<readonly Pool[]> {
    const answer = await this.#channel.repeatable(DagServiceService.listPools, {}, choices);
    return answer.pools.map(poolFromWire);
  }

  /** Makes a pool or changes its slots, durably; 0 stops everything in it. What runs already goes on. */
  async set(pool: string, slots: number, description = '', choices?: CallChoices): Promise<Pool> {
    const request = { pool, slots, description };
    const answer = await this.#channel.repeatable(DagServiceService.setPool, request, choices);
    if (answer.pool === undefined) throw incomplete('pool');
    return poolFromWire(answer.pool);
  }

  /** Removes a pool: what waits in it goes on waiting. The default one has no limit again. Never sent twice. */
  async remove(pool: string, choices?: CallChoices): Promise<void> {
    await this.#channel.once(DagServiceService.deletePool, { pool }, choices);
  }
}

/** Shows what deferred tasks wait for, and lets them go on. */
export class Triggers {
  readonly #channel: Channel;

  /** For `connect`: triggers as seen through this connection. */
  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** The triggers of deferred tasks, by trigger id. */
  list(filter: TriggerFilter = {}, choices: PageChoices = {}): AsyncGenerator<Trigger, void, undefined> {
    const { kind = '', unassigned = false } = filter;
    return pagesOf(choices.limit, async (page) => {
      const request = { kind, unassigned, ...page };
      const answer = await this.#channel.repeatable(DagServiceService.listTriggers, request, choices);
      return { items: answer.triggers.map(triggerFromWire), nextPageToken: answer.nextPageToken };
    });
  }

  /** Gives a trigger its event by hand: its task goes on with the payload. Never sent twice: a trigger fires once. */
  async fire(triggerId: string, payload?: unknown, choices?: CallChoices): Promise<Trigger> {
    const request = { triggerId, payload: payload === undefined ? '' : JSON.stringify(payload) };
    const answer = await this.#channel.once(DagServiceService.fireTrigger, request, choices);
    if (answer.trigger === undefined) throw incomplete('trigger');
    return triggerFromWire(answer.trigger);
  }
}
