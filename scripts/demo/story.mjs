// What is shown. Every line is something that was observed: an action of the demo itself, a line of a process's log, or
// an event of a task's history. This file only chooses words, and which observations are worth a line.
import pc from 'picocolors';
import { answerInWords } from './tasks.mjs';

const WHO_WIDTH = 13;
const PROGRESS_EVERY = 10;

const AGENT_FAILED = 'an agent has missed three heartbeat intervals: failed';

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
  const { msg, agentId } = entry;
  switch (msg) {
    case 'an agent has a new session':
      return [`${agentId} has session ${entry.epoch}`, 'good'];
    case 'an agent fell silent: no offers, no permits until it is heard again':
      return [`${agentId} is SUSPECT: its stream is silent or lost, so it gets no new work`];
    case AGENT_FAILED:
      return [
        `AGENT FAILED: ${agentId} missed 3 heartbeats, silent for ${Math.round(entry.silentMs)} ms; ${entry.lostRuns} runs lost`,
        'bad',
      ];
    case 'most workers failed at once: reassignment is held back for one lease':
      return [msg, 'bad'];
    default:
      return entry.level === 'error' ? [msg, 'bad'] : null;
  }
}

/** Whether a coordinator's log line is about an agent's failure. */
export const isFailure = ({ msg }) => msg === AGENT_FAILED;

/** Whether it is about a report that came too late; what was reported stands in the task's history. */
export const isLateReport = ({ msg }) => msg === 'a report with a closed or foreign token was refused';

/** The same for a worker's log line; `tasks` gives tasks their names. */
export function wordsOfWorker(entry, tasks) {
  switch (entry.msg) {
    case 'gate closed: nothing new is started; confirmed runs go on':
      return [`GATE CLOSED: starts nothing new; ${entry.running} confirmed runs go on`, 'bad'];
    case 'gate open: new work may be started':
      return ['gate open: may start work', 'good'];
    case 'the stream to the coordinator is lost; dialing again':
      return [`stream lost (${entry.why}); dials again`];
    case 'connected again: the session goes on':
      return [entry.msg, 'good'];
    case 'a run is stopped': {
      const name = tasks.nameOfToken(entry.token);
      if (entry.reason === 'gate')
        return [`stops ${name} (token ${entry.token}) itself: single_run ends with the gate`];
      return [`stops ${name} (token ${entry.token}): ${entry.reason}`];
    }
    case 'a permit came too late: never started':
      return [`permit of ${tasks.nameOf(entry.taskId)} (token ${entry.token}) came too late: never started`];
    default:
      return entry.level === 'error' ? [entry.msg, 'bad'] : null;
  }
}

/**
 * What new events of one task's history say, as a list of [words, tone]. First permits and ordinary ends are left out:
 * with dozens of tasks they would hide the losses; their number is told by `progressOf`.
 */
export function wordsOfHistory({ question, task }, fresh, earlier) {
  const lines = [];
  const before = [...earlier];
  for (const [index, event] of fresh.entries()) {
    const line = wordsOfEvent(event, { question, task, before, next: fresh[index + 1] });
    if (line !== null) lines.push(line);
    before.push(event);
  }
  return lines;
}

function wordsOfEvent(event, { question, task, before, next }) {
  const token = `token ${event.fencingToken}`;
  switch (event.event) {
    case 'permitted':
      return reassigned(event, before);
    case 'lost':
      return [
        `lost with ${event.agentId} (try ${event.tryNumber}, ${token}): ${afterLoss(question, task, next)}`,
        'bad',
      ];
    case 'requeued':
      // Told together with the loss when both came at once.
      if (before.at(-1)?.event === 'lost' && question.policy === 'reassign') return null;
      return [`released, queued again: ${token} can no longer be running (${question.policy})`];
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

function afterLoss({ policy }, { lost }, next) {
  if (policy === 'hold') return 'HELD until the worker is back (hold)';
  if (next?.event === 'requeued' && policy === 'reassign') return 'queued again at once (reassign)';
  return lost === undefined ? 'held back' : `held back ${Math.round(lost.heldForMs)} ms more (${policy})`;
}

/** Tells every now and then how many are done, with one answer as a sample. */
export function progressOf(tasks, entry, fresh) {
  if (!fresh.some(({ event }) => event === 'success') || tasks.done % PROGRESS_EVERY !== 0) return null;
  return `${tasks.done} of ${tasks.book.size} tasks done; ${entry.question.name}: ${answerInWords(entry)}`;
}
