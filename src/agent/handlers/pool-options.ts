import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { HandlerPoolOptions } from '../runner/index.js';

/** What may be chosen about the processes that handlers run in. */
export interface HandlerChoices {
  /**
   * `none` calls the handlers in the agent's own process, where breakpoints stop them. For debugging only: refused unless
   * NODE_ENV is `development`, and it fails tasks under `single_run` and `hold`, since nothing could end their handler by
   * force. Default `process`.
   */
  readonly isolation?: 'process' | 'none' | undefined;
  /** Memory of one of them, in MiB: beyond it the process is killed and its try fails. Default 512, at least 64. */
  readonly memoryMib?: number | undefined;
  /** Runs after which one is replaced. Default 10,000. */
  readonly runsPerChild?: number | undefined;
  /** How many are kept ready although nothing runs. Default one a slot, at most 8. */
  readonly warm?: number | undefined;
  /** How many there are at most; runs beyond wait for one. Default one a slot. */
  readonly most?: number | undefined;
}

const MIB = 1024 * 1024;
const WARM = 8;

/** The children for a handlers module: a path (from the working directory) or a URL. */
export function handlerPool(
  module: string | URL,
  slots: number,
  {
    isolation = 'process',
    memoryMib = 512,
    runsPerChild = 10_000,
    warm = WARM,
    most = slots,
  }: HandlerChoices = {},
): HandlerPoolOptions {
  return {
    isolation,
    module: moduleUrl(module),
    env: childEnvironment(process.env),
    warm: Math.min(most, slots, warm),
    most: Math.max(1, most),
    runsPerChild,
    memoryBytes: memoryMib * MIB,
  };
}

export const moduleUrl = (module: string | URL): string =>
  typeof module === 'string' && !module.startsWith('file:')
    ? pathToFileURL(resolve(module)).href
    : String(module);

/** Handlers are the operator's own code and need his settings; our own, credentials among them, stay with the agent. */
function childEnvironment(own: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(own)) {
    if (value !== undefined && !name.startsWith('HOLDFAST_')) env[name] = value;
  }
  return env;
}
