// One mutant at least for each load-bearing rule at the end of the protocol. `also` is for rules that are guarded twice:
// the simulator can only notice when both guards are gone.
export const MUTANTS = [
  {
    name: 'gate_from_receipt',
    rule: 'P2',
    file: 'src/agent/core/session.ts',
    find: 'this.#gate.acknowledge(sentAt, this.#terms.gateMs);',
    replace: 'this.#gate.acknowledge(now, this.#terms.gateMs);',
  },
  {
    name: 'gate_longer_than_lease',
    rule: 'P2',
    file: 'src/core/lease.ts',
    find: 'const gateMs = (5 / 6) * leaseMs;\n  invariant(',
    replace: 'const gateMs = 1.1 * leaseMs;\n  (() => {})(',
  },
  {
    name: 'adopted_counts_as_permitted',
    rule: 'I3',
    file: 'src/agent/core/runs.ts',
    find: 'return run?.stopping === false && run.permit.epoch === epoch;',
    replace: 'return run?.stopping === false;',
  },
  {
    name: 'permit_told_twice_starts_twice',
    rule: 'P13',
    file: 'src/agent/core/permits.ts',
    find: 'if (this.#inventory.phase(permit.token) !== null) return;',
    replace: '',
    also: [
      {
        find: "if (!this.#asks.has(permit.nonce) || this.#voided.has(permit.token)) return 'not_asked';",
        replace: '',
      },
    ],
  },
  {
    name: 'takeover_by_any_instance',
    rule: 'P5',
    file: 'src/core/session.ts',
    find: 'when: (c) => c.live !== undefined && provesDeath(c)',
    replace: 'when: (c) => c.live !== undefined',
  },
  {
    name: 'takeover_fails_the_old_work',
    rule: 'P5',
    file: 'src/core/session.ts',
    find: "endSession(draft, live, 'ended', ruling.why);",
    replace: 'failAgent(draft, live, false);',
    also: [
      {
        find: 'when: (c) => c.live !== undefined && provesDeath(c)',
        replace: 'when: (c) => c.live !== undefined',
      },
    ],
  },
  {
    name: 'closed_token_reports',
    rule: 'P10',
    file: 'src/core/token.ts',
    find: 'const byToken = draft.openTask(report.token);',
    replace: 'const byToken = draft.openTask(report.token) ?? draft.task(report.taskId);',
    also: [
      {
        find: 'when: ({ open, agentId }) => open !== null && open.open.agentId === agentId }',
        replace: 'when: ({ open }) => open !== null }',
      },
    ],
  },
  {
    name: 'final_task_keeps_its_token',
    rule: 'P10',
    file: 'src/core/task.ts',
    find: '  moved.open = null;\n',
    replace: '',
  },
  {
    name: 'permit_ends_by_time',
    rule: 'P13',
    file: 'src/core/heartbeat.ts',
    find: 'draft.say(presence.streamId).voidTokens.push(token);',
    replace: "closeVanished(draft, draft.openTask(token)?.taskId ?? '', false);",
  },
  {
    name: 'same_epoch_after_failed',
    rule: 'P5',
    file: 'src/core/session.ts',
    find: 'const epoch = draft.drawEpoch();',
    replace:
      'const last = draft.newestSession(hello.agentId);\n  const epoch = last?.instanceId === hello.instanceId ? last.epoch : draft.drawEpoch();',
  },
  {
    name: 'acknowledged_but_not_renewed',
    rule: 'P1',
    file: 'src/core/decide.ts',
    find: 'if (ends > presence.leaseEnds) presence.leaseEnds = ends;',
    replace: 'if (ends > presence.leaseEnds && input.beat.seq % 8 !== 0) presence.leaseEnds = ends;',
  },
  {
    name: 'single_run_not_held',
    rule: 'P11',
    file: 'src/core/failure.ts',
    find: 'heldUntil: (c) => later(lastHeard(c), singleRunReleaseMs(c.session.leaseMs, c.task.killGraceMs)),',
    replace: 'heldUntil: () => null,',
  },
  {
    name: 'cancel_final_at_once',
    rule: 'P15',
    file: 'src/core/ask.ts',
    find: 'if (waits && told) requestStop(draft, taskId, kind, reason);\n  else fulfil',
    replace: 'fulfil',
  },
  // Each of these is guarded again elsewhere in the code, so that only the model, which has no second guard, shows
  // what it bears: the store's versions behind the permit, the closed connection behind the older stream, the batch that
  // takes heartbeats in before it judges leases.
  { name: 'permit_not_compared', rule: 'P5', model: 'permitCompareAndSet' },
  { name: 'older_stream_heard', rule: 'P5', model: 'agentChecksPermit' },
  { name: 'acknowledged_while_failing', rule: 'P1', model: 'noAckAfterDecision' },
];
