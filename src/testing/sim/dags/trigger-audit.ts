import type { TriggerOutcome, TriggerStart } from '../../../agent/core/messages.js';
import type { AgentId } from '../../../kit/ids.js';
import type { Auditor } from '../auditor.js';
import type { Gate } from '../runner.js';

/** What triggerers' machines see of their triggers. */
export class TriggerAudit {
  readonly #auditor: Auditor;

  constructor(auditor: Auditor) {
    this.#auditor = auditor;
  }

  /** K14: a trigger looks at what it waits for. Behind the gate, or once its agent knows of no stream, none does. */
  stepped(
    agentId: AgentId,
    { triggerId }: TriggerStart,
    { sinceMs, limitMs }: Gate,
    isCutOff: boolean,
  ): void {
    if (!isCutOff && sinceMs < limitMs) return;
    const where = isCutOff ? 'without a stream' : `${Math.round(sinceMs - limitMs)} ms behind its gate`;
    this.#auditor.broken({ rule: 'K14', agentId, what: `${agentId} goes on with ${triggerId} ${where}` });
  }

  fired(agentId: AgentId, { triggerId, token }: TriggerOutcome): void {
    this.#auditor.tell(`${agentId} FIRES ${triggerId} token ${token}`, { agentId });
    this.#auditor.count('triggers.fired');
  }
}
