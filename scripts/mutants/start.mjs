// Leases, gates, offers, permits, starts and counters.
export const MUTANTS = [
  {
    name: 'lease_ends_early',
    rule: 'P1',
    file: 'src/core/lease.ts',
    find: 'return now >= leaseEnds;',
    replace: 'return now >= leaseEnds - 700;',
  },
  {
    name: 'lease_ends_late',
    rule: 'I5',
    file: 'src/core/lease.ts',
    find: 'return now >= leaseEnds;',
    replace: 'return now >= leaseEnds + 1_500;',
  },
  {
    name: 'lease_renewed_by_half',
    rule: 'P1',
    file: 'src/core/lease.ts',
    find: 'return later(receivedAt, leaseMs);',
    replace: 'return later(receivedAt, leaseMs / 2);',
  },
  {
    name: 'lease_not_extended_by_stall',
    rule: 'P7',
    file: 'src/core/decide.ts',
    find: 'extendLeases(state, input.ms);',
    replace: '',
  },
  {
    name: 'no_new_term_after_restart',
    rule: 'P7',
    file: 'src/core/lease.ts',
    find: 'return Math.max(leaseMs, oldLeaseMs, (sessions / perSecond) * 1_000);',
    replace: 'return 0.5 * Math.max(leaseMs, oldLeaseMs, (sessions / perSecond) * 1_000);',
  },
  {
    name: 'gate_forgets_suspends',
    rule: 'P2',
    file: 'src/agent/core/gate.ts',
    find: 'return elapsed(this.#sentAt, now) < this.#gateMs;',
    replace: 'return now.mono < later(this.#sentAt.mono, this.#gateMs);',
  },
  {
    name: 'gate_believes_the_wall',
    rule: 'P2',
    file: 'src/agent/core/gate.ts',
    find: 'return elapsed(this.#sentAt, now) < this.#gateMs;',
    replace: 'return now.wall < later(this.#sentAt.wall, this.#gateMs);',
    // Else the agent waits for the closing by the other clock for ever.
    also: [
      {
        file: 'src/agent/core/session.ts',
        find: 'return this.#wasOpen ? earliest(next, this.#gate.closesAt()) : next;',
        replace: 'return next;',
      },
    ],
  },
  {
    name: 'gate_opens_by_any_ack',
    rule: 'P2',
    file: 'src/agent/core/exchange.ts',
    find: 'if (sentAt === null) return null;',
    replace: 'if (sentAt === null) return now;',
  },
  {
    name: 'last_look_without_gate',
    rule: 'P3',
    file: 'src/agent/core/session.ts',
    find: 'return this.#runs.stands(token, this.#terms?.epoch) && this.gateOpen(now);',
    replace: 'return this.#runs.stands(token, this.#terms?.epoch);',
  },
  {
    name: 'last_look_ignores_stops',
    rule: 'P10',
    file: 'src/agent/core/session.ts',
    find: 'return this.#runs.stands(token, this.#terms?.epoch) && this.gateOpen(now);',
    replace: 'return this.gateOpen(now);',
  },
  {
    name: 'gate_never_looked_at',
    rule: 'P3',
    file: 'src/agent/core/permits.ts',
    find: "return gateOpen ? null : 'gate_closed';",
    replace: 'return null;',
    also: [
      {
        file: 'src/agent/core/session.ts',
        find: 'return this.#runs.stands(token, this.#terms?.epoch) && this.gateOpen(now);',
        replace: 'return this.#runs.stands(token, this.#terms?.epoch);',
      },
    ],
  },
  {
    name: 'slots_forget_stopping_runs',
    rule: 'I4',
    file: 'src/kit/inventory.ts',
    find: "(phase === 'running' || phase === 'stopping' ? 1 : 0)",
    replace: "(phase === 'running' ? 1 : 0)",
    also: [
      {
        file: 'src/core/state.ts',
        find: "if ((entry.phase === 'running' || entry.phase === 'stopping') && !permits?.has(entry.token)) count++;",
        replace: "if (entry.phase === 'running' && !permits?.has(entry.token)) count++;",
      },
    ],
  },
  {
    name: 'slots_not_counted',
    rule: 'I4',
    file: 'src/core/start.ts',
    find: "{ name: 'no_free_slot', when: ({ occupied, session }) => occupied >= session.slots },",
    replace: '',
    also: [
      {
        file: 'src/agent/core/asks.ts',
        find: 'if (freeSlots() <= 0) return;',
        replace: '',
      },
    ],
  },
  {
    name: 'permit_to_a_cordoned_agent',
    rule: 'I4',
    file: 'src/core/start.ts',
    find: "{ name: 'cordoned', when: ({ agent }) => agent === undefined || agent.cordoned || agent.draining },",
    replace: '',
    also: [
      {
        find: 'when: (c) => offeredTo(c) !== undefined && offeredTo(c) !== c.session.epoch,',
        replace: 'when: () => false,',
      },
      { find: "{ name: 'not_offered', when: (c) => offeredTo(c) === undefined },", replace: '' },
    ],
  },
  {
    name: 'offers_whatever_the_labels',
    rule: 'I4',
    file: 'src/core/placement.ts',
    find: 'for (const name in requiredLabels) if (session.labels[name] !== requiredLabels[name]) return false;',
    replace: '',
  },
  {
    name: 'token_not_counted',
    rule: 'I1',
    file: 'src/core/draft.ts',
    find: "this.counters = { ...done(this.counters, 'leap_token'), token };",
    replace: '',
  },
  {
    name: 'epoch_not_counted',
    rule: 'I1',
    file: 'src/core/draft.ts',
    find: "this.counters = { ...done(this.counters, 'leap_epoch'), epoch };",
    replace: '',
  },
  {
    name: 'counters_not_settled',
    rule: 'I1',
    file: 'src/core/settle.ts',
    find: 'state.counters = draft.counters;',
    replace: '',
  },
  {
    // Guarded four times: by the refusals, by the offer that a permit uses up, by the edges of a task, by the store.
    name: 'running_task_permitted_again',
    rule: 'I1',
    file: 'src/core/start.ts',
    find: "{ name: 'already_permitted', when: ({ task }) => task?.state === 'running' },",
    replace: '',
    also: [
      { find: "task?.state !== 'queued' || task.notBefore !== null", replace: 'task?.endedAt !== null' },
      {
        find: "{ name: 'not_queued', when: ({ task }) => (task?.open?.lost?.heldUntil ?? null) !== null },",
        replace: '',
      },
      {
        find: 'when: (c) => offeredTo(c) !== undefined && offeredTo(c) !== c.session.epoch,',
        replace: 'when: () => false,',
      },
      { find: "{ name: 'not_offered', when: (c) => offeredTo(c) === undefined },", replace: '' },
      {
        file: 'src/core/task.ts',
        find: "confirmStart: { from: ['queued'], to: 'running' },",
        replace: "confirmStart: { from: ['queued', 'running'], to: 'running' },",
      },
    ],
  },
  {
    name: 'permit_leaves_its_nonce',
    rule: 'I4',
    file: 'src/kit/inventory.ts',
    find: '    this.dropNonce(nonce);\n    if (!this.#runs.has(token))',
    replace: '    if (!this.#runs.has(token))',
  },
  {
    name: 'one_more_of_each_key',
    rule: 'keys',
    file: 'src/core/usage.ts',
    find: 'return this.count(name) < Math.min(limit, this.limit(name));',
    replace: 'return this.count(name) <= Math.min(limit, this.limit(name));',
  },
  {
    name: 'released_tokens_of_a_key_stay',
    rule: 'keys',
    file: 'src/core/start.ts',
    find: 'draft.put({ ...other, open: null }, ...lostOutcome(other));',
    replace: 'void other;',
  },
  {
    // Guarded twice: no offer is made, and no permit given.
    name: 'queue_limits_ignored',
    rule: 'queues',
    file: 'src/core/start.ts',
    find: "(draft.queue(task?.queue ?? '')?.limit ?? Number.POSITIVE_INFINITY),",
    replace: 'Number.POSITIVE_INFINITY,',
    also: [
      {
        file: 'src/core/placement.ts',
        find: 'if (!this.#state.hasQueueRoom(queue)) continue;',
        replace: '',
      },
    ],
  },
  {
    name: 'acknowledged_aside_while_failing',
    rule: 'P1',
    file: 'src/core/ack-aside.ts',
    find: "if (pending !== null && (pending.session(epoch)?.state !== 'live' || pending.attaches(epoch))) return null;",
    replace: '',
  },
];
