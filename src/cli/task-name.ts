import type { Command } from 'commander';
import type { DagTask, InstanceName, RunInstance } from '../client/index.js';
import { didYouMean } from '../kit/suggest.js';
import { usage } from './failure.js';
import { runOf } from './run-ref.js';
import { instanceWords } from './run-views.js';
import type { Session } from './session.js';

/** Arguments that name a task: its id, or its run and its name there. */
export function addTaskName(command: Command): void {
  command
    .argument('<ID>', 'task id; or DAG/RUN, and then a task of that run')
    .argument('[TASK]', 'TASK, or TASK[INDEX] for one of a mapped task, as `run describe` shows it');
}

/** A task by its id, or as an instance of a run; of a task of which nothing is decided yet its name, since it has no id. */
export async function taskNamed(
  session: Session,
  name: string,
  task: string | undefined,
): Promise<string | InstanceName> {
  if (task === undefined) return name;
  if (!name.includes('/')) {
    const because = 'only a run has tasks of such names';
    throw usage(`${name} is no run`, because, 'name the run as DAG/RUN, as `holdfast run list` shows it');
  }
  const { dagId, runId } = runOf(name);
  const { instances, tasks } = await session.client.runs.get(dagId, runId, session.call);
  const found = instances.find((instance) => instanceWords(instance) === task);
  if (found !== undefined) return found.taskId;
  if (isUndecided(task, tasks, instances)) return { dagId, runId, task, mapIndex: undefined };
  throw noInstance(name, task, [...instances.map(instanceWords), ...tasks.map((one) => one.task)]);
}

/** As taskNamed, where only a task of which something is decided will do. */
export async function decidedTask(session: Session, name: string, task: string | undefined): Promise<string> {
  const named = await taskNamed(session, name, task);
  if (typeof named === 'string') return named;
  throw noInstance(name, named.task, []);
}

const isUndecided = (task: string, tasks: readonly DagTask[], instances: readonly RunInstance[]): boolean =>
  tasks.some((one) => one.task === task) && !instances.some((instance) => instance.task === task);

const noInstance = (run: string, task: string, known: readonly string[]) =>
  usage(
    `run ${run} has no task instance ${task}${didYouMean(task, known)}`,
    'nothing of it is decided yet, or it is none of its DAG; one of a mapped task needs its index, as in TASK[0]',
    `holdfast run describe ${run}`,
  );
