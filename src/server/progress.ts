import type { TaskRow } from '../core/rows.js';
import type { State } from '../core/state.js';
import type { AgentId, Token } from '../kit/ids.js';
import type { Progress } from '../wire/gen/holdfast/v1/agent_service.js';
import type { TaskProgress } from '../wire/gen/holdfast/v1/task_service.js';
import { LIMITS } from '../wire/limits.js';
import type { Watchers } from './watchers.js';

/** Closed tokens kept beside as many as are open: forgetting them costs a look at each. */
const SPARE = 64;

/**
 * What runs last said of themselves. In memory only: it decides nothing, and the next word replaces it. A run that was
 * adopted after a restart of the coordinator speaks again by itself.
 */
export class ProgressBoard {
  readonly #open: State['open'];
  readonly #watchers: Watchers;
  readonly #said = new Map<Token, TaskProgress>();

  constructor(state: Pick<State, 'open'>, watchers: Watchers) {
    this.#open = state.open;
    this.#watchers = watchers;
  }

  /** Of a token that is open and was permitted to this agent; anything else is ignored. */
  note(agentId: AgentId, { token, fraction, message, at }: Progress): void {
    const row = this.#open.get(token as Token);
    if (row?.open?.agentId !== agentId) return;
    const known = fraction !== undefined && Number.isFinite(fraction);
    this.#said.set(row.open.token, {
      fraction: known ? Math.min(1, Math.max(0, fraction)) : undefined,
      message: message.slice(0, LIMITS.progressLength),
      at,
    });
    if (this.#said.size > 2 * this.#open.size + SPARE) this.#forgetClosed();
    this.#watchers.changed(new Map([[row.taskId, row]]));
  }

  /** Undefined when the task does not run, or its run has said nothing. */
  of({ open }: TaskRow): TaskProgress | undefined {
    return open === null ? undefined : this.#said.get(open.token);
  }

  #forgetClosed(): void {
    for (const token of this.#said.keys()) if (!this.#open.has(token)) this.#said.delete(token);
  }
}
