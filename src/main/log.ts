import { pino } from 'pino';
import pretty from 'pino-pretty';
import type { Config } from '../config/resolve.js';
import type { Log } from '../kit/log.js';

/** A log whose level can change while the process runs. */
export interface ProcessLog extends Log {
  level: string;
}

/** Log lines on standard error: JSON for machines, coloured lines on a terminal. */
export function openLog(config: Config, name: string): ProcessLog {
  const format = config.get('log.format');
  const readable = format === 'pretty' || (format === 'auto' && process.stderr.isTTY);
  const options = {
    name,
    level: config.get('log.level'),
    base: { name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  // Both write synchronously: the last words of a process that ends are the ones that matter.
  if (!readable) return pino(options, pino.destination({ dest: 2, sync: true }));
  const colorize = process.stderr.isTTY && (process.env.NO_COLOR ?? '') === '';
  return pino(
    options,
    pretty({
      destination: 2,
      sync: true,
      colorize,
      ignore: 'pid,name',
      singleLine: true,
      translateTime: 'SYS:HH:MM:ss.l',
    }),
  );
}
