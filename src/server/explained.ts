import type { DagDefinition } from '../core/dag/definition.js';
import { explainUndecided } from '../core/dag/explain-undecided.js';
import { type Plan, planOf } from '../core/dag/plan.js';
import { type RunRow, runKeyOf } from '../core/dag/rows.js';
import { type Explanation, explain } from '../core/explain.js';
import type { TaskId } from '../kit/ids.js';
import type {
  ExplainTaskRequest,
  ExplainTaskResponse,
  InstanceName,
  Task,
} from '../wire/gen/holdfast/v1/task_service.js';
import { taskStates } from '../wire/names.js';
import { durationOf } from '../wire/time.js';
import { Fault } from './fault.js';
import { idOf, readTask, shown, type TaskServiceHost } from './task-host.js';

type Host = Pick<TaskServiceHost, 'engine' | 'store' | 'progress'>;

/** Explains a task by its id, or an instance of a run by its name. */
export async function explained(
  host: Host,
  { taskId, instance }: ExplainTaskRequest,
): Promise<ExplainTaskResponse> {
  if (instance === undefined) return ofTask(host, idOf(taskId));
  const known = findInstance(host, instance);
  return known === undefined ? await ofUndecided(host, instance) : await ofTask(host, known);
}

async function ofTask(host: Host, taskId: TaskId): Promise<ExplainTaskResponse> {
  const row = await readTask(host, taskId);
  const explanation = explain(host.engine.state, row, host.engine.context());
  return answerOf(explanation, await shown(host, taskId, false));
}

const answerOf = ({ summary, findings, next, guarantee }: Explanation, task: Task): ExplainTaskResponse => ({
  task,
  summary,
  findings: [...findings],
  next: next.map(({ code, inMs, message }) => ({ code, in: durationOf(inMs), message })),
  guarantee,
});

/** Of a run that goes on; every instance of one that has ended has an id, by which it can be asked for. */
function viewOf({ engine }: Host, { dagId, runId }: InstanceName) {
  const run = runKeyOf(dagId, runId);
  const view = engine.state.dags.runs.get(run);
  if (view !== undefined) return view;
  throw new Fault(
    'RUN_NOT_FOUND',
    `no run ${run.slice(0, 400)} goes on`,
    'it was never created, or it has ended: then all that became of its tasks has ids',
    'use `run describe` to see them',
  );
}

function findInstance(host: Host, instance: InstanceName): TaskId | undefined {
  return viewOf(host, instance).get(instance.task, instance.mapIndex ?? -1)?.taskId;
}

async function ofUndecided(host: Host, instance: InstanceName): Promise<ExplainTaskResponse> {
  const { row } = viewOf(host, instance);
  const plan = await readPlan(host, row);
  if (!plan.placeOf.has(instance.task)) {
    throw new Fault(
      'TASK_NOT_IN_DAG',
      `run ${row.run} has no ${instance.task.slice(0, 140)}`,
      `DAG ${row.dagId} has none in version ${row.definitionVersion}, which the run keeps`,
      'use `run describe` to see its tasks',
    );
  }
  // Anew: it may have been decided, or have ended, while its definition was read.
  const known = findInstance(host, instance);
  if (known !== undefined) return ofTask(host, known);
  const { engine } = host;
  const view = viewOf(host, instance);
  const explanation = explainUndecided(engine.state, view, plan, instance.task, engine.context());
  return answerOf(explanation, undecided(instance));
}

async function readPlan({ engine, store }: Host, row: RunRow): Promise<Plan> {
  const known = engine.state.dags.planOf(row);
  if (known !== undefined) return known;
  const [version] = await store.readDagVersions([row]);
  if (version !== undefined)
    return planOf(JSON.parse(version.definition) as DagDefinition, row.definitionVersion);
  throw new Fault(
    'DAG_VERSION_NOT_FOUND',
    `DAG ${row.dagId} has no definition ${row.definitionVersion}`,
    'its run has ended meanwhile',
    'use `run describe` to see what became of it',
  );
}

/** What the public API shows of a task that there is no row of. */
const undecided = (instance: InstanceName): Task => ({
  ...{ taskId: '', spec: undefined, state: taskStates.to('scheduled'), tryNumber: 0, fencingToken: 0n },
  ...{ agentId: '', reason: '', message: '', result: Buffer.alloc(0), resultType: '', exitCode: undefined },
  ...{ submittedAt: undefined, endedAt: undefined, lost: undefined, cancelRequested: false, history: [] },
  ...{ lostTries: 0, progress: undefined, instance },
});
