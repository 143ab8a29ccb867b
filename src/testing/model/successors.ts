import * as agent from './agent.js';
import * as coordinator from './coordinator.js';
import * as prompt from './prompt.js';
import type { Bounds, Off } from './rules.js';
import {
  C,
  get,
  LIFE,
  NO_BEAT,
  newState,
  PHASE,
  S,
  type State,
  sessionAt,
  TASK,
  tellsPermit,
  type Who,
} from './state.js';
import { Step } from './step.js';

/** Something that may happen next: false when it cannot happen now. */
interface Action {
  readonly name: string;
  readonly happen: (t: Step) => boolean;
}

const NAMES: readonly [string, string] = ['A', 'B'];

function actionsOf(who: Who, bounds: Bounds, off: Off): Action[] {
  const name = NAMES[who];
  const tokens = Array.from({ length: bounds.permits }, (_, i) => i + 1);
  const actions: Action[] = [
    { name: `${name} dials`, happen: (t) => agent.dial(t, who) },
    { name: `${name} sends a heartbeat`, happen: (t) => agent.sendBeat(t, who) },
    { name: `${name} is heard`, happen: (t) => coordinator.hear(t, who, 'newest') },
    { name: `${name} is heard on its older stream`, happen: (t) => coordinator.hear(t, who, 'older') },
    { name: `${name} hears the coordinator`, happen: (t) => agent.listen(t, who, 'newest') },
    { name: `the task is offered to ${name}`, happen: (t) => coordinator.offer(t, who) },
    { name: `${name}'s lease ends: FAILED`, happen: (t) => coordinator.expire(t, who) },
    { name: `${name} closes its gate for good`, happen: (t) => agent.drain(t, who) },
    { name: `${name} says goodbye`, happen: (t) => agent.sayGoodbye(t, who) },
    { name: `${name} dies`, happen: (t) => agent.crash(t, who) },
  ];
  if (off.has('agentChecksPermit')) {
    const happen = (t: Step) => agent.listen(t, who, 'older');
    actions.push({ name: `${name} hears the coordinator on its older stream`, happen });
  }
  if (who === 1 && bounds.sameAgent)
    actions.push({ name: 'B, another instance, begins', happen: (t) => agent.startInstance(t, who) });
  for (const token of tokens) {
    actions.push(
      { name: `${name} takes the last look at token ${token}`, happen: (t) => agent.look(t, who, token) },
      { name: `${name} STARTS token ${token}`, happen: (t) => agent.start(t, who, token) },
      { name: `${name}'s run of token ${token} ends`, happen: (t) => agent.end(t, who, token, 'success') },
      {
        name: `${name}'s run of token ${token} is reaped`,
        happen: (t) => agent.end(t, who, token, 'killed'),
      },
    );
  }
  return actions;
}

/** See prompt.ts. */
function promptActions(bounds: Bounds): Action[] {
  const tokens = Array.from({ length: bounds.permits }, (_, i) => i + 1);
  const ends = tokens.map((token) => ({
    name: `B's run of token ${token} ends`,
    happen: (t: Step) => agent.end(t, 1, token, 'success'),
  }));
  return [
    { name: 'B takes the task and STARTS it', happen: prompt.takeTask },
    { name: 'B is heard and answered', happen: prompt.beat },
    { name: 'B is back', happen: prompt.comeBack },
    { name: "B's lease ends: FAILED", happen: prompt.loseLease },
    ...ends,
  ];
}

function actions(bounds: Bounds, off: Off): Action[] {
  return [
    ...actionsOf(0, bounds, off),
    ...(bounds.sameAgent ? actionsOf(1, bounds, off) : promptActions(bounds)),
    { name: 'the offer lapses', happen: coordinator.lapse },
    { name: 'the permit is told again', happen: (t) => coordinator.pressPermit(t, 'again') },
    { name: 'the permit is asked to be void', happen: (t) => coordinator.pressPermit(t, 'void') },
    { name: 'the permit ends by time', happen: (t) => coordinator.pressPermit(t, 'end') },
    { name: 'a permit decided before is committed', happen: coordinator.commitPermit },
    { name: 'the lost try is released', happen: coordinator.release },
    { name: 'an operator cancels', happen: coordinator.cancel },
    { name: 'time passes', happen: pass },
  ];
}

/** One unit of time on every clock. Nobody pauses longer than d between the last look and the start (P2). */
function pass(t: Step): boolean {
  const who = [0, 1] as const;
  const tokens = Array.from({ length: t.bounds.permits }, (_, i) => i + 1);
  if (who.some((w) => tokens.some((token) => t.phase(w, token) === PHASE.pausing))) return false;
  const before = t.s.slice();
  for (const w of who) {
    if (w === 1 && !t.bounds.sameAgent) continue;
    const oldest = t.bounds.policy === 'single_run' ? t.release : t.lease;
    if (t.session(w, 'live') !== 0) t.setSession(w, 'age', Math.min(oldest, t.session(w, 'age') + 1));
    t.setAgent(w, 'gate', Math.min(t.gateLimit, t.agent(w, 'gate') + 1));
    const sent = t.agent(w, 'beat');
    if (sent !== NO_BEAT) t.setAgent(w, 'beat', Math.min(t.gateLimit, sent + 1));
    for (const token of tokens) grow(t, w, token);
  }
  if (t.c('task') === TASK.held) t.setC('lostAge', Math.min(t.release, t.c('lostAge') + 1));
  return t.s.some((field, at) => field !== before[at]);
}

/** P11: under single_run the guardian ends a run with the gate, and its grace ends it for sure. */
function grow(t: Step, who: Who, token: number): void {
  const phase = t.phase(who, token);
  if (phase === PHASE.checked) t.setPhase(who, token, PHASE.pausing);
  if (t.bounds.policy !== 'single_run') return;
  const closed = t.agent(who, 'gate') >= t.gateLimit;
  if (phase === PHASE.running && closed) t.setPhase(who, token, PHASE.dying);
  else if (phase === PHASE.dying) t.setPhase(who, token, PHASE.dyingLong);
  else if (phase === PHASE.dyingLong) t.setPhase(who, token, PHASE.killed);
}

/** P13: nothing is permitted without a live session, a hold or the queue to wait in. */
function watch(t: Step): void {
  const open = t.c('open');
  if (open === 0) {
    t.must(t.c('task') !== TASK.running && t.c('task') !== TASK.held, 'P13', 'the task runs without a token');
    return;
  }
  const who = t.c('openBy') as Who;
  const at = sessionAt(who);
  const lives = get(t.s, at + S.live) !== 0 && get(t.s, at + S.epoch) === get(t.s, C.openEpoch);
  t.must(lives || t.c('lost') !== 0, 'P13', `token ${open} is open in a session that is over, for ever`);
}

/** The task has its end, and nobody holds or is told anything of it: nothing more can go wrong. */
function isOver(t: Step): boolean {
  if (!t.isFinal() || t.c('pending') !== 0) return false;
  for (const who of [0, 1] as const) {
    for (let token = 1; token <= t.bounds.permits; token++)
      if (t.phase(who, token) !== PHASE.none) return false;
    if (tellsPermit(t.s, who)) return false;
  }
  return true;
}

export interface Next {
  readonly name: string;
  readonly state: State;
  readonly fault: string | null;
}

export function firstState(bounds: Bounds): State {
  const t = new Step(newState(), new Set(), bounds);
  t.setAgent(0, 'life', LIFE.alive);
  t.setAgent(0, 'gate', t.gateLimit);
  if (bounds.sameAgent) return t.s;
  t.setAgent(1, 'life', LIFE.alive);
  prompt.comeBack(t);
  return t.s;
}

/** All that may happen next, each with the state that it leads to. */
export function successorsOf(bounds: Bounds, off: Off): (state: State) => Next[] {
  const all = actions(bounds, off);
  const t = new Step(newState(), off, bounds);
  return (state) => {
    const found: Next[] = [];
    if (isOver(t.again(state))) return found;
    for (const { name, happen } of all) {
      if (!happen(t.again(state))) continue;
      watch(t);
      found.push({ name, state: t.s.slice(), fault: t.fault });
    }
    return found;
  };
}
