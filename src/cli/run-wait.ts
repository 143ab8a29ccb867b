import { hasRunEnded, type Run, type RunChange, type RunDescription } from '../client/index.js';
import { EXIT, Failure } from './failure.js';
import { Progress } from './progress.js';
import { instanceWords, runName } from './run-views.js';
import { type Session, waiting } from './session.js';

/** Watches a run until it has ended. */
export async function awaitRun(
  session: Session,
  run: Pick<Run, 'dagId' | 'runId'>,
  see: (change: RunChange) => Promise<void> | void = () => {},
): Promise<void> {
  const progress = new Progress(session.terminal, null);
  let ended = false;
  try {
    await waiting(session, `run ${runName(run)} has not ended`, async (signal) => {
      const onInterrupted = (): void => progress.note('the coordinator is away, trying again');
      const watching = session.client.runs.watch(run.dagId, run.runId, { signal, onInterrupted });
      for await (const change of watching) {
        if (change.kind === 'run') ended = hasRunEnded(change.run.state);
        else progress.see(change.instance.taskId, change.instance.state, change.instance.lost);
        await see(change);
      }
    });
  } catch (error) {
    progress.end();
    if (!ended) session.terminal.err.print(`run ${runName(run)} goes on; see \`holdfast run list\`\n`);
    throw error;
  } finally {
    progress.end();
  }
}

const MOST_SHOWN = 10;

/** Throws (exit code 3) when a run that was waited for did not succeed; names the instances that it failed by. */
export function requireRunSuccess({ run, instances }: RunDescription): void {
  if (run.state === 'success') return;
  const failed = instances.filter(({ state }) => state === 'failed' || state === 'cancelled');
  const problems = failed.slice(0, MOST_SHOWN).map((instance) => ({
    what: `${instanceWords(instance)} ended as ${instance.state}`,
    because: [instance.reason, instance.message].filter((text) => text !== '').join(': '),
    // What never began has said nothing.
    try: `holdfast task ${instance.tryNumber === 0 ? 'explain' : 'logs'} ${instance.taskId}`,
  }));
  throw new Failure(EXIT.taskFailed, 'RUN_FAILED', [
    {
      what: `run ${runName(run)} ended as ${run.state}`,
      because: run.reason,
      try: `holdfast run describe ${runName(run)}`,
    },
    ...problems,
  ]);
}
