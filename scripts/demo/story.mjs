// What is shown. Every line is something that was observed: an action of the demo itself, a line of a process's log, or
// an event of a task's history. This file only chooses words, and which observations are worth a line.
import pc from 'picocolors';
import { resultOf } from './work.mjs';

const WHO_WIDTH = 16;
const PROGRESS_EVERY = 10;
const SAMPLE_WIDTH = 80;

/** Prints the story, one line each with the time since the start; in colours on a terminal only. */
export class Story {
  #startedAt = performance.now();
  #colours = pc.createColors(process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '');

  /** Tones: act (the demo does something), bad, good, or none. */
  tell(who, text, tone = 'plain') {
    const seconds = ((performance.now() - this.#startedAt) / 1_000).toFixed(2).padStart(6);
    console.log(`${this.#colours.dim(`${seconds} s`)}  ${who.padEnd(WHO_WIDTH)} ${this.paint(text, tone)}`);
  }

  /** A line that stands by itself, without time. */
  say(text = '', tone = 'plain') {
    console.log(this.paint(text, tone));
  }

  paint(text, tone) {
    const { bold, cyan, green, red } = this.#colours;
    const paints = { act: (words) => bold(cyan(words)), bad: red, good: green, title: bold };
    return paints[tone]?.(text) ?? text;
  }
}

/**
 * What a coordinator's log line says about an agent, as [words, tone]; null for lines that are not told.
 */
export function wordsOfCoordinator(entry) {
  const { agentId } = entry;
  switch (entry.event) {
    case 'session_granted':
      return [`${agentId} has session ${entry.epoch}`, 'good'];
    case 'agent_suspect':
      return [`${agentId} is SUSPECT: its stream is silent or lost, so it gets no new work`];
    case 'agent_failed': {
      const lost = entry.lostRuns > 0 ? `; ${entry.lostRuns} runs lost` : '';
      return [
        `AGENT FAILED: ${agentId} missed 3 heartbeats, silent for ${Math.round(entry.silentMs)} ms${lost}`,
        'bad',
      ];
    }
    case 'snapshot_in_force':
      return [`the DAG files are in force: ${entry.dags} DAGs, ${entry.changed} of them new`, 'good'];
    default:
      return entry.level === 'error' ? [entry.msg, 'bad'] : null;
  }
}

/** Whether a coordinator's log line is about an agent's failure. */
export const isFailure = ({ event }) => event === 'agent_failed';

/** Whether it is about a report that came too late and names its task; what was reported stands in its history. */
export const isLateReport = ({ event, taskId }) => event === 'late_report' && taskId !== undefined;

/** The same for an agent's log line; `work` gives tasks their names. */
export function wordsOfAgent(entry, work) {
  switch (entry.event) {
    case 'gate_closed':
      // Of a triggerer the next line says it.
      if (entry.running === 0) return null;
      return [`GATE CLOSED: starts nothing new; ${entry.running} confirmed runs go on`, 'bad'];
    case 'triggers_stopped':
      return [`GATE CLOSED: all ${entry.count} waits are stopped at once`, 'bad'];
    case 'stream_lost':
      return [`stream lost (${entry.why}); dials again`];
    case 'stop_told': {
      const name = work.nameOfToken(entry.token);
      if (entry.reason === 'gate')
        return [`stops ${name} (token ${entry.token}) itself: single_run ends with the gate`];
      return [`stops ${name} (token ${entry.token}): ${entry.reason}`];
    }
    case 'permit_void':
      return [`permit of ${work.nameOf(entry.taskId)} (token ${entry.token}) came too late: never started`];
    default:
      return entry.level === 'error' ? [entry.msg, 'bad'] : null;
  }
}

/**
 * What new events of one task's history say, as a list of [words, tone]. First permits and ordinary ends are left out:
 * with dozens of tasks they would hide the losses; their number is told by `progressOf`.
 */
export function wordsOfHistory({ task }, fresh, earlier) {
  const lines = [];
  const before = [...earlier];
  for (const [index, event] of fresh.entries()) {
    const line = wordsOfEvent(event, { task, before, next: fresh[index + 1] });
    if (line !== null) lines.push(line);
    before.push(event);
  }
  return lines;
}

function wordsOfEvent(event, { task, before, next }) {
  const policy = task.spec.partitionPolicy;
  const token = `token ${event.fencingToken}`;
  switch (event.event) {
    case 'permitted':
      return reassigned(event, before);
    case 'lost':
      return [
        `lost with ${event.agentId} (try ${event.tryNumber}, ${token}): ${afterLoss(policy, task, next)}`,
        'bad',
      ];
    case 'requeued':
      // Told together with the loss when both came at once.
      if (before.at(-1)?.event === 'lost' && policy === 'reassign') return null;
      return [`released, queued again: ${token} can no longer be running (${policy})`];
    case 'adopted':
      return [`ADOPTED: ${event.agentId} is back with the run, it goes on (${token})`, 'good'];
    case 'lost_reported':
      return [`${event.agentId} says that the run is gone (${event.reason}, ${token})`];
    case 'assignment_failed':
      return [`was offered to ${event.agentId}, not started: queued as before, no try counted`];
    case 'never_started':
      return [`permit never started on ${event.agentId} (${token}): queued again`];
    case 'success':
      if (event.message === '') return null;
      return [
        `late result ADOPTED: ${event.agentId} finished it while cut off, ${token} was still open`,
        'good',
      ];
    case 'late_report_refused':
      return [
        `late report REFUSED: ${event.agentId} ${event.message} with ${token}; the newest is ${task.fencingToken}`,
        'bad',
      ];
    case 'failed':
    case 'try_failed':
    case 'cancelled':
    case 'poison':
    case 'queued_timeout':
      return [`${event.event}: ${event.reason} ${event.message}`, 'bad'];
    default:
      return null;
  }
}

function reassigned(event, before) {
  const old = before.findLast(({ event: name }) => name === 'permitted');
  if (old === undefined) return null;
  const closed = old.fencingToken;
  if (!before.some(({ event: name }) => name === 'lost'))
    return [`permitted again: ${event.agentId} token ${event.fencingToken}`];
  return [
    `REASSIGNED: ${old.agentId} token ${closed} -> ${event.agentId} token ${event.fencingToken} (try ${event.tryNumber}); token ${closed} is closed`,
    'good',
  ];
}

function afterLoss(policy, { lost }, next) {
  if (policy === 'hold') return 'HELD until the worker is back (hold)';
  if (next?.event === 'requeued' && policy === 'reassign') return 'queued again at once (reassign)';
  return lost === undefined ? 'held back' : `held back ${Math.round(lost.heldForMs)} ms more (${policy})`;
}

/** Tells every now and then how many are done, with one answer as a sample. */
export function progressOf(work, { name, task }, fresh) {
  if (!fresh.some(({ event }) => event === 'success') || work.done % PROGRESS_EVERY !== 0) return null;
  const result = JSON.stringify(resultOf({ task }) ?? null);
  const sample = result.length > SAMPLE_WIDTH ? `${result.slice(0, SAMPLE_WIDTH)}…` : result;
  return `${work.done} tasks done; ${name}: ${sample}`;
}
