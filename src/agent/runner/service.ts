import type { AgentClock } from '../clock.js';
import { Guardian } from './guardian.js';
import { HandlerRun } from './handler-run.js';
import type { Layers } from './layers.js';
import { Lifeline } from './lifeline.js';
import type { Limits } from './limits.js';
import { OutputPipes } from './pipes.js';
import { HandlerPool } from './pool.js';
import { sweepMarked } from './procfs.js';
import {
  type AgentMessage,
  type HandlerCall,
  type HandlerPoolOptions,
  INSTANCE_VARIABLE,
  MAX_RUNS,
  MAX_TOKENS_REMEMBERED,
  type RunnerMessage,
  type StartFailureCode,
} from './protocol.js';
import { Run, type RunPorts } from './run.js';
import { Sweeper } from './sweeper.js';

/** The last sweep tries so long, in milliseconds; what is left then is counted by the next agent's (P5). */
const LAST_SWEEP_MS = 30_000;

export interface ServiceOptions {
  readonly instanceId: string;
  readonly clock: AgentClock;
  readonly layers: Layers;
  readonly limits: Limits;
  /** For named pipes; made anew. */
  readonly pipesFolder: string;
  readonly send: (message: RunnerMessage) => void;
}

/** The runs of one agent, and what the agent may ask of them. */
export class RunnerService {
  private readonly runs = new Map<string, Run | HandlerRun>();
  private readonly tokens = new Set<string>();
  private readonly options: ServiceOptions;
  private readonly ports: RunPorts;
  private allOver: () => void = () => {};
  private closing = false;
  private pool: HandlerPool | null = null;

  constructor(options: ServiceOptions) {
    this.options = options;
    const { instanceId, clock, layers, limits, pipesFolder, send } = options;
    const note = (text: string): void => send({ kind: 'note', text });
    this.ports = {
      instanceId,
      clock,
      layers,
      limits,
      send,
      lifeline: new Lifeline(instanceId, note),
      pipes: new OutputPipes(pipesFolder, note),
      sweeper: new Sweeper(clock),
      guardian: new Guardian(clock, () => this.closeGate()),
      over: (runId) => this.forget(runId),
    };
  }

  /** Everything but `close`, which is the caller's: it ends the process. */
  take(message: Exclude<AgentMessage, { kind: 'close' }>): void {
    if (message.kind === 'start') return this.start(new Run(message.spec, this.ports));
    if (message.kind === 'openPool') return this.openPool(message.pool);
    if (message.kind === 'call') return this.call(message.call);
    if (message.kind === 'groupNoted') return this.pool?.noted(message.pgid);
    if (message.kind === 'renewGuardian') return this.ports.guardian.renew(message.end);
    // None: it ended while the message was under way.
    const run = this.runs.get(message.runId);
    switch (message.kind) {
      case 'go':
        return run instanceof Run ? run.go() : undefined;
      case 'abandon':
        return run?.abandon();
      case 'stop':
        return run?.stop(message.reason, message.graceMs);
      case 'outputTaken':
        return run?.taken(message.bytes);
    }
  }

  /** All that came in one piece was taken. */
  settle(): void {
    this.pool?.serve();
  }

  /** Kills every run at once, and whatever else carries the instance id. Nothing is started any more. */
  async close(): Promise<void> {
    this.closing = true;
    const { clock, instanceId } = this.options;
    const ended = new Promise<void>((resolve) => {
      this.allOver = resolve;
    });
    for (const run of this.runs.values()) run.killNow();
    // Before the sweep, which kills its children: it would complain of their deaths, and make others.
    const pooled = this.pool?.close();
    const mark = { variable: INSTANCE_VARIABLE, value: instanceId };
    await sweepMarked(clock, [mark], LAST_SWEEP_MS);
    if (this.runs.size > 0) await ended;
    await pooled;
    this.ports.guardian.close();
    this.ports.lifeline.close();
    this.ports.pipes.close();
  }

  private openPool(options: HandlerPoolOptions): void {
    const { send } = this.options;
    this.pool = new HandlerPool(options, this.ports, {
      ready: (handlers) => send({ kind: 'poolReady', handlers }),
      failed: (text) => send({ kind: 'poolFailed', text }),
    });
  }

  private call(call: HandlerCall): void {
    if (this.pool !== null) return this.start(new HandlerRun(call, this.ports, this.pool));
    const text = 'this agent has no handlers';
    this.options.send({ kind: 'startFailed', runId: call.runId, code: 'EINVAL', text });
  }

  private start(run: Run | HandlerRun): void {
    const { runId } = run.spec;
    const refuse = (code: StartFailureCode, text: string): void =>
      this.options.send({ kind: 'startFailed', runId, code, text });
    if (this.tokens.has(runId)) return refuse('DUPLICATE', `token ${runId} was started before`);
    if (this.closing || this.runs.size >= MAX_RUNS) return refuse('LIMIT', `more than ${MAX_RUNS} runs`);
    if (!run.mayStart()) return refuse('GATE_CLOSED', "the agent's gate is closed (P3)");
    this.remember(runId);
    this.runs.set(runId, run);
    run.start();
  }

  /** A permit told twice must not start twice, whatever the agent made of it. */
  private remember(runId: string): void {
    this.tokens.add(runId);
    if (this.tokens.size <= MAX_TOKENS_REMEMBERED) return;
    for (const oldest of this.tokens) {
      this.tokens.delete(oldest);
      break;
    }
  }

  /** P11: at the gate's end every `single_run` is stopped, told by the agent or not. */
  private closeGate(): void {
    for (const run of this.runs.values()) {
      if (run.spec.singleRun) run.stop('gate', run.spec.killGraceMs);
    }
  }

  private forget(runId: string): void {
    this.runs.delete(runId);
    if (this.runs.size === 0) this.allOver();
  }
}
