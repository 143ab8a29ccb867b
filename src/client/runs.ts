import {
  type ClearRunResponse,
  DagServiceService,
  type WatchRunResponse,
} from '../wire/gen/holdfast/v1/dag_service.js';
import type { CallChoices, Channel, StreamLimits } from './channel.js';
import {
  chosenFromWire,
  instanceFromWire,
  markToWire,
  runFromWire,
  runStateToWire,
  runTypeToWire,
} from './dag-translate.js';
import {
  type ChosenInstances,
  type ClearChoices,
  hasRunEnded,
  type InstanceChoice,
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

/** Shows DAG runs, watches and steers them. */
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
    const { run } = answer;
    if (run === undefined) throw incomplete('run');
    const tasks = [...answer.tasks];
    const instances = answer.instances.map(instanceFromWire);
    while (answer.nextPageToken !== '') {
      const next = { ...request, pageToken: answer.nextPageToken };
      answer = await this.#channel.repeatable(DagServiceService.getRun, next, choices);
      tasks.push(...answer.tasks);
      instances.push(...answer.instances.map(instanceFromWire));
    }
    return { run: runFromWire(run), tasks, instances: inOrderOf(tasks, instances) };
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

  /** Ends a run: what of it has not ended is cancelled, and then the run is. Never sent twice: it may have ended by then. */
  async cancel(dagId: string, runId: string, reason = '', choices?: CallChoices): Promise<Run> {
    const request = { dagId, runId, reason };
    return wanted(await this.#channel.once(DagServiceService.cancelRun, request, choices));
  }

  /** Has a run count as a success or a failure; what of it has not ended is cancelled first. */
  async mark(
    dagId: string,
    runId: string,
    as: 'success' | 'failed',
    reason = '',
    choices?: CallChoices,
  ): Promise<Run> {
    const request = { dagId, runId, as: markToWire(as), reason };
    return wanted(await this.#channel.once(DagServiceService.markRun, request, choices));
  }

  /** Has task instances decided anew; a run that has ended goes on. Never sent twice: they may have ended again. */
  async clear(
    dagId: string,
    runId: string,
    what: ClearChoices = {},
    choices?: CallChoices,
  ): Promise<ChosenInstances> {
    const { upstream = false, downstream = false, onlyFailed = false, dryRun = false, reason = '' } = what;
    const tasks = (what.tasks ?? []).map(choiceToWire);
    const request = { dagId, runId, tasks, upstream, downstream, onlyFailed, dryRun, reason };
    return chosenOf(await this.#channel.once(DagServiceService.clearRun, request, choices));
  }

  /** Ends task instances as an operator says; what could not run because of them is decided anew. Never sent twice. */
  async markTasks(
    dagId: string,
    runId: string,
    tasks: readonly InstanceChoice[],
    as: 'success' | 'failed',
    reason = '',
    choices?: CallChoices,
  ): Promise<ChosenInstances> {
    const request = { dagId, runId, tasks: tasks.map(choiceToWire), as: markToWire(as), reason };
    return chosenOf(await this.#channel.once(DagServiceService.markTasks, request, choices));
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

const choiceToWire = ({ task, mapIndex }: InstanceChoice) => ({ task, mapIndex });

function wanted({ run }: { readonly run: Parameters<typeof runFromWire>[0] | undefined }): Run {
  if (run === undefined) throw incomplete('run');
  return runFromWire(run);
}

const chosenOf = (answer: ClearRunResponse): ChosenInstances => ({
  run: wanted(answer),
  instances: answer.instances.map(chosenFromWire),
});

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

/** In the order of the tasks, then of the map index. */
function inOrderOf(tasks: readonly { readonly task: string }[], instances: readonly RunInstance[]) {
  const places = new Map(tasks.map(({ task }, place) => [task, place]));
  const placeOf = ({ task }: RunInstance) => places.get(task) ?? places.size;
  return [...instances].sort((a, b) => placeOf(a) - placeOf(b) || (a.mapIndex ?? -1) - (b.mapIndex ?? -1));
}
