import { DagServiceService } from '../wire/gen/holdfast/v1/dag_service.js';
import type { Backfill, BackfillChoices, BackfillPlan } from './backfill-types.js';
import type { CallChoices, Channel } from './channel.js';
import { backfillFromWire, instantFromWire, reprocessToWire, steeringToWire } from './dag-translate.js';
import { incomplete } from './errors.js';
import { type PageChoices, pagesOf } from './pages.js';

/** Runs DAGs over ranges of logical dates. */
export class Backfills {
  readonly #channel: Channel;

  /** For `connect`: backfills as seen through this connection. */
  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Backfills, newest first; of one DAG, or of all. */
  list(dagId?: string, choices: PageChoices = {}): AsyncGenerator<Backfill, void, undefined> {
    return pagesOf(choices.limit, async (page) => {
      const request = { dagId: dagId ?? '', ...page };
      const answer = await this.#channel.repeatable(DagServiceService.listBackfills, request, choices);
      return { items: answer.backfills.map(backfillFromWire), nextPageToken: answer.nextPageToken };
    });
  }

  /**
   * Runs a DAG for each instant of its timetable from `from` to `to`, both included, at most 1,000; with `dryRun` nothing
   * is made, and the same is told. Never sent twice.
   */
  async create(dagId: string, what: BackfillChoices, choices?: CallChoices): Promise<BackfillPlan> {
    const { from, to, backfillId = '', maxActiveRuns = 0, dryRun = false } = what;
    const request = {
      ...{ dagId, from, to, backfillId, maxActiveRuns, dryRun },
      params: what.params === undefined ? '' : JSON.stringify(what.params),
      reprocess: reprocessToWire(what.reprocess ?? 'none'),
    };
    const answer = await this.#channel.once(DagServiceService.createBackfill, request, choices);
    if (answer.backfill === undefined) throw incomplete('backfill');
    return { backfill: backfillFromWire(answer.backfill), instants: answer.instants.map(instantFromWire) };
  }

  /** It creates and begins no runs until it goes on; those that have begun do. */
  pause(backfillId: string, choices?: CallChoices): Promise<Backfill> {
    return this.#steer(backfillId, 'pause', choices);
  }

  /** It goes on after a pause. */
  resume(backfillId: string, choices?: CallChoices): Promise<Backfill> {
    return this.#steer(backfillId, 'resume', choices);
  }

  /** It ends, with those of its runs that have not begun. */
  cancel(backfillId: string, choices?: CallChoices): Promise<Backfill> {
    return this.#steer(backfillId, 'cancel', choices);
  }

  async #steer(
    backfillId: string,
    steering: 'resume' | 'pause' | 'cancel',
    choices?: CallChoices,
  ): Promise<Backfill> {
    const request = { backfillId, steering: steeringToWire(steering) };
    const answer = await this.#channel.repeatable(DagServiceService.steerBackfill, request, choices);
    if (answer.backfill === undefined) throw incomplete('backfill');
    return backfillFromWire(answer.backfill);
  }
}
