import type { BundleTold } from '../../agent/core/bundle-upload.js';
import type { AgentEvent, Effect } from '../../agent/core/events.js';
import type { Identity, Permit, Report, Up } from '../../agent/core/messages.js';
import { AgentSession } from '../../agent/core/session.js';
import { leaseTerms, startPauseMs } from '../../core/lease.js';
import type { TaskId, Token } from '../../kit/ids.js';
import type { AgentWorld } from './agent-world.js';
import type { Duty } from './dags/duty.js';
import type { Scheduled } from './events.js';
import { type Host, Process } from './host.js';
import { freshJournal, type Journal } from './journal.js';
import { Connection, type Weather } from './network.js';
import { Pulse } from './pulse.js';
import { type Gate, type RunEnd, Runner } from './runner.js';
import type { AgentSettings } from './scripts.js';

const EXEC_MS = 3;
/** Before the last look on a machine that swaps, for one start in 16. */
const SLOW_EXEC_MS = 30_000;
const CONNECT_LIMIT_MS = 10_000;
/** How long packets of an old stream may travel when the network is back. */
const STRAGGLING_MS = 15_000;

/** One agent: its machine, its process with the real agent core, its runner with the runs, its state directory. */
export class AgentNode {
  readonly settings: AgentSettings;
  readonly host: Host;
  readonly weather: Weather;
  readonly #world: AgentWorld;
  #journal: Journal;
  #process: Process | null = null;
  #session: AgentSession | null = null;
  #connection: { readonly streamNo: bigint; readonly wire: Connection } | null = null;
  /** Streams that it has left with something of them still on its way. */
  readonly #left: Connection[] = [];
  #dialing: Scheduled | null = null;
  /** Number of its newest stream. */
  #dialed = 0n;
  #tick: Scheduled | null = null;
  #flushing = false;
  #runner: Runner | null = null;
  #duty: Duty | null = null;
  #pulse = new Pulse();
  /** Drained: stays down until it is started again. */
  drained = false;
  #draining = false;
  /** Permits between their arrival and the agent's last look. */
  readonly #starting = new Map<Token, Permit>();

  constructor(settings: AgentSettings, host: Host, weather: Weather, world: AgentWorld) {
    this.settings = settings;
    this.host = host;
    this.weather = weather;
    this.#world = world;
    this.#journal = freshJournal(world.newInode());
  }

  get up(): boolean {
    return this.#process !== null;
  }

  /** Nothing is wrong with it, as far as its machine can see. */
  get isWell(): boolean {
    return this.up && !this.paused && !this.#draining && this.#connection !== null;
  }

  /** How many permits it is about to start. */
  get starting(): number {
    return this.#starting.size;
  }

  /** Runs that it has, and permits that it is about to start. */
  get busy(): number {
    return (this.#runner?.size ?? 0) + this.starting;
  }

  /** Absent while the agent is down. */
  get runner(): Runner | null {
    return this.#runner;
  }

  /** Absent while the agent is down, and of workers. */
  get duty(): Duty | null {
    return this.#duty;
  }

  /** Its gate, by the messages that have passed and its machine's clocks. */
  get gate(): Gate {
    return this.#pulse.gate(this.host.instant());
  }

  get paused(): boolean {
    return this.#process?.paused ?? false;
  }

  /** Starts the process; with `fresh` on an empty state directory, so that it can prove nothing. */
  start(fresh: boolean): void {
    if (this.#process !== null || this.host.suspended) return;
    if (fresh) this.#journal = freshJournal(this.#world.newInode());
    const journal = this.#journal;
    const instanceId = this.#world.newInstanceId();
    const lock = { bootId: 'boot', lockDevice: 1n, lockInode: journal.lockInode };
    const { agentId } = this.settings;
    const identity: Identity = {
      ...{ ...this.settings, instanceId, software: 'sim', hostname: agentId },
      process: { ...lock, pid: 1 },
      proof: journal.instanceId === null ? null : { ...lock, instanceId: journal.instanceId },
    };
    const lost = [...journal.started].map(([token, { taskId }]) =>
      this.#report(token, taskId, 'lost', 'agent_lost'),
    );
    journal.started.clear();
    for (const report of lost) journal.ended.set(report.token, report);
    const { highestToken, highestEpoch } = journal;
    journal.instanceId = instanceId;
    this.drained = false;
    this.#draining = false;
    const process = new Process(this.host);
    this.#process = process;
    this.#runner = this.#newRunner(process);
    this.#pulse = new Pulse();
    this.#duty = this.#world.dutyOf(this.settings, process, {
      gate: () => this.gate,
      happened: (event) => this.#happened(event),
      send: (chunk) => this.#connection?.wire.sendUp({ kind: 'bundle_chunk', chunk }),
    });
    const recovered = { highestToken, highestEpoch, reports: [...journal.ended.values()] };
    this.#session = new AgentSession(identity, recovered, this.#world.random);
    this.#perform(this.#session.begin());
  }

  /** kill -9 of the process: its runs die with it (the layers of the runner), its socket is reset. */
  kill(silently: boolean): void {
    if (this.#process === null) return;
    this.#process.kill();
    this.#process = null;
    this.#session = null;
    this.#tick?.cancel();
    this.#dialing?.cancel();
    if (silently) this.#connection?.wire.vanishAgent();
    else this.#connection?.wire.closeByAgent();
    this.#connection = null;
    this.#starting.clear();
    this.#runner?.die();
    this.#runner = null;
    this.#duty = null;
  }

  /** kill -9 of the runner alone: what it ran is gone; the agent says what it knows of it, and ends (as the real one). */
  killRunner(): void {
    this.#runner?.die();
    this.#process?.run(() => {
      for (const { token, taskId } of this.#starting.values())
        this.#journal.ended.set(token, this.#report(token, taskId, 'never_started', 'runner_lost'));
      this.kill(false);
    });
  }

  pause(): void {
    this.#process?.pause();
  }

  resume(): void {
    this.#process?.resume();
  }

  suspend(): void {
    this.host.suspend();
  }

  wake(): void {
    this.host.wake();
    this.#runner?.wake();
    this.#process?.drain();
  }

  drain(timeoutMs: number | null): void {
    this.#draining = true;
    this.#happened({ kind: 'drain', timeoutMs });
  }

  weatherChanged(): void {
    this.#connection?.wire.weatherChanged();
    // What was held back of streams that it has left may come after the Hello of the next one.
    for (const wire of this.#left.splice(0))
      this.host.events.after(this.#world.random() * STRAGGLING_MS, () => wire.weatherChanged());
  }

  /** The stream breaks under both ends: a proxy, a reset. */
  breakStream(): void {
    const connection = this.#connection;
    if (connection === null) return;
    connection.wire.closeByAgent();
    this.#lost(connection.streamNo, 'reset');
  }

  #happened(event: AgentEvent): void {
    this.#process?.run(() => {
      if (this.#session === null) return;
      this.#pulse.heard(event);
      const isLost = event.kind === 'stream_lost' || event.kind === 'reconnect';
      if (isLost && event.streamNo === this.#dialed) this.#duty?.disconnected();
      try {
        this.#perform(this.#session.step(event, this.host.instant()));
      } catch (error) {
        this.#world.auditor.broke(this.settings.agentId, error as Error);
        return this.kill(false);
      }
      this.#flushSoon();
    });
  }

  /** The end of a turn. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    const process = this.#process;
    this.host.events.after(0, () => {
      this.#flushing = false;
      process?.run(() => {
        if (this.#session === null || this.#process !== process) return;
        this.#perform(this.#session.flush(this.host.instant()));
        this.#setTick();
      });
    });
  }

  #setTick(): void {
    this.#tick?.cancel();
    const at = this.#session?.nextTick() ?? null;
    if (at === null) return;
    const process = this.#process;
    this.#tick = this.host.timer((at as number) - (this.host.mono() as number), () => {
      if (this.#process === process) this.#happened({ kind: 'tick' });
    });
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#performOne(effect);
  }

  #performOne(effect: Effect): void {
    switch (effect.kind) {
      case 'dial':
        return this.#dial(effect.streamNo, effect.afterMs);
      case 'hang_up':
        this.#duty?.disconnected();
        return this.#leave();
      case 'send':
        return this.#send(effect.streamNo, effect.message);
      case 'start':
        return this.#startRun(effect.permit);
      case 'stop_run':
        return this.#runner?.ask(effect.token, effect.reason, effect.graceMs);
      case 'forget_report':
        this.#journal.ended.delete(effect.token);
        this.#world.auditor.forgot(this.settings.agentId, effect.token);
        return;
      case 'remember':
        if (effect.highestToken > this.#journal.highestToken)
          this.#journal.highestToken = effect.highestToken;
        if (effect.highestEpoch > this.#journal.highestEpoch)
          this.#journal.highestEpoch = effect.highestEpoch;
        return;
      case 'renew_guardian':
        this.#duty?.perform(effect);
        return this.#runner?.renewGuardian(effect.deadline);
      case 'note':
        this.#world.auditor.noted(this.settings.agentId, effect.note);
        return;
      case 'exit':
        this.drained = true;
        return this.kill(false);
      case 'start_trigger':
      case 'stop_trigger':
      case 'stop_triggers':
        return this.#duty?.perform(effect);
    }
  }

  // — the link —

  #dial(streamNo: bigint, afterMs: number): void {
    this.#dialed = streamNo;
    this.#leave();
    this.#dialing?.cancel();
    const process = this.#process;
    if (process === null) return;
    this.#dialing = process.timer(afterMs, () => this.#connect(streamNo, process));
  }

  #leave(): void {
    const wire = this.#connection?.wire;
    if (wire === undefined) return;
    wire.leaveByAgent();
    if (wire.isHeldBack) this.#left.push(wire);
    this.#connection = null;
  }

  #connect(streamNo: bigint, process: Process): void {
    const { random } = this.#world;
    const fail = (ms: number, why: string) => {
      this.#dialing = process.timer(ms, () => this.#lost(streamNo, why));
    };
    if (this.weather.cutUp || this.weather.cutDown) return fail(CONNECT_LIMIT_MS, 'no connection');
    const wire = new Connection(this.host.events, random, this.weather);
    const end = this.#world.connect(wire, this.settings.agentId);
    if (end === null) return fail(5, 'refused');
    this.#dialing = process.timer(2 * this.weather.delay + random() * this.weather.jitter, () => {
      this.#connection = { streamNo, wire };
      wire.attach(
        {
          // Streams outlive the process that left them; its successor counts its own.
          receive: (message) => this.#process === process && this.#receive(streamNo, message),
          closed: () => this.#process === process && this.#lost(streamNo, 'closed'),
        },
        end,
      );
      this.#happened({ kind: 'stream_opened', streamNo });
    });
  }

  #send(streamNo: bigint, message: Up): void {
    this.#pulse.sent(streamNo, message, this.host.instant());
    if (this.#connection?.streamNo === streamNo) this.#connection.wire.sendUp(message);
  }

  #receive(streamNo: bigint, message: unknown): void {
    const down = message as { readonly kind: string; readonly told: BundleTold };
    if (down.kind === 'bundle') this.#process?.run(() => this.#told(streamNo, down.told));
    else this.#happened({ streamNo, ...(message as object) } as AgentEvent);
  }

  /** What comes late on a stream that it has left is of no session that it has. */
  #told(streamNo: bigint, told: BundleTold): void {
    if (this.#connection?.streamNo === streamNo) this.#duty?.told(told);
  }

  #lost(streamNo: bigint, why: string): void {
    if (this.#connection?.streamNo === streamNo) this.#connection = null;
    this.#happened({ kind: 'stream_lost', streamNo, denied: false, why });
  }

  // — the runner: beside the agent's process, stopped by neither its pauses nor its waits —

  #newRunner(process: Process): Runner {
    const { auditor, policy } = this.#world;
    return new Runner(this.host, {
      ...{ agentId: this.settings.agentId, auditor },
      pauseBoundMs: startPauseMs(leaseTerms(policy.heartbeatIntervalMs).leaseMs),
      script: (taskId) => this.#world.script(taskId),
      gate: () => this.gate,
      over: (permit, end) => process.run(() => this.#over(permit, end)),
      deadly: () => this.#world.killed(this),
    });
  }

  #startRun(permit: Permit): void {
    const process = this.#process;
    const runner = this.#runner;
    const { token, taskId } = permit;
    const limitMs = this.#world.random() < 1 / 16 ? SLOW_EXEC_MS : EXEC_MS;
    this.#starting.set(token, permit);
    process?.timer(EXEC_MS + this.#world.random() * limitMs, () => {
      // Without its runner it starts nothing more.
      if (this.#process !== process || this.#session === null || !runner?.alive) return;
      this.#starting.delete(token);
      if (!this.#session.mayStart(token, this.host.instant()))
        return this.#over(permit, { kind: 'never_started', reason: 'gate_closed' });
      this.#world.auditor.letPass(this.settings.agentId, permit, this.gate);
      this.#journal.started.set(token, { taskId, atMs: this.host.wall() as number });
      if (token > this.#journal.highestToken) this.#journal.highestToken = token;
      runner.start(permit);
    });
  }

  /** The run's process group is gone, or never was: journals and reports it. */
  #over({ token, taskId }: Permit, { kind, reason, result = null, deferral }: RunEnd): void {
    const given = { result, resultType: result === null ? '' : 'application/json', deferral };
    const report = { ...this.#report(token, taskId, kind, reason), ...given };
    this.#journal.started.delete(token);
    this.#journal.ended.set(token, report);
    this.#happened({ kind: 'run_ended', report });
  }

  #report(token: Token, taskId: TaskId, kind: Report['kind'], reason: string): Report {
    return {
      ...{ token, taskId, kind, reason, message: '', resultType: '', result: null, final: false },
      exitCode: kind === 'success' ? 0 : null,
      startedAtMs: this.#journal.started.get(token)?.atMs ?? null,
      endedAtMs: this.host.wall() as number,
    };
  }
}
