import type { Violation } from '../checker/index.js';

/** One line of what happened, and whom it concerns. */
export interface Told {
  readonly atMs: number;
  readonly text: string;
  readonly taskId?: string;
  readonly agentId?: string;
  /** The auditor's own word: the story ends with it anyway. */
  readonly isVerdict?: boolean;
}

/** As much of a story as a screen shows. */
const STORY_LINES = 40;
/** Before that, what the agents did has nothing to do with it, in milliseconds. */
const AGENT_STORY_MS = 120_000;

/** One line of a trace: simulated seconds, then who did what. */
export function lineOf({ atMs, text }: Pick<Told, 'atMs' | 'text'>): string {
  return `${(atMs / 1_000).toFixed(3).padStart(10)}  ${text}`;
}

/**
 * What led to a violation: all of its task, what its agents did shortly before, and what befell the coordinator; newest
 * last, then the promise that was broken.
 */
export function storyOf(told: readonly Told[], { rule, what, at, taskId, agentId }: Violation): string[] {
  const before = told.filter(({ atMs, isVerdict }) => atMs <= at && !isVerdict);
  const ofTask = (line: Told) => taskId !== undefined && line.taskId === taskId;
  const agents = new Set(before.filter(ofTask).map((line) => line.agentId));
  if (agentId !== undefined) agents.add(agentId);
  const isNear = (line: Told) => line.atMs >= at - AGENT_STORY_MS && line.taskId === undefined;
  const concerns = (line: Told) =>
    ofTask(line) || (isNear(line) && (line.agentId === undefined || agents.has(line.agentId)));
  const lines = before.filter(concerns);
  const left = lines.length - STORY_LINES;
  const subject = taskId === undefined ? '' : ` of ${taskId}`;
  return [
    ...(left > 0 ? [`… ${left} earlier lines: see the trace`] : []),
    ...lines.slice(-STORY_LINES).map(lineOf),
    lineOf({ atMs: at, text: `BROKEN ${rule}${subject}: ${what}` }),
  ];
}
