// The runs of the demo and their tasks as the coordinator's API shows them: made, watched, and each task's history told
// once each event.

/** Every task instance by task id, with its name and its newest state. */
export class Work {
  /** By task id: { taskId, name, task, told } where `told` counts the history events that were told. */
  book = new Map();
  #client;
  #tell;
  #refreshing = new Map();

  /** `tell` hears of each task's new history events, in order, once. */
  constructor(client, tell) {
    this.#client = client;
    this.#tell = tell;
  }

  /** Makes a run by hand and watches it: `ended` resolves to it when it has. Its tasks are named after `label`. */
  async trigger(dagId, label, params, signal) {
    const { runId } = await this.#client.dags.trigger(dagId, { params });
    return { ended: this.watch(dagId, runId, label, signal) };
  }

  /** Tells of every change of a run's tasks; resolves to the run when it has ended. */
  async watch(dagId, runId, label, signal) {
    let run;
    for await (const change of this.#client.runs.watch(dagId, runId, { signal })) {
      if (change.kind === 'run') run = change.run;
      else this.#know(change.instance, label);
    }
    await Promise.all(this.#refreshing.values());
    return run;
  }

  #know({ taskId, task, mapIndex }, label) {
    const entry = { taskId, name: nameOf(task, mapIndex, label), task: null, told: 0 };
    if (!this.book.has(taskId)) this.book.set(taskId, entry);
    // Told by whoever waits for all readings.
    this.refresh(taskId).catch(() => {});
  }

  /** Reads a task with its history, and tells what is new. One reading at a time, or events would be told twice. */
  refresh(taskId) {
    const before = this.#refreshing.get(taskId) ?? Promise.resolve();
    const reading = before.then(() => this.#read(taskId));
    this.#refreshing.set(taskId, reading);
    return reading;
  }

  async refreshAll() {
    for (const taskId of this.book.keys()) await this.refresh(taskId);
  }

  async #read(taskId) {
    const entry = this.book.get(taskId);
    if (entry === undefined) return;
    entry.task = await this.#client.tasks.get(taskId);
    const { history } = entry.task;
    const fresh = history.slice(entry.told);
    const earlier = history.slice(0, entry.told);
    entry.told = history.length;
    if (fresh.length > 0) this.#tell(entry, fresh, earlier);
  }

  get done() {
    return [...this.book.values()].filter(({ task }) => task?.state === 'success').length;
  }

  nameOf(taskId) {
    return this.book.get(taskId)?.name ?? taskId;
  }

  /** The task that a token was drawn for, as far as its history was read. */
  nameOfToken(token) {
    const drawn = ({ task }) => task?.history.some(({ fencingToken }) => String(fencingToken) === token);
    return [...this.book.values()].find(drawn)?.name ?? 'a task';
  }

  /** Empty while nothing of the task was read. */
  policyOf(taskId) {
    return this.book.get(taskId)?.task?.spec.partitionPolicy ?? '';
  }

  /** Whether an event was read in a task's history. */
  has(taskId, event) {
    return this.book.get(taskId)?.task?.history.some((happened) => happened.event === event) ?? false;
  }

  /** Whether a newer permit than this token exists: whatever is reported with it now comes too late. */
  isSuperseded({ taskId, token }) {
    const newest = this.book.get(taskId)?.task?.fencingToken ?? 0n;
    return newest > BigInt(token);
  }
}

/** What people call an instance: `2013-04`, `report-2013`, `hottest-2013`, `wettest_day`. */
function nameOf(task, mapIndex, label) {
  if (task === 'month') return `${label}-${String(mapIndex + 1).padStart(2, '0')}`;
  if (mapIndex !== undefined) return `${task}-${2012 + mapIndex}`;
  return label === '' ? task : `${task}-${label}`;
}

/** What a task that has succeeded gave; undefined when it gave nothing. */
export function resultOf({ task }) {
  return task.result.length === 0 ? undefined : JSON.parse(Buffer.from(task.result).toString('utf8'));
}
