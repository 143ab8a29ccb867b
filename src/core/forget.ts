import type { Draft } from './draft.js';
import type { AgentRow, SessionRow } from './rows.js';

interface Case {
  readonly draft: Draft;
  readonly agent: AgentRow;
  /** Its newest session; undefined when the store has none. */
  readonly session: SessionRow | undefined;
}

/** Why an agent that is away stays known, with its last session. The first row that matches; else it is forgotten. */
const STAY_RULES: readonly { readonly name: string; readonly when: (c: Case) => boolean }[] = [
  { name: 'alive', when: ({ session }) => session?.state === 'live' },
  // The same batch has written to it: its row is not the one that was committed.
  { name: 'changed_meanwhile', when: ({ draft, agent }) => draft.agents.has(agent.agentId) },
  // Its runs may come back with it (P10), and its successor proves its death by what its session says (P5).
  { name: 'token_open', when: ({ draft, agent }) => draft.openTasksOf(agent.agentId).length > 0 },
  // An operator's word: under the same name it would come back as if nobody had said so. A drain has been obeyed.
  { name: 'cordoned', when: ({ agent }) => agent.cordoned && !agent.draining },
  { name: 'young', when: ({ draft, session }) => session !== undefined && !isOld(draft, session) },
];

/** By the wall clock, the only one in the row: a jump of it costs no more than a line in a list. */
function isOld({ ctx }: Draft, { endedAt, grantedAt }: SessionRow): boolean {
  return (ctx.wall as number) - (endedAt ?? grantedAt) > ctx.policy.retention.agentAgeMs;
}

/** Forgets agents that have been away for long: a bounded number, the others with the next tick. */
export function forgetAgents(draft: Draft): void {
  const { now, policy } = draft.ctx;
  if (now < draft.state.lookAtAgents) return;
  draft.agentsSeen = true;
  for (const agent of draft.state.agents.values()) {
    if (draft.agentRemovals.size === policy.limits.pruneStep) {
      draft.agentsSeen = false;
      return;
    }
    const c: Case = { draft, agent, session: draft.newestSession(agent.agentId) };
    if (STAY_RULES.some((rule) => rule.when(c))) continue;
    draft.agentRemovals.set(agent.agentId, agent.version);
    draft.notes.push({ kind: 'agent_forgotten', agentId: agent.agentId });
  }
}
