import { INSTANCE_VARIABLE, RESULT_FILE_VARIABLE, RUN_VARIABLE, type RunSpec } from './protocol.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Everything else of the agent's environment stays with the agent: its credentials above all. */
const ALLOWED = new Set(['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'USER', 'SHELL']);

/** The part of the agent's environment that its commands may see. */
export function allowedEnvironment(own: Environment): Record<string, string> {
  const allowed: Record<string, string> = {};
  for (const [name, value] of Object.entries(own)) {
    if (value !== undefined && (ALLOWED.has(name) || name.startsWith('LC_'))) allowed[name] = value;
  }
  return allowed;
}

/** The environment of a run's command. The marks come last: no task can take them off before exec. */
export function commandEnvironment(
  own: Environment,
  spec: RunSpec,
  instanceId: string,
): Record<string, string> {
  return {
    ...allowedEnvironment(own),
    ...spec.env,
    ...(spec.resultFile === undefined ? {} : { [RESULT_FILE_VARIABLE]: spec.resultFile }),
    [INSTANCE_VARIABLE]: instanceId,
    [RUN_VARIABLE]: runMark(instanceId, spec.runId),
  };
}

/** With the instance: on one host agents of two coordinators may hold the same token. */
export const runMark = (instanceId: string, runId: string): string => `${instanceId}/${runId}`;
