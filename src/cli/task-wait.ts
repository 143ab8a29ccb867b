import { hasEnded, type Task } from '../client/index.js';
import { EXIT, Failure } from './failure.js';
import { Progress } from './progress.js';
import { type Session, waiting } from './session.js';

/** Watches the tasks until all have ended; returns each as it was last seen, in the order asked for. */
export async function awaitTasks(
  session: Session,
  taskIds: readonly string[],
  see: (task: Task) => Promise<void> | void = () => {},
): Promise<Task[]> {
  const unique = [...new Set(taskIds)];
  const last = new Map<string, Task>();
  const progress = new Progress(session.terminal, unique.length);
  const open = (): number => unique.filter((id) => !hasEnded(last.get(id)?.state ?? 'queued')).length;
  try {
    await waiting(session, 'the tasks have not all ended', async (signal) => {
      const onInterrupted = (): void => progress.note('the coordinator is away, trying again');
      for await (const task of session.client.tasks.watch(unique, { signal, onInterrupted })) {
        last.set(task.taskId, task);
        progress.see(task.taskId, task.state, task.lost !== undefined);
        await see(task);
      }
    });
  } catch (error) {
    progress.end();
    if (open() > 0) {
      session.terminal.err.print(`${open()} of ${unique.length} tasks go on; see \`holdfast task list\`\n`);
    }
    throw error;
  } finally {
    progress.end();
  }
  return unique.flatMap((id) => last.get(id) ?? []);
}

const MOST_SHOWN = 10;

/** A handler that refused its input was never called: there is no output to look at. */
const adviceFor = ({ taskId, reason }: Task): string =>
  reason === 'handler_input_invalid'
    ? 'correct the input, and submit it again'
    : `holdfast task logs ${taskId}`;

/** Throws (exit code 3) when a task that was waited for did not succeed. */
export function requireSuccess(tasks: readonly Task[]): void {
  const failed = tasks.filter((task) => task.state !== 'success');
  if (failed.length === 0) return;
  const problems = failed.slice(0, MOST_SHOWN).map((task) => ({
    what: `task ${task.taskId} ended as ${task.state}`,
    because: [task.reason, task.message].filter((text) => text !== '').join(': '),
    try: adviceFor(task),
  }));
  if (failed.length > MOST_SHOWN) {
    problems.push({
      what: `and ${failed.length - MOST_SHOWN} more tasks did not succeed`,
      because: `only the first ${MOST_SHOWN} are shown`,
      try: 'holdfast task list --state failed',
    });
  }
  throw new Failure(EXIT.taskFailed, 'TASK_FAILED', problems);
}
