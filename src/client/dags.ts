import { DagServiceService } from '../wire/gen/holdfast/v1/dag_service.js';
import type { CallChoices, Channel } from './channel.js';
import { bundleFromWire, dagFromWire, descriptionFromWire, runFromWire } from './dag-translate.js';
import type { Dag, DagDescription, DagFilter, Run, TriggerChoices } from './dag-types.js';
import { HoldfastError, incomplete } from './errors.js';
import { type PageChoices, pagesOf } from './pages.js';
import type { Bundle } from './shared-types.js';

/** Shows DAGs, pauses them, and makes runs of them. */
export class Dags {
  readonly #channel: Channel;

  /** For `connect`: DAGs as seen through this connection. */
  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** DAGs by name, fetched page by page as they are asked for. */
  list(filter: DagFilter = {}, choices: PageChoices = {}): AsyncGenerator<Dag, void, undefined> {
    const { tag = '', bundle = '', paused, inactive = false } = filter;
    return pagesOf(choices.limit, async (page) => {
      const request = { tag, bundle, paused, inactive, ...page };
      const answer = await this.#channel.repeatable(DagServiceService.listDags, request, choices);
      return { items: answer.dags.map(dagFromWire), nextPageToken: answer.nextPageToken };
    });
  }

  /** One DAG with the params and tasks of its newest definition, or of another one that is kept. */
  async get(
    dagId: string,
    choices: CallChoices & {
      readonly definitionVersion?: bigint | undefined;
      readonly withDefinition?: boolean | undefined;
    } = {},
  ): Promise<DagDescription> {
    const { definitionVersion = 0n, withDefinition = false } = choices;
    const request = { dagId, definitionVersion, withDefinition };
    const answer = await this.#channel.repeatable(DagServiceService.getDag, request, choices);
    if (answer.dag === undefined) throw incomplete('DAG');
    return descriptionFromWire(answer, answer.dag);
  }

  /** Stops a DAG from getting runs, and its runs from going on; what runs already ends. */
  async pause(dagId: string, choices?: CallChoices): Promise<Dag> {
    return wanted(await this.#channel.repeatable(DagServiceService.pauseDag, { dagId }, choices));
  }

  /** Takes a pause back. */
  async unpause(dagId: string, choices?: CallChoices): Promise<Dag> {
    return wanted(await this.#channel.repeatable(DagServiceService.unpauseDag, { dagId }, choices));
  }

  /**
   * Creates a run by hand. With neither a run id nor a logical date, a run id is drawn and the call is sent again while
   * the coordinator is away: it makes one run. With one of them it is sent once, since a run of that name may be another's.
   */
  async trigger(dagId: string, what: TriggerChoices = {}, choices?: CallChoices): Promise<Run> {
    const { logicalDate, runId } = what;
    const params = what.params === undefined ? '' : JSON.stringify(what.params);
    const request = { dagId, runId: runId ?? '', logicalDate, params };
    if (!this.#channel.retries || runId !== undefined || logicalDate !== undefined) {
      return wantedRun(await this.#channel.once(DagServiceService.triggerDag, request, choices));
    }
    const drawn = `manual__${this.#channel.clock.unique()}`;
    try {
      const again = { ...request, runId: drawn };
      return wantedRun(await this.#channel.repeatable(DagServiceService.triggerDag, again, choices));
    } catch (error) {
      // Nobody else draws it: an earlier attempt of this very call has made the run.
      if (!(error instanceof HoldfastError) || error.code !== 'RUN_EXISTS') throw error;
      const known = { dagId, runId: drawn, pageSize: 1, pageToken: '' };
      return wantedRun(await this.#channel.repeatable(DagServiceService.getRun, known, choices));
    }
  }

  /** The bundles of DAG files that processors have sent, by name. */
  async bundles(choices?: CallChoices): Promise<readonly Bundle[]> {
    const answer = await this.#channel.repeatable(DagServiceService.listBundles, {}, choices);
    return answer.bundles.map(bundleFromWire);
  }
}

function wanted(answer: { readonly dag: Parameters<typeof dagFromWire>[0] | undefined }): Dag {
  if (answer.dag === undefined) throw incomplete('DAG');
  return dagFromWire(answer.dag);
}

function wantedRun(answer: { readonly run: Parameters<typeof runFromWire>[0] | undefined }): Run {
  if (answer.run === undefined) throw incomplete('run');
  return runFromWire(answer.run);
}
