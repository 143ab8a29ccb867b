import type { Effect } from '../../../src/agent/core/events.js';
import type { Ack, Beat, Permit, Report, StartRequest, Verdict } from '../../../src/agent/core/messages.js';
import type { Epoch, TaskId, Token } from '../../../src/kit/ids.js';
import { Mirror } from './mirror.js';
import { GATE, H, nonce, permitOf, reportOf, Scene, token } from './scene.js';

/** One thing that happens: what, and a number that chooses among its possibilities. */
export interface Step {
  readonly what: What;
  readonly pick: number;
}
export const WHATS = [
  ...(['offer', 'answer', 'acknowledge', 'stop', 'void', 'full', 'repeat', 'end', 'deliver'] as const),
  ...(['flush', 'pass', 'cut', 'open', 'greet', 'cordon', 'withdraw'] as const),
];
type What = (typeof WHATS)[number];

const LARGE = new Uint8Array(200 * 1_024);

/**
 * A coordinator that answers by chance, but never against the protocol, over a stream that delays what it says. It keeps
 * the mirror of the agent's inventory, and compares after every heartbeat.
 */
export class RandomCoordinator {
  readonly scene = new Scene({ identity: { slots: 3 }, random: () => 0.5 });
  readonly mirror = new Mirror();
  readonly faults: string[] = [];
  /** Said and not delivered yet. */
  #onTheWay: Ack[] = [];
  #open = false;
  #greeting = false;
  #tasks = 0;
  #tokens = 100;
  #received = 1;
  readonly #asks = new Map<bigint, StartRequest>();
  /** Permits whose tokens are open. */
  readonly #permits = new Map<Token, Permit>();
  readonly #reports = new Map<Token, Report>();
  readonly #running = new Set<Token>();
  readonly #startedOnce = new Set<Token>();
  readonly #neverStarted = new Set<Token>();
  /** When each heartbeat of the newest stream was sent, and the sending of the newest acknowledged one. */
  #sentAt = new Map<number, number>();
  #gateFrom: number | null = null;

  happen({ what, pick }: Step): void {
    const { scene } = this;
    switch (what) {
      case 'offer':
        return this.#say({ offers: [{ taskId: `t${++this.#tasks}` as TaskId, queue: 'default' }] });
      case 'withdraw':
        return this.#say({ withdrawals: [`t${this.#tasks}` as TaskId] });
      case 'answer':
        return this.#answer(pick);
      case 'acknowledge':
        return this.#acknowledge(pick);
      case 'stop': {
        const of = nth([...this.#permits.keys()], pick);
        const stop = of === undefined ? [] : [{ token: of, reason: 'superseded' as const }];
        return this.#say(pick % 2 === 0 ? { stops: stop } : { cancellations: stop });
      }
      case 'void':
        return this.#void(pick);
      case 'full':
        return this.#say({ sendFullInventory: true });
      case 'repeat': {
        const permit = nth([...this.#permits.values()], pick);
        return permit === undefined ? undefined : this.#say({ permits: [permit] });
      }
      case 'cordon':
        return this.#say({ directive: { cordoned: pick % 2 === 0, draining: false, drainTimeoutMs: null } });
      case 'deliver':
        return this.#deliver(1 + (pick % 3));
      case 'end':
        return this.#end(pick);
      case 'flush':
        return this.#see(scene.flush());
      case 'pass':
        scene.advance(pick % 5 === 0 ? H : 100);
        return this.#see(scene.step({ kind: 'tick' }));
      case 'cut':
        if (!this.#open && !this.#greeting) return;
        return this.#see(
          scene.step({ kind: 'stream_lost', streamNo: scene.streamNo, denied: false, why: 'chance' }),
        );
      case 'open':
        return this.#see(scene.step({ kind: 'stream_opened', streamNo: scene.streamNo }));
      case 'greet':
        return this.#welcome(pick);
    }
  }

  /** Everything that was said is heard, and everything heard is answered: at rest both sides must agree. */
  rest(): void {
    const order: readonly What[] = [
      'open',
      'greet',
      'deliver',
      'flush',
      'acknowledge',
      'deliver',
      'flush',
      'flush',
    ];
    for (const what of order) this.happen({ what, pick: 2 });
    if (this.#open) this.#deliver(this.#onTheWay.length);
    for (let i = 0; i < 3; i++) this.happen({ what: 'flush', pick: 0 });
  }

  // — what the agent does —

  #see(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') this.#heard(effect.message);
      else if (effect.kind === 'start') this.#started(effect.permit);
      else if (effect.kind === 'dial' || effect.kind === 'hang_up') this.#down();
    }
  }

  #down(): void {
    this.#open = false;
    this.#greeting = false;
    this.#onTheWay = [];
  }

  #heard(message: Extract<Effect, { kind: 'send' }>['message']): void {
    const { mono } = this.scene;
    if (message.kind === 'goodbye') return this.#fault('a goodbye that nobody asked for');
    if (message.kind === 'hello') {
      this.#greeting = true;
      this.#received = 1;
      this.#sentAt = new Map([[1, mono]]);
      this.#asks.clear();
      for (const report of message.hello.reports) this.#reports.set(report.token, report);
      return this.mirror.hello(message.hello);
    }
    const { beat } = message;
    if (beat.seq !== this.#received + 1) this.#fault(`seq ${beat.seq} after ${this.#received}`);
    if (beat.applied > this.scene.number) this.#fault(`applied ${beat.applied} of ${this.scene.number}`);
    this.#received = beat.seq;
    this.#sentAt.set(beat.seq, mono);
    for (const request of beat.startRequests) this.#asks.set(request.nonce, request);
    for (const report of beat.reports) {
      this.#reports.set(report.token, report);
      if (report.kind === 'never_started') this.#neverStarted.add(report.token);
      if (report.kind === 'never_started' && this.#startedOnce.has(report.token))
        this.#fault(`token ${report.token} was started, then said not to be`);
    }
    this.mirror.beat(beat);
    this.#compare(beat);
  }

  #compare({ seq, inventoryCount, inventoryHash }: Beat): void {
    const { held } = this.mirror;
    if (held.count === inventoryCount && held.hash === inventoryHash) return;
    const theirs = this.scene.session.inventory
      .entries()
      .map((e) => `${e.phase} ${'token' in e ? e.token : e.nonce}`);
    const ours = held.entries.map((e) => `${e.phase} ${e.token} ${e.nonce}`);
    this.#fault(`heartbeat ${seq}: the agent holds ${theirs.join()}, the mirror ${ours.join()}`);
  }

  #started(permit: Permit): void {
    const { mono } = this.scene;
    if (this.#startedOnce.has(permit.token)) this.#fault(`token ${permit.token} was started twice`);
    if (this.#neverStarted.has(permit.token)) this.#fault(`token ${permit.token} was said never to start`);
    if (this.#gateFrom === null || mono - this.#gateFrom >= GATE) this.#fault('a start with a closed gate');
    this.#startedOnce.add(permit.token);
    this.#running.add(permit.token);
  }

  #end(pick: number): void {
    const of = nth([...this.#running], pick);
    if (of === undefined) return;
    this.#running.delete(of);
    const kind = (['success', 'failed', 'killed', 'lost', 'never_started'] as const)[pick % 5] ?? 'success';
    if (kind === 'never_started') this.#startedOnce.delete(of);
    const result = pick % 7 === 0 ? LARGE : null;
    const taskId = this.#permits.get(of)?.taskId ?? ('t' as TaskId);
    this.#see(this.scene.step({ kind: 'run_ended', report: reportOf(of, { kind, result, taskId }) }));
  }

  // — what the coordinator says —

  #say(change: Partial<Ack>): void {
    if (!this.#open) return;
    const ack = this.scene.ackOf({ received: this.#received, ...change });
    this.mirror.told(ack);
    this.#onTheWay.push(ack);
  }

  #deliver(count: number): void {
    for (const ack of this.#onTheWay.splice(0, count)) {
      const sentAt = this.#sentAt.get(ack.received);
      if (sentAt !== undefined) this.#gateFrom = Math.max(this.#gateFrom ?? 0, sentAt);
      this.#see(this.scene.step({ kind: 'ack', streamNo: this.scene.streamNo, ack }));
    }
  }

  #answer(pick: number): void {
    const request = nth([...this.#asks.values()], pick);
    if (request === undefined || !this.#open) return;
    const open = [...this.#permits.values()].find((permit) => permit.nonce === request.nonce);
    this.#asks.delete(request.nonce);
    if (open !== undefined) return this.#say({ permits: [open] });
    if (pick % 3 === 0) return this.#say({ refusals: [{ nonce: request.nonce, reason: 'not_offered' }] });
    const { epoch } = this.scene;
    const permit = permitOf({
      nonce: request.nonce,
      token: token(++this.#tokens),
      taskId: request.taskId,
      epoch,
      partitionPolicy: pick % 4 === 0 ? 'single_run' : 'reassign',
    });
    this.#permits.set(permit.token, permit);
    this.#say({ permits: [permit] });
  }

  /** Acknowledges reports; their tokens are closed, and never told again. */
  #acknowledge(pick: number): void {
    if (!this.#open) return;
    const tokens = [...this.#reports.keys()].slice(0, 1 + (pick % 3));
    for (const of of tokens) this.#close(of);
    const disposition = pick % 4 === 0 ? 'stale' : 'recorded';
    this.#say({ acknowledgements: tokens.map((of) => ({ token: of, disposition })) });
  }

  #close(of: Token): void {
    this.#reports.delete(of);
    this.#permits.delete(of);
  }

  /** A held token, an open one, or one that was drawn and never told. */
  #void(pick: number): void {
    const of = pick % 3 === 0 ? token(++this.#tokens) : nth([...this.#permits.keys()], pick);
    if (of !== undefined) this.#say({ voidTokens: [of] });
  }

  #welcome(pick: number): void {
    const { scene, mirror } = this;
    if (!this.#greeting) return;
    this.#greeting = false;
    this.#open = true;
    if (pick % 3 === 0) scene.epoch = (scene.epoch + 1n) as Epoch;
    const told: Permit[] = [];
    const verdicts = mirror.held.entries.map((entry, i): Verdict => {
      const of = token(BigInt(entry.token));
      if (entry.phase === 'INVENTORY_PHASE_ASKED') {
        const permit = [...this.#permits.values()].find((p) => String(p.nonce) === entry.nonce);
        if (permit?.epoch === scene.epoch) told.push(permit);
        if (permit?.epoch === scene.epoch) return { kind: 'keep' };
        if (permit !== undefined) this.#permits.delete(permit.token);
        return { kind: 'never_start', token: token(0), nonce: nonce(BigInt(entry.nonce)) };
      }
      if (this.#reports.has(of)) return { kind: 'recorded', token: of };
      return (pick + i) % 2 === 0 ? { kind: 'keep' } : { kind: 'stop', token: of, reason: 'superseded' };
    });
    const recorded = verdicts.flatMap((verdict) => (verdict.kind === 'recorded' ? [verdict.token] : []));
    for (const of of recorded) this.#close(of);
    mirror.welcome(verdicts);
    this.#gateFrom = Math.max(this.#gateFrom ?? 0, this.#sentAt.get(1) ?? 0);
    const acknowledgements = recorded.map((of) => ({ token: of, disposition: 'recorded' as const }));
    // Some of the time the turn goes on: an acknowledgement follows before the agent speaks.
    this.#see(scene.greeted({ acknowledgements }, verdicts, pick % 2 === 0));
    if (told.length > 0) this.#say({ permits: told });
  }

  #fault(text: string): void {
    this.faults.push(text);
  }
}

function nth<T>(list: readonly T[], pick: number): T | undefined {
  return list.length === 0 ? undefined : list[pick % list.length];
}
