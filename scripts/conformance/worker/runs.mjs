// The runs of the plain worker: a process group each, journalled before anybody hears of it, a guardian beside single_run
// work, and a report once the whole group is gone.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasFault } from './fault.mjs';
import { kept, save } from './keep.mjs';

const SINGLE_RUN = 'PARTITION_POLICY_SINGLE_RUN';
const LOOK_MS = 20;
const folder = join(process.env.HOLDFAST_STATE_DIR, 'runs');
const gateFile = join(process.env.HOLDFAST_STATE_DIR, 'gate');
mkdirSync(folder, { recursive: true });

/** By token: what runs. */
export const runs = new Map();

const millis = (duration) =>
  duration === null || duration === undefined
    ? null
    : Number(duration.seconds) * 1_000 + duration.nanos / 1e6;

/** A leader that waits for a word before it is the program. */
const WAITS = 'read go || exit; exec "$@" </dev/null';

/** Waits for the gate's end as the file tells it, and kills a group then; it is in no group of the agent's. */
const GUARDIAN = `
while kill -0 -$1 2>/dev/null; do
  if [ "$3" = die ] && ! kill -0 $4 2>/dev/null; then exit; fi
  end=$(cat "$2")
  if [ "$(date +%s%3N)" -ge "$end" ]; then kill -KILL -$1; fi
  sleep 0.05
done`;

/**
 * Where guardians read the end of the gate; by the wall clock, which all processes share. Whole or not at all: an agent
 * that is stopped in the middle of a write would leave them nothing to go by.
 */
export function tellGuardians(gateEndsInMs) {
  writeFileSync(`${gateFile}.new`, String(Math.round(Date.now() + gateEndsInMs)));
  renameSync(`${gateFile}.new`, gateFile);
}

/** Starts a permit; `ended` hears of its report, `said` of its output. */
export function start(permit, ended, said) {
  const { token, taskId, work, partitionPolicy } = permit;
  const resultFile = join(folder, `${token}.result`);
  const command = work?.command;
  if (!command && !hasFault('no-work'))
    return ended(report(permit, { kind: 'FAILED', reason: 'unknown_work' }));
  const [program, ...args] = command.argv;
  const variables = {
    HOLDFAST_FENCING_TOKEN: hasFault('rounded-token') ? String(BigInt(Number(token))) : token,
    HOLDFAST_RESULT_FILE: resultFile,
    ...(hasFault('few-variables')
      ? {}
      : { HOLDFAST_TASK_ID: taskId, HOLDFAST_AGENT_ID: process.env.HOLDFAST_AGENT_ID }),
  };
  const env = { ...process.env, ...command.env, ...variables };
  const isGuarded = partitionPolicy === SINGLE_RUN && !hasFault('no-guardian') && !hasFault('no-gate-end');
  // The guardian knows of it before the exec: an agent that is stopped in between would leave it alone.
  const [file, argv] = isGuarded ? ['/bin/sh', ['-c', WAITS, 'sh', program, ...args]] : [program, args];
  /** @type {import('node:child_process').StdioOptions} */
  const stdio = [isGuarded ? 'pipe' : 'ignore', 'pipe', 'pipe'];
  const child = spawn(file, argv, { detached: true, env, stdio });
  const run = { permit, child, pgid: child.pid, why: null, stopped: false };
  child.on('error', (error) => {
    if (hasFault('no-such-program')) throw error;
    ended(report(permit, { kind: 'FAILED', reason: 'start_failed' }));
  });
  if (child.pid === undefined) return;
  runs.set(token, run);
  kept.runs[token] = { taskId, pgid: child.pid };
  save();
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => said(token, taskId, data));
  if (isGuarded) {
    const how = hasFault('guardian-dies') ? 'die' : 'stay';
    spawn('/bin/sh', ['-c', GUARDIAN, 'guardian', String(child.pid), gateFile, how, String(process.pid)], {
      ...{ detached: true, stdio: 'ignore' },
    }).unref();
    child.stdin?.end('go\n');
  }
  const timeoutMs = millis(permit.executionTimeout);
  if (timeoutMs !== null && !hasFault('no-execution-timeout'))
    setTimeout(() => stop(token, 'timeout'), timeoutMs);
  child.on('exit', (code, signal) => void reap(run, code, signal, resultFile, ended));
}

async function reap(run, code, signal, resultFile, ended) {
  const { permit, pgid } = run;
  while (isAlive(pgid) && !hasFault('early-report')) {
    kill(pgid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  if (hasFault('by-token')) killByToken(permit);
  runs.delete(permit.token);
  const result =
    existsSync(resultFile) && !hasFault('no-result') ? readFileSync(resultFile) : Buffer.alloc(0);
  const exitCode = hasFault('no-exit-code') ? 0 : (code ?? 0);
  const how = { exitCode, result: result.toString('base64'), reason: '' };
  if (run.why === 'timeout') ended(report(permit, { ...how, kind: 'FAILED', reason: 'execution_timeout' }));
  else if (run.stopped || signal !== null)
    ended(report(permit, { ...how, kind: 'KILLED', reason: run.why ?? 'signal' }));
  else if (code !== 0) ended(report(permit, { ...how, kind: 'FAILED', reason: 'exit_code' }));
  else ended(report(permit, { ...how, kind: hasFault('wrong-kind') ? 'FAILED' : 'SUCCESS' }));
}

/**
 * Whatever has the token in its environment, as if no other coordinator could have given it to somebody else; of this
 * case alone, for others are played beside it.
 */
function killByToken({ token, work }) {
  const [mark] = (work.command.env.CONFORMANCE_TASK ?? '').split(':');
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const variables = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
      const isOfCase = variables.some((one) => one.startsWith(`CONFORMANCE_TASK=${mark}:`));
      const hasToken = variables.includes(`HOLDFAST_FENCING_TOKEN=${token}`);
      if (isOfCase && hasToken) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // Gone, or not ours.
    }
  }
}

const report = ({ token, taskId }, how) => ({ token, taskId, exitCode: 0, result: '', reason: '', ...how });

/** SIGTERM, grace, SIGKILL of the whole group. */
export function stop(token, why) {
  const run = runs.get(token);
  if (run === undefined || run.stopped) return false;
  run.stopped = true;
  run.why = why;
  kill(run.pgid, hasFault('no-grace') ? 'SIGKILL' : 'SIGTERM');
  const graceMs = millis(run.permit.killGrace) ?? 10_000;
  setTimeout(() => kill(run.pgid, 'SIGKILL'), graceMs);
  return true;
}

export function stopAll(why, wanted = (_run) => true) {
  for (const [token, run] of runs) if (wanted(run)) stop(token, why);
}

export const isSingleRun = ({ permit }) => permit.partitionPolicy === SINGLE_RUN;

/** What earlier processes have left: killed, and reported as lost. */
export async function bury() {
  const lost = Object.entries(kept.runs);
  for (const [, { pgid }] of lost) if (!hasFault('leave-running')) kill(pgid, 'SIGKILL');
  for (const [, { pgid }] of lost) {
    while (isAlive(pgid) && !hasFault('leave-running'))
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return lost.map(([token, { taskId }]) => report({ token, taskId }, { kind: 'LOST', reason: 'agent_died' }));
}

function kill(pgid, signal) {
  try {
    process.kill(-pgid, signal);
  } catch {
    // Gone already.
  }
}

function isAlive(pgid) {
  try {
    process.kill(-pgid, 0);
    return true;
  } catch {
    return false;
  }
}
