import type { SeenRun } from './agent.js';

/** Tasks that ran twice at once, by what was seen from outside. */
export function overlaps(runs: readonly SeenRun[]): string[] {
  const found = new Set<string>();
  for (const [at, run] of runs.entries()) {
    const others = runs.slice(at + 1).filter(({ task }) => task === run.task);
    if (others.some(({ from }) => run.to === null || from < run.to)) found.add(run.task);
  }
  return [...found];
}
