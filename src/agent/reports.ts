import { formatBytes } from '../kit/amount.js';
import type { TaskId, Token } from '../kit/ids.js';
import { LIMITS } from '../wire/limits.js';
import type { Deferral, Report, ReportKind } from './core/messages.js';
import { DEFER_EXIT_CODE, type DeferralFault, isDeferral, readDeferral, SKIP_EXIT_CODE } from './deferral.js';
import { readResult } from './result.js';
import type { HandlerOutcome, RunEnd, StartFailure } from './runner/index.js';
import type { Json, StartedRun } from './state/index.js';

/** A run as its reports need it. */
export interface ReportedRun {
  readonly token: Token;
  readonly taskId: TaskId;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number;
}

const NOTHING = { exitCode: null, message: '', result: null, resultType: '', final: false } as const;

/** Where a command leaves what it has to say. */
export interface RunFiles {
  /** Read when it says that it succeeded. */
  readonly result: string;
  /** Read when it says that it waits for something. */
  readonly deferral: string;
  /** Whether it belongs to a DAG run, which asks for skips. */
  readonly inRun: boolean;
}

/** How a run ended, in the protocol's words. */
export function reportOf(run: ReportedRun, end: RunEnd, files: RunFiles | null): Report {
  if (!end.executed) return neverStarted(run, end.stopReason === null ? 'gate_closed' : end.stopReason);
  const { exitCode } = end;
  if (end.timedOut) return { ...run, ...NOTHING, kind: 'failed', exitCode, reason: 'execution_timeout' };
  if (end.stopReason !== null)
    return { ...run, ...NOTHING, kind: 'killed', exitCode, reason: end.stopReason };
  if (end.outOfMemory !== null) {
    const message = `killed: out of memory (limit ${formatBytes(end.outOfMemory)})`;
    return { ...run, ...NOTHING, kind: 'failed', exitCode, reason: 'out_of_memory', message };
  }
  if (end.outcome !== null) return outcomeOf(run, end.outcome);
  if (end.signal !== null) {
    return {
      ...run,
      ...NOTHING,
      kind: 'failed',
      exitCode,
      reason: 'signal',
      message: `ended by ${end.signal}`,
    };
  }
  if (exitCode === DEFER_EXIT_CODE && files !== null) {
    const deferral = readDeferral(files.deferral);
    if (deferral !== null) return deferred(run, exitCode, deferral);
  }
  if (exitCode === SKIP_EXIT_CODE && files?.inRun === true)
    return { ...run, ...NOTHING, kind: 'skipped', exitCode, reason: '', message: `exit code ${exitCode}` };
  if (exitCode !== 0) {
    const message = `exit code ${exitCode}`;
    return { ...run, ...NOTHING, kind: 'failed', exitCode, reason: 'exit_code', message };
  }
  return succeeded(run, files?.result ?? null);
}

function deferred(run: ReportedRun, exitCode: number | null, deferral: Deferral | DeferralFault): Report {
  if ('reason' in deferral) return { ...run, ...NOTHING, kind: 'failed', exitCode, ...deferral };
  return { ...run, ...NOTHING, kind: 'deferred', exitCode, reason: '', deferral };
}

/** How a handler ended, by its own word. */
function outcomeOf(run: ReportedRun, outcome: HandlerOutcome): Report {
  switch (outcome.kind) {
    case 'success': {
      const { result, resultType } = outcome;
      return { ...run, ...NOTHING, kind: 'success', reason: '', result, resultType };
    }
    case 'skipped':
      return { ...run, ...NOTHING, kind: 'skipped', reason: '', message: outcome.message };
    case 'deferred':
      return deferred(run, null, outcome.deferral);
    case 'failed': {
      const { reason, message, final } = outcome;
      return { ...run, ...NOTHING, kind: 'failed', reason, message, final };
    }
  }
}

function succeeded(run: ReportedRun, resultFile: string | null): Report {
  const result = resultFile === null ? ({ kind: 'none' } as const) : readResult(resultFile);
  switch (result.kind) {
    case 'none':
      return { ...run, ...NOTHING, kind: 'success', exitCode: 0, reason: '' };
    case 'result':
      return {
        ...run,
        ...NOTHING,
        kind: 'success',
        exitCode: 0,
        reason: '',
        result: result.data,
        resultType: result.type,
      };
    case 'too_large': {
      const message = `the result file has ${result.bytes} bytes; at most 262144 travel: store it elsewhere and return its address`;
      return { ...run, ...NOTHING, kind: 'failed', exitCode: 0, reason: 'result_too_large', message };
    }
  }
}

export function neverStarted(run: ReportedRun, reason: string): Report {
  return { ...run, ...NOTHING, startedAtMs: null, kind: 'never_started', reason };
}

/** What is no fault of the command: another agent may start it, and the user's retries are not touched (P14). */
const NEVER_STARTED: ReadonlySet<StartFailure['code']> = new Set([
  'GATE_CLOSED',
  'DUPLICATE',
  'LIMIT',
  'RUNNER_LOST',
]);

/** The system did not start it: a failed try, unless it was the gate (P3) or our own limits. */
export function failedToStart(run: ReportedRun, failure: StartFailure): Report {
  const { code, text } = failure;
  if (NEVER_STARTED.has(code)) return neverStarted(run, code.toLowerCase());
  const message = text.slice(0, LIMITS.messageLength);
  return { ...run, ...NOTHING, startedAtMs: null, kind: 'failed', reason: 'start_failed', message };
}

/** A run whose end nobody saw: its process group is gone. */
export function lostReport(run: StartedRun, nowMs: number): Report {
  const { token, taskId, atMs } = run;
  return {
    ...NOTHING,
    token: token as Token,
    taskId: taskId as TaskId,
    kind: 'lost',
    reason: 'agent_lost',
    startedAtMs: atMs,
    endedAtMs: nowMs,
  };
}

/** A report as the journal keeps it. */
export function reportToJson(report: Report): Json {
  const { token, taskId, kind, exitCode, reason, message, result, resultType, final } = report;
  const { startedAtMs, endedAtMs, deferral } = report;
  const json = {
    kind,
    exitCode,
    reason,
    message,
    resultType,
    final,
    startedAtMs,
    endedAtMs,
    taskId,
    token: String(token),
    result: result === null ? null : base64Of(result),
  };
  return deferral === undefined ? json : { ...json, deferral: { ...deferral } };
}

const base64Of = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString('base64');

/** A report as the journal kept it; null when it makes no sense (written by another version). */
export function reportFromJson(json: Json): Report | null {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return null;
  const fields = json as { readonly [key: string]: Json };
  const { token, taskId, kind, reason, message, result, resultType, final } = fields;
  const { exitCode, startedAtMs, endedAtMs } = fields;
  if (typeof token !== 'string' || typeof taskId !== 'string' || typeof kind !== 'string') return null;
  return {
    token: BigInt(token) as Token,
    taskId: taskId as TaskId,
    kind: kind as ReportKind,
    exitCode: typeof exitCode === 'number' ? exitCode : null,
    reason: typeof reason === 'string' ? reason : '',
    message: typeof message === 'string' ? message : '',
    result: typeof result === 'string' ? Buffer.from(result, 'base64') : null,
    resultType: typeof resultType === 'string' ? resultType : '',
    final: final === true,
    startedAtMs: typeof startedAtMs === 'number' ? startedAtMs : null,
    endedAtMs: typeof endedAtMs === 'number' ? endedAtMs : 0,
    ...(isDeferral(fields.deferral) ? { deferral: fields.deferral } : {}),
  };
}
