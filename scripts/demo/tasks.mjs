// The tasks of the demo as the coordinator's API shows them: submitted, watched, and their history told once each event.
import { fileURLToPath } from 'node:url';
import { STEP_MS } from './footprints.mjs';
import { dataFile, inWords, shore } from './weather.mjs';

const answerFile = fileURLToPath(import.meta.resolve('./answer.mjs'));
const KILL_GRACE_MS = 500;

/** Every task by id, with its question and its newest state. */
export class Tasks {
  /** By task id: { question, task, told } where `told` counts the history events that were told. */
  book = new Map();
  #client;
  #footprintsFile;
  #tell;
  #refreshing = new Map();

  /** `tell` hears of each task's new history events, in order, once. */
  constructor(client, footprintsFile, tell) {
    this.#client = client;
    this.#footprintsFile = footprintsFile;
    this.#tell = tell;
  }

  async submit(questions) {
    const accepted = await this.#client.tasks.submit(questions.map((question) => this.#specOf(question)));
    accepted.forEach(({ taskId }, index) => {
      this.book.set(taskId, { question: questions[index], task: null, told: 0 });
    });
    return accepted.map(({ taskId }) => taskId);
  }

  #specOf({ kind, about, policy, priority = 0, durationMs }) {
    return {
      queue: 'weather',
      command: [process.execPath, answerFile, kind, about],
      env: {
        DEMO_DATA: dataFile,
        DEMO_FOOTPRINTS: this.#footprintsFile,
        DEMO_DURATION_MS: String(durationMs),
        DEMO_STEP_MS: String(STEP_MS),
      },
      priority,
      partitionPolicy: policy,
      killGraceMs: KILL_GRACE_MS,
      ...(policy === 'hold' ? { requiredLabels: shore } : {}),
    };
  }

  /** Tells of every change of these tasks; resolves when all have ended. */
  async watch(taskIds, signal) {
    for await (const { taskId } of this.#client.tasks.watch(taskIds, { signal })) await this.refresh(taskId);
    await Promise.all(this.#refreshing.values());
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
    return this.book.get(taskId)?.question.name ?? taskId;
  }

  /** The task that a token was drawn for, as far as its history was read. */
  nameOfToken(token) {
    for (const { question, task } of this.book.values()) {
      if (task?.history.some(({ fencingToken }) => String(fencingToken) === token)) return question.name;
    }
    return 'a task';
  }

  questionOf(taskId) {
    return this.book.get(taskId).question;
  }

  /** Whether an event was read in a task's history. */
  has(taskId, event) {
    return this.book.get(taskId).task?.history.some((happened) => happened.event === event) ?? false;
  }

  /** Whether a newer permit than this token exists: whatever is reported with it now comes too late. */
  isSuperseded({ taskId, token }) {
    const newest = this.book.get(taskId)?.task?.fencingToken ?? 0n;
    return newest > BigInt(token);
  }
}

/** The answer of a task that has succeeded. */
export function resultOf({ task }) {
  return JSON.parse(Buffer.from(task.result).toString('utf8'));
}

/** That answer in a few words. */
export function answerInWords(entry) {
  return inWords(entry.question.kind, resultOf(entry));
}
