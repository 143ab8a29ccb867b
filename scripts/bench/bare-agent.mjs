// A worker without commands: it reports success as soon as it is permitted to start. Its protocol half is the real one.

import { realClock } from '../../dist/agent/clock.js';
import { NOTHING_RECOVERED } from '../../dist/agent/core/reports.js';
import { AgentSession } from '../../dist/agent/core/session.js';
import { Link } from '../../dist/agent/link.js';
import { requestsOf } from '../../dist/agent/translate.js';

const [address, agentId, slots, agents = '1', tell = ''] = process.argv.slice(2);

class BareAgent {
  #flushing = false;
  #timer = null;

  constructor(id) {
    const identity = {
      agentId: id,
      instanceId: `bare-agent-instance-${id}-${process.pid}`,
      kind: 'worker',
      queues: ['bench'],
      slots: Number(slots),
      labels: {},
      software: 'bare-agent',
      hostname: 'bench',
      process: { bootId: '', lockDevice: 0n, lockInode: 0n, pid: process.pid },
      proof: null,
    };
    this.session = new AgentSession(identity, NOTHING_RECOVERED, Math.random);
    this.link = new Link(address, realClock, {
      happened: (event) => this.happened(event),
      logAcknowledged: () => {},
    });
    this.perform(this.session.begin());
  }

  happened(event) {
    this.perform(this.session.step(event, this.now()));
    if (this.#flushing) return;
    this.#flushing = true;
    realClock.soon(() => {
      this.#flushing = false;
      this.perform(this.session.flush(this.now()));
      this.setTimer();
    });
  }

  now() {
    return { mono: realClock.monoMs(), wall: realClock.wallMs() };
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
      else if (effect.kind === 'send') this.link.send(effect.streamNo, requestsOf(effect.message, 0));
      else if (effect.kind === 'start') this.finish(effect.permit);
      else if (effect.kind === 'note' && effect.note.kind === 'session')
        process.send?.({ connected: this.session.instanceId });
    }
  }

  finish({ token, taskId }) {
    const at = realClock.wallMs();
    if (tell === 'starts')
      process.send?.({ started: taskId, at: performance.timeOrigin + performance.now() });
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
    this.happened({ kind: 'run_ended', report: { ...report, startedAtMs: at, endedAtMs: at } });
  }
}

for (let i = 0; i < Number(agents); i++) new BareAgent(agents === '1' ? agentId : `${agentId}-${i}`);
process.on('disconnect', () => process.exit(0));
