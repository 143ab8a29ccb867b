import { DagServiceService, type WatchRunResponse } from '../wire/gen/holdfast/v1/dag_service.js';
import type { CallChoices, Channel, StreamLimits } from './channel.js';
import { instanceFromWire, runFromWire, runStateToWire, runTypeToWire } from './dag-translate.js';
import {
  hasRunEnded,
  type Run,
  type RunChange,
  type RunDescription,
  type RunFilter,
  type RunInstance,
  type TriggerChoices,
} from './dag-types.js';
import type { Dags } from './dags.js';
import { incomplete } from './errors.js';
import { type PageChoices, pagesOf } from './pages.js';
import { readAcrossRestarts, type StreamChoices } from './streams.js';

/** Shows DAG runs and watches them. */
export class Runs {
  readonly #channel: Channel;
  readonly #dags: Dags;

  /** For `connect`: runs as seen through this connection. */
  constructor(channel: Channel, dags: Dags) {
    this.#channel = channel;
    this.#dags = dags;
  }

  /** Runs newest first, fetched page by page as they are asked for. */
  list(filter: RunFilter = {}, choices: PageChoices = {}): AsyncGenerator<Run, void, undefined> {
    const { dagId = '', states = [], type, backfill = '' } = filter;
    const wanted = { dagId, states: states.map(runStateToWire), type: runTypeToWire(type), backfill };
    return pagesOf(choices.limit, async (page) => {
      const request = { ...wanted, ...page };
      const answer = await this.#channel.repeatable(DagServiceService.listRuns, request, choices);
      return { items: answer.runs.map(runFromWire), nextPageToken: answer.nextPageToken };
    });
  }

  /** One run with its tasks and all of their instances. */
  async get(dagId: string, runId: string, choices?: CallChoices): Promise<RunDescription> {
    const request = { dagId, runId, pageSize: 0, pageToken: '' };
    let answer = await this.#channel.repeatable(DagServiceService.getRun, request, choices);
    const { run, tasks } = answer;
    if (run === undefined) throw incomplete('run');
    const instances = answer.instances.map(instanceFromWire);
    while (answer.nextPageToken !== '') {
      const next = { ...request, pageToken: answer.nextPageToken };
      answer = await this.#channel.repeatable(DagServiceService.getRun, next, choices);
      instances.push(...answer.instances.map(instanceFromWire));
    }
    return { run: runFromWire(run), tasks, instances };
  }

  /**
   * A run and its instances as they are now, then whatever changes, until the run has ended. Goes on over restarts of the
   * coordinator; what was seen already is not repeated. Between two looks an instance may have taken several steps: the
   * newest is seen, the last one always, and before the end of its run.
   */
  async *watch(
    dagId: string,
    runId: string,
    choices: StreamChoices = {},
  ): AsyncGenerator<RunChange, void, undefined> {
    const channel = this.#channel;
    const limits: StreamLimits = channel.limits(choices);
    const seen = new Map<string, string>();
    let ended = false;
    const stream = () => channel.read(DagServiceService.watchRun, { dagId, runId }, limits);
    for await (const message of readAcrossRestarts(channel, limits, stream, () => ended, choices)) {
      for (const change of changesOf(message)) {
        const [key, face] = faceOf(change);
        if (seen.get(key) === face) continue;
        seen.set(key, face);
        ended = change.kind === 'run' && hasRunEnded(change.run.state);
        yield change;
      }
      if (ended) return;
    }
  }

  /** Makes a run by hand and waits for its end, over restarts of the coordinator; the run with its instances. */
  async triggerAndWait(
    dagId: string,
    what: TriggerChoices = {},
    choices: StreamChoices = {},
  ): Promise<RunDescription> {
    const { signal, timeoutMs } = choices;
    const started = this.#channel.clock.now();
    const { runId } = await this.#dags.trigger(dagId, what, { signal, timeoutMs });
    const left = timeoutMs === undefined ? undefined : timeoutMs - (this.#channel.clock.now() - started);
    for await (const _change of this.watch(dagId, runId, { ...choices, timeoutMs: left }));
    return await this.get(dagId, runId, { signal });
  }
}

const changesOf = ({ run, instances }: WatchRunResponse): RunChange[] => [
  ...(run === undefined ? [] : [{ kind: 'run' as const, run: runFromWire(run) }]),
  ...instances.map((instance) => ({ kind: 'instance' as const, instance: instanceFromWire(instance) })),
];

/** What of a run and its instances its watchers are told of. */
function faceOf(change: RunChange): [key: string, face: string] {
  if (change.kind === 'run') return ['', change.run.state];
  const { taskId, state, waitsForRoom, tryNumber, lost }: RunInstance = change.instance;
  return [taskId, [state, waitsForRoom, tryNumber, lost].join(' ')];
}
