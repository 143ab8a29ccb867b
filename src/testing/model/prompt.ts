import { startRun } from './agent.js';
import { fail, judgeInventory, permit } from './coordinator.js';
import { MESSAGES, type Message, PHASE, TASK } from './state.js';
import type { Step } from './step.js';

/**
 * The second agent, when two of full size would only show the same races twice in a space that is the square: whoever
 * else gets the task. It answers at once, so that its handshake is one step; its losses and returns are as the first's.
 */
const WHO = 1;

function tokens(t: Step): number[] {
  return Array.from({ length: t.bounds.permits }, (_, i) => i + 1);
}

/** Offered, asked, permitted, started. */
export function takeTask(t: Step): boolean {
  const isFree = tokens(t).every((token) => t.phase(WHO, token) === PHASE.none);
  const waits = t.c('task') === TASK.queued && t.c('offered') === 0 && t.c('token') < t.bounds.permits;
  if (t.session(WHO, 'live') === 0 || !isFree || !waits) return false;
  permit(t, WHO, t.session(WHO, 'epoch'), 1);
  t.setC('shown', 1);
  startRun(t, WHO, t.c('open'));
  return true;
}

function message(t: Step): Message {
  const [one, two, three] = [1, 2, 3].map((token) => t.phase(WHO, token)) as [number, number, number];
  return { kind: MESSAGES.beat, a: 0, b: 0, c: one | (two << 4), d: three };
}

/** A heartbeat and its acknowledgement: reports are judged, runs that are not wanted any more are ended. */
export function beat(t: Step): boolean {
  const speaks = tokens(t).some((token) => t.phase(WHO, token) >= PHASE.neverStarted) || t.c('cancel') !== 0;
  if (t.session(WHO, 'live') === 0 || !speaks) return false;
  apply(t);
  return true;
}

function apply(t: Step): void {
  const { acknowledged, stops } = judgeInventory(t, WHO, message(t), false);
  for (const token of tokens(t)) {
    const bit = 1 << (token - 1);
    if ((acknowledged & bit) !== 0) t.setPhase(WHO, token, PHASE.none);
    if ((stops & bit) !== 0 && t.phase(WHO, token) === PHASE.running) t.setPhase(WHO, token, PHASE.killed);
  }
}

/** Cut off for a lease: a single_run run has been ended by its guardian long before. */
export function loseLease(t: Step): boolean {
  if (t.session(WHO, 'live') === 0) return false;
  t.setSession(WHO, 'age', t.lease);
  fail(t, WHO);
  if (t.bounds.policy === 'reassign') return true;
  for (const token of tokens(t))
    if (t.phase(WHO, token) === PHASE.running) t.setPhase(WHO, token, PHASE.killed);
  return true;
}

/** Back with all it has, in a session of its own. */
export function comeBack(t: Step): boolean {
  if (t.session(WHO, 'live') !== 0 || t.c('epoch') === t.bounds.epochs) return false;
  t.setC('epoch', t.c('epoch') + 1);
  t.setSession(WHO, 'epoch', t.c('epoch'));
  t.setSession(WHO, 'live', 1);
  t.setAgent(WHO, 'epoch', t.c('epoch'));
  apply(t);
  return true;
}
