import type { Deferral, Resumption } from '../core/messages.js';
import type { GateEnd } from './guardian.js';

/**
 * What an agent and its runner say to each other. The runner is one child process per agent; it starts every command,
 * kills every command, and is the guardian of `single_run` (P11). Both ends are always of the same version.
 */

/** Why a run was asked to stop. `timeout` and, at the guardian's deadline, `gate` are the runner's own. */
export type StopReason = 'cancelled' | 'superseded' | 'timeout' | 'gate' | 'drain';

/** What the runner needs to know of a run of any kind. */
export interface RunTerms {
  /** The fencing token in decimal: never used twice in one runner. */
  readonly runId: string;
  /** Execution time limit in milliseconds, counted from exec by the runner; none by default. */
  readonly timeoutMs?: number;
  /** From SIGTERM to SIGKILL, in milliseconds, for stops of the runner's own (`timeout`, the guardian's `gate`). */
  readonly killGraceMs: number;
  /** P11 `single_run`: stopped at the guardian's deadline, and refused while none is told. */
  readonly singleRun: boolean;
}

/** A run of a handler as the agent asks for it. */
export interface HandlerCall extends RunTerms {
  readonly handler: string;
  readonly input: Uint8Array;
  /** Content type of the input; empty when there is none. */
  readonly inputType: string;
  /**
   * Nothing of the run may go on once its end is told: unless it succeeded, its process ends with it. For tasks that
   * must never have two copies.
   */
  readonly exclusive: boolean;
  readonly taskId: string;
  readonly tryNumber: number;
  readonly agentId: string;
  readonly queue: string;
  readonly traceparent: string;
  /** What the task has waited for; null at the start of a try. */
  readonly resumption: Resumption | null;
}

/** How a handler ended, by its own word or by that of the runner that saw its process die. */
export type HandlerOutcome =
  | { readonly kind: 'success'; readonly result: Uint8Array | null; readonly resultType: string }
  | { readonly kind: 'skipped'; readonly message: string }
  | { readonly kind: 'deferred'; readonly deferral: Deferral }
  | {
      readonly kind: 'failed';
      readonly reason: HandlerFailure;
      readonly message: string;
      /** Another try would fail the same way. */
      readonly final: boolean;
    };

/** The reasons of failed tries of handlers; documented in docs/reference/handlers.md. */
export type HandlerFailure =
  | 'handler_failed'
  | 'handler_unknown'
  | 'handler_input_invalid'
  | 'handler_output_invalid'
  | 'handler_exited'
  | 'handler_out_of_memory'
  | 'result_too_large'
  | 'invalid_deferral'
  | 'deferral_too_large';

/** What the children that handlers run in are made of. */
export interface HandlerPoolOptions {
  /** `none` is the debug mode: the agent calls them itself, and there is no pool. */
  readonly isolation: 'process' | 'none';
  /** URL of the handlers module. */
  readonly module: string;
  /** The environment of the children, beside what the runner sets. */
  readonly env: Readonly<Record<string, string>>;
  /** Children kept ready although nothing runs. */
  readonly warm: number;
  /** Children at most; runs beyond wait for one. */
  readonly most: number;
  /** Runs after which a child is replaced. */
  readonly runsPerChild: number;
  /** Memory of one child, in bytes: its heap gets three quarters, and beyond all of it the child is killed. */
  readonly memoryBytes: number;
}

/** A run of a command as the agent asks for it. */
export interface RunSpec extends RunTerms {
  /** Program and arguments; a program without a slash is looked up in the PATH of the command's environment. */
  readonly argv: readonly string[];
  /** Added to the allow-listed part of the agent's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Working directory; the agent's own by default. */
  readonly cwd?: string;
  /** Told to the command as HOLDFAST_RESULT_FILE. The runner neither makes nor reads it. */
  readonly resultFile?: string;
  /** Memory of all its processes together, beyond which they are killed; null for no limit. */
  readonly memoryLimitBytes: number | null;
  /** In thousandths of a CPU; null for no limit. */
  readonly cpuLimitMillis: number | null;
}

/** From agent to runner. */
export type AgentMessage =
  /** Makes the run's process group and holds it before exec; answered by `started` or `startFailed`. */
  | { readonly kind: 'start'; readonly spec: RunSpec }
  /** Makes the children for handlers; answered by `poolReady` or `poolFailed`. Once, before the first `call`. */
  | { readonly kind: 'openPool'; readonly pool: HandlerPoolOptions }
  /** The start is journalled: calls the handler in the first child that is free; answered by `ended` or `startFailed`. */
  | { readonly kind: 'call'; readonly call: HandlerCall }
  /** The group of a child is journalled: handlers may be called in it. */
  | { readonly kind: 'groupNoted'; readonly pgid: number }
  /** The start is journalled: exec now. */
  | { readonly kind: 'go'; readonly runId: string }
  /** The start could not be journalled, or may not be any more: end without exec. A handler that was called goes on. */
  | { readonly kind: 'abandon'; readonly runId: string }
  /** SIGTERM to the group, `graceMs`, SIGKILL. Said again: the earlier SIGKILL holds, and the first reason. */
  | { readonly kind: 'stop'; readonly runId: string; readonly reason: StopReason; readonly graceMs: number }
  /** The gate stays open until then; see `guardian.ts`. */
  | { readonly kind: 'renewGuardian'; readonly end: GateEnd }
  /** Output consumed: so much more may be sent. */
  | { readonly kind: 'outputTaken'; readonly runId: string; readonly bytes: number }
  /** Kill everything, then exit. */
  | { readonly kind: 'close' };

/**
 * From runner to agent. For each `start`: one `startFailed`, or one `started` and, after all output, one `ended`. For each
 * `call` the same without `started`.
 */
export type RunnerMessage =
  | { readonly kind: 'ready'; readonly protection: Protection; readonly limits: LimitsInForce }
  /** The runner cannot serve and exits. */
  | { readonly kind: 'refused'; readonly text: string }
  /** The first child has loaded the module and names its handlers. */
  | { readonly kind: 'poolReady'; readonly handlers: readonly string[] }
  /** The module could not be loaded. */
  | { readonly kind: 'poolFailed'; readonly text: string }
  /** A child for handlers is there: journal its group, then say so. */
  | { readonly kind: 'groupMade'; readonly pgid: number }
  /** No process of it is alive. */
  | { readonly kind: 'groupGone'; readonly pgid: number }
  | ({ readonly kind: 'progress'; readonly runId: string } & HandlerProgress)
  | ({ readonly kind: 'started' } & RunStarted)
  | ({ readonly kind: 'startFailed' } & StartFailure)
  | {
      readonly kind: 'output';
      readonly runId: string;
      readonly stream: OutputStream;
      readonly data: Uint8Array;
    }
  | ({ readonly kind: 'ended' } & RunEnd)
  /** For the agent's log. */
  | { readonly kind: 'note'; readonly text: string };

/** What a handler says of how far it has come. */
export interface HandlerProgress {
  readonly fraction: number | null;
  readonly message: string;
}

/** A call that is sent while another still runs in its child may begin behind it on these terms, or is handed back. */
export interface Following {
  /** Not later than this, so that it can be taken back from a child that is busy, and never behind a closed gate (P3). */
  readonly startBy: GateEnd;
  /** Runs of the child, as told until now, that left something to see to: none may have been added when it begins. */
  readonly noisy: number;
}

/** From runner to the child that a handler runs in. The end of the stream ends the child. */
export type ChildOrder =
  /** `number`: of this order, counted from 1. A null `following`: the child has nothing else to do. */
  | {
      readonly kind: 'call';
      readonly number: number;
      readonly call: HandlerCall;
      readonly following: Following | null;
    }
  /** Of the call with this number: hands it back if it has not begun. Else its signal is aborted. */
  | { readonly kind: 'stop'; readonly number: number; readonly reason: StopReason };

/** From the child to its runner: `loaded` or `unusable` first, then one `done` or `left` for each call. */
export type ChildWord =
  | { readonly kind: 'loaded'; readonly handlers: readonly string[] }
  | { readonly kind: 'unusable'; readonly text: string }
  | ({ readonly kind: 'said' } & HandlerProgress)
  /** These have not begun and will not. */
  | { readonly kind: 'left'; readonly numbers: readonly number[] }
  | ({ readonly kind: 'done'; readonly outcome: HandlerOutcome; readonly tookMs: number } & Traces);

/** What a run has left for its runner to see to: before that, none that follows it begins. */
export interface Traces {
  /** It has written to its standard output or standard error. */
  readonly wrote: boolean;
  /** It has started processes of its own. */
  readonly spawned: boolean;
  /** It was told to stop. */
  readonly stopped: boolean;
}

export const isNoisy = ({ wrote, spawned, stopped }: Traces): boolean => wrote || spawned || stopped;

export type OutputStream = 'stdout' | 'stderr';

/** The group exists and waits: nothing of the command has run yet. */
export interface RunStarted {
  readonly runId: string;
  /** The group's leader. */
  readonly pid: number;
  readonly pgid: number;
}

/** The run was not and will not be started. */
export interface StartFailure {
  readonly runId: string;
  readonly code: StartFailureCode;
  /** What, because, try. */
  readonly text: string;
}

/**
 * ENOENT and EACCES speak of the program, BAD_CWD of the working directory, EINVAL of the specification itself;
 * GATE_CLOSED is P3; DUPLICATE a token seen before; LIMIT too many runs; RUNNER_LOST means that there is no runner any
 * more; SPAWN whatever else the system refused.
 */
export type StartFailureCode =
  | 'ENOENT'
  | 'EACCES'
  | 'BAD_CWD'
  | 'EINVAL'
  | 'GATE_CLOSED'
  | 'DUPLICATE'
  | 'LIMIT'
  | 'RUNNER_LOST'
  | 'SPAWN';

/** Said only once no process of the run is alive and its output has been told. */
export interface RunEnd {
  readonly runId: string;
  /** False: nothing of the command ever ran (abandoned, stopped before exec, or the gate closed): P13's `never started`. */
  readonly executed: boolean;
  /** When a handler was called, by the wall clock in milliseconds; null for commands, and when it was not. */
  readonly startedAtMs: number | null;
  /**
   * When nothing of it was alive any more, by the wall clock in milliseconds. The runner's word: an agent that was
   * stopped meanwhile hears of it too late to tell.
   */
  readonly endedAtMs: number;
  /** As a shell tells it: 128 + n when signal n ended the command. */
  readonly exitCode: number;
  /** The signal's name. Inside a namespace a command that itself exits with 128 + n looks the same. */
  readonly signal: string | null;
  /** The first stop asked for while the command was alive. */
  readonly stopReason: StopReason | null;
  readonly timedOut: boolean;
  /** The memory limit, in bytes, that it was killed for; null when it was not. */
  readonly outOfMemory: number | null;
  /** How a handler ended; null for commands, and when it was stopped before it said so. */
  readonly outcome: HandlerOutcome | null;
  /** Some output was given up: an escaped process held the pipe, or wrote without end. */
  readonly outputTruncated: boolean;
}

/** What keeps commands from outliving their agent. Sweep and lifeline are in force beside the namespaces. */
export interface Protection {
  /** 1. Each run in a PID namespace: by root, by a user namespace, or not available. */
  readonly namespace: 'root' | 'user' | 'none';
  /** 2. At the agent's end, kill whatever carries its instance id in the environment. Needs /proc. */
  readonly sweep: boolean;
  /** 3. A watcher that kills the process groups when agent and runner die together. */
  readonly lifeline: boolean;
  /** The same as a sentence, for the log at start. */
  readonly text: string;
}

/** What holds commands within the limits of their tasks. */
export interface LimitsInForce {
  /** `watch` looks at the processes now and then, and kills. */
  readonly memory: 'cgroup' | 'watch' | 'none';
  readonly cpu: 'cgroup' | 'none';
  /** The same as a sentence, for the log at start. */
  readonly text: string;
}

/** `auto` takes the strongest that works; `off` is for hosts on which namespaces disturb the commands. */
export type NamespaceChoice = 'auto' | 'root' | 'user' | 'off';

/** How the agent starts its runner: one JSON argument. */
export interface RunnerArguments {
  readonly instanceId: string;
  readonly lockFile: string;
  readonly namespace: NamespaceChoice;
}

/** Set by the runner in every command's environment; what sweeps look for. */
export const INSTANCE_VARIABLE = 'HOLDFAST_AGENT_INSTANCE';
/** INSTANCE/RUN: what the sweep at one run's end looks for. */
export const RUN_VARIABLE = 'HOLDFAST_RUN';
export const RESULT_FILE_VARIABLE = 'HOLDFAST_RESULT_FILE';

/** The descriptor on which the runner finds its agent. */
export const CHANNEL_FD = 3;
/** The descriptor on which a handler's child finds its runner; 3 is its leader's, for the word. */
export const CHILD_FD = 4;

/** The descriptor on which it answers: a pipe of its own, so that the runner can look into it at any time. */
export const CHILD_WORD_FD = 5;

/** Runs held by one runner; the next start is refused with LIMIT. */
export const MAX_RUNS = 4_096;
/** Tokens remembered so as to start none twice; the oldest are forgotten first. */
export const MAX_TOKENS_REMEMBERED = 65_536;
/** Output of one run that the agent has not consumed, in bytes; beyond it the runner stops reading its pipes. */
export const OUTPUT_WINDOW_BYTES = 256 * 1024;
/** Output still read, window or not, once the run's processes are dead, in bytes; the rest is given up. */
export const OUTPUT_TAIL_BYTES = 1024 * 1024;
/** Wait for the end of output pipes once the run's processes are dead, in milliseconds. */
export const OUTPUT_TAIL_MS = 1_000;
/** A frame between agent and runner, in bytes; a longer one is a bug and ends the process that meets it. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024;
