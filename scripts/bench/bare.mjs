// An agent whose protocol half is the real one and whose work is only a wait: a thousand of them fit into one process.
import { realClock } from '../../dist/agent/clock.js';
import { NOTHING_RECOVERED } from '../../dist/agent/core/reports.js';
import { AgentSession } from '../../dist/agent/core/session.js';
import { Link } from '../../dist/agent/link.js';
import { requestsOf } from '../../dist/agent/translate.js';
import { tlsOfRun } from './certificate.mjs';

/**
 * `told`: what is to be done when it has a session (new or kept), when it starts a task, when it knows the round trip of
 * a heartbeat, and when it has left; `runMs`: how long a task runs.
 */
export class BareAgent {
  #flushing = false;
  #timer = null;
  #gone = false;
  #told;
  #runMs;

  constructor({ address, agentId, instance, slots, queue = 'bench', told = {}, runMs = () => 0 }) {
    this.#told = told;
    this.#runMs = runMs;
    const identity = {
      agentId,
      instanceId: `bare-agent-instance-${agentId}-${process.pid}-${instance}`,
      kind: 'worker',
      queues: [queue],
      handlers: [],
      bundles: [],
      triggerKinds: [],
      slots,
      labels: {},
      software: 'bare-agent',
      hostname: 'bench',
      process: { bootId: '', lockDevice: 0n, lockInode: 0n, pid: process.pid },
      proof: null,
    };
    this.session = new AgentSession(/** @type {any} */ (identity), NOTHING_RECOVERED, Math.random);
    const happened = (event) => this.happened(event);
    const listener = { happened, logAcknowledged: () => {}, bundleTold: () => {} };
    this.link = new Link(address, realClock, listener, tlsOfRun() ?? null);
    this.perform(this.session.begin());
  }

  /** As a kill -9 of it would: the connection ends, nothing is said, nothing that ran is reported. */
  vanish() {
    this.#gone = true;
    this.#timer?.cancel();
    this.link.hangUp();
  }

  /** Finishes what it runs, says goodbye, and is gone when that was answered. */
  leave() {
    this.happened({ kind: 'drain', timeoutMs: null });
  }

  happened(event) {
    if (this.#gone) return;
    this.perform(this.session.step(event, this.now()));
    if (this.#flushing) return;
    this.#flushing = true;
    realClock.soon(() => {
      this.#flushing = false;
      if (this.#gone) return;
      this.perform(this.session.flush(this.now()));
      this.setTimer();
    });
  }

  now() {
    return { mono: realClock.monoMs(), wall: realClock.wallMs(), boot: realClock.bootMs() };
  }

  setTimer() {
    this.#timer?.cancel();
    const at = this.session.nextTick();
    if (at !== null)
      this.#timer = realClock.setTimer(at - realClock.monoMs(), () => this.happened({ kind: 'tick' }));
  }

  perform(effects) {
    for (const effect of effects) {
      if (effect.kind === 'dial') this.link.dial(effect.streamNo, effect.afterMs);
      else if (effect.kind === 'hang_up') this.link.hangUp();
      else if (effect.kind === 'send') this.send(effect);
      else if (effect.kind === 'start') this.run(effect.permit);
      else if (effect.kind === 'exit') this.#told.left?.();
      else if (effect.kind === 'note' && effect.note.kind === 'session') this.#told.session?.(effect.note);
    }
  }

  send({ streamNo, message }) {
    this.link.send(streamNo, requestsOf(message, { loopLagMs: 0, logBytesWaiting: 0, unknownArms: 0 }));
    if (message.kind === 'heartbeat' && message.beat.rttMs !== null) this.#told.rtt?.(message.beat.rttMs);
  }

  run(permit) {
    const startedAtMs = realClock.wallMs();
    this.#told.start?.(permit.taskId);
    const runMs = this.#runMs();
    if (runMs === 0) this.finish(permit, startedAtMs);
    else if (runMs < Number.POSITIVE_INFINITY) setTimeout(() => this.finish(permit, startedAtMs), runMs);
  }

  finish({ token, taskId }, startedAtMs) {
    const report = {
      token,
      taskId,
      kind: 'success',
      exitCode: 0,
      reason: '',
      message: '',
      result: null,
      resultType: '',
    };
    this.happened({ kind: 'run_ended', report: { ...report, startedAtMs, endedAtMs: realClock.wallMs() } });
  }
}
