import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import type { AgentId, Epoch, InstanceId, Token } from '../kit/ids.js';
import { NAME_PATTERN } from '../kit/ids.js';
import type { Log } from '../kit/log.js';
import { VERSION } from '../kit/version.js';
import type { TlsOptions } from '../wire/tls/dial.js';
import { drawId, realClock, realRandom, type Timer } from './clock.js';
import type { AgentEvent, Effect } from './core/events.js';
import type { Instant } from './core/gate.js';
import type { Identity } from './core/messages.js';
import { AgentSession } from './core/session.js';
import { Link, type LinkListener } from './link.js';
import { logNote } from './notes.js';
import type { AgentEnd } from './options.js';
import { lostReport, reportFromJson } from './reports.js';
import { type TakeOver, takeOver } from './state/index.js';
import { requestsOf } from './translate.js';

/** While a heartbeat is under way, the ends of runs wait so long for its answer, in milliseconds. */
const GATHER_MS = 5;

/** What the agents of every kind are started with. */
export interface LoopOptions {
  /** HOST:PORT of the coordinator. */
  readonly coordinator: string;
  /** How the coordinator's TLS is spoken. Default: plaintext. */
  readonly tls?: TlsOptions | null | undefined;
  readonly agentId: string;
  /** Journal and lock; one agent each. */
  readonly stateDirectory: string;
  readonly log: Log;
}

/** Effects that depend on what the agent does; those of the stream and of the journal are the loop's own. */
export type KindEffect = RunEffect | TriggerEffect;
export type RunEffect = Extract<Effect, { readonly kind: 'start' | 'stop_run' | 'renew_guardian' }>;
export type TriggerEffect = Extract<
  Effect,
  { readonly kind: 'start_trigger' | 'stop_trigger' | 'stop_triggers' }
>;

/** What makes an agent one of its kind. */
export interface LoopHost extends Omit<LinkListener, 'happened'> {
  perform(effect: KindEffect): void;
  /** A new stream has been accepted. */
  connected(): void;
  /** The stream is gone, or is about to be ended. */
  disconnected(): void;
  /** Nothing new is started any more. */
  draining(): void;
  /** Bytes that are not acknowledged yet: the goodbye waits for them. */
  readonly waitingBytes: number;
  /** Ends whatever the agent does; called once, before the state directory is let go. */
  close(): Promise<void>;
}

/** Makes a state directory this process's own. Throws when a name is none, or when the directory is in use. */
export async function takeState(
  { agentId, stateDirectory, log }: LoopOptions,
  names: readonly string[] = [],
): Promise<TakenState> {
  for (const name of [agentId, ...names]) {
    if (!NAME_PATTERN.test(name))
      throw new Error(`${JSON.stringify(name)} is not a name: use A-Z a-z 0-9 . _ -`);
  }
  mkdirSync(stateDirectory, { recursive: true });
  const instanceId = drawId();
  const taken = await takeOver({ stateDir: stateDirectory, instanceId, clock: realClock, log });
  return { ...taken, instanceId: instanceId as InstanceId };
}

export type TakenState = TakeOver & { readonly instanceId: InstanceId };

/**
 * The turns of an agent's process: the pure session in the middle, the link and the journal around it. Events of one turn
 * are taken together, and what they lead to is said in one heartbeat at its end. What the agent does is its host's.
 */
export class AgentLoop {
  readonly ended: Promise<AgentEnd>;
  readonly session: AgentSession;
  readonly link: Link;
  readonly #log: Log;
  readonly #taken: TakenState;
  readonly #host: LoopHost;
  #timer: Timer | null = null;
  /** The number of the newest heartbeat, until it is acknowledged. */
  #unanswered = 0;
  /** Until the ends of runs are said, whatever is under way. */
  #gathering: Timer | null = null;
  #flushing = false;
  #loopLagMs = 0;
  #over = false;
  #end: (end: AgentEnd) => void = () => {};

  constructor(options: LoopOptions, identity: Identity, taken: TakenState, host: LoopHost) {
    this.#log = options.log;
    this.#taken = taken;
    this.#host = host;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.session = new AgentSession(identity, recoveredFrom(taken), realRandom);
    const listener: LinkListener = {
      happened: (event) => this.happened(event),
      logAcknowledged: (...acknowledged) => host.logAcknowledged(...acknowledged),
      bundleTold: (told) => host.bundleTold(told),
    };
    this.link = new Link(options.coordinator, realClock, listener, options.tls ?? null);
  }

  /** Begins to dial. */
  begin(): void {
    this.#perform(this.session.begin());
  }

  now(): Instant {
    return { mono: realClock.monoMs(), wall: realClock.wallMs(), boot: realClock.bootMs() };
  }

  happened(event: AgentEvent): void {
    if (this.#over) return;
    if (event.kind === 'stream_lost' || event.kind === 'reconnect') this.#host.disconnected();
    this.#perform(this.session.step(event, this.now()));
    if (event.kind === 'welcome') this.#host.connected();
    if (event.kind === 'ack' && event.ack.received >= this.#unanswered) this.#unanswered = 0;
    if (event.kind === 'run_ended' && this.#unanswered > 0) this.#gather();
    else this.flushSoon();
  }

  /**
   * The coordinator takes what comes while it commits into one next commit, so ends that wait for its answer lose nothing
   * and share its messages. Not for long: the answer may wait for a slow disk.
   */
  #gather(): void {
    this.#gathering ??= realClock.setTimer(GATHER_MS, () => {
      this.#gathering = null;
      this.flushSoon();
    });
  }

  /** At the end of the turn: one heartbeat for all that happened in it. */
  flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#gathering?.cancel();
    this.#gathering = null;
    realClock.soon(() => {
      this.#flushing = false;
      if (this.#over) return;
      // The ends of this turn are journalled before they are first said: the next process says them if this one dies.
      const written = this.#taken.journal.flush();
      if (written.kind === 'refused') this.#log.error({}, written.text);
      this.#perform(this.session.step({ kind: 'output', pending: this.#host.waitingBytes > 0 }, this.now()));
      this.#perform(this.session.flush(this.now()));
      this.#setTimer();
    });
  }

  #setTimer(): void {
    this.#timer?.cancel();
    const at = this.session.nextTick();
    if (at === null || this.#over) return;
    const wait = Math.max(0, (at as number) - (realClock.monoMs() as number));
    this.#timer = realClock.setTimer(wait, () => {
      this.#loopLagMs = Math.max(0, (realClock.monoMs() as number) - (at as number));
      this.happened({ kind: 'tick' });
    });
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#performOne(effect);
  }

  #performOne(effect: Effect): void {
    switch (effect.kind) {
      case 'dial':
        this.#unanswered = 0;
        return this.link.dial(effect.streamNo, effect.afterMs);
      case 'hang_up':
        this.#host.disconnected();
        return this.link.hangUp();
      case 'send':
        if (effect.message.kind === 'heartbeat') this.#unanswered = effect.message.beat.seq;
        // failpoint: FP4 before
        // failpoint: FP10 before
        this.link.send(
          effect.streamNo,
          requestsOf(effect.message, {
            loopLagMs: this.#loopLagMs,
            logBytesWaiting: this.#host.waitingBytes,
            unknownArms: this.link.unknownArms,
          }),
        );
        // failpoint: FP4 after
        // failpoint: FP10 after
        return;
      case 'start':
      case 'stop_run':
      case 'renew_guardian':
      case 'start_trigger':
      case 'stop_trigger':
      case 'stop_triggers':
        return this.#host.perform(effect);
      case 'forget_report':
        this.#taken.journal.acknowledge(effect.token);
        return;
      case 'remember':
        this.#taken.journal.raiseHighest(effect.highestToken, effect.highestEpoch);
        return;
      case 'note':
        if (effect.note.kind === 'draining') this.#host.draining();
        return logNote(this.#log, effect.note);
      case 'exit':
        return this.finish({ kind: 'drained' });
    }
  }

  /** Ends the agent: the stream, what it does, then its hold on the state directory. The first call decides how. */
  finish(end: AgentEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#gathering?.cancel();
    this.link.hangUp();
    this.#host.close().then(
      () => this.#released(end),
      (error: unknown) => this.#released({ kind: 'fault', error: error as Error }),
    );
  }

  #released(end: AgentEnd): void {
    this.#taken.journal.close();
    this.#taken.lock.release();
    this.#end(end);
  }
}

/** What a Hello says of an agent that is not said by its kind. */
export function identityOf(
  agentId: string,
  { instanceId, lock, proof }: TakenState,
  its: Pick<Identity, 'kind' | 'queues' | 'slots' | 'labels' | 'handlers' | 'bundles' | 'triggerKinds'>,
): Identity {
  const { predecessor } = proof;
  return {
    ...its,
    agentId: agentId as AgentId,
    instanceId,
    software: `holdfast-${its.kind.replace('_', '-')}/${VERSION}`,
    hostname: hostname(),
    process: { bootId: lock.bootId, lockDevice: lock.device, lockInode: lock.inode, pid: process.pid },
    proof:
      proof.proven && predecessor !== null
        ? {
            instanceId: predecessor.instanceId as InstanceId,
            bootId: predecessor.bootId,
            lockDevice: predecessor.device,
            lockInode: predecessor.inode,
          }
        : null,
  };
}

/** Reports of earlier instances; runs without an end are lost, which may be said only once they are provably gone. */
function recoveredFrom({ journal, proof }: TakeOver) {
  const { highestToken, highestEpoch, runs, reports } = journal.recovered;
  const lost = proof.proven ? runs.map((run) => lostReport(run, realClock.wallMs())) : [];
  return {
    highestToken: highestToken as Token,
    highestEpoch: highestEpoch as Epoch,
    reports: [...reports.flatMap(({ report }) => reportFromJson(report) ?? []), ...lost],
  };
}
