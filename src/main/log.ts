import { type DestinationStream, pino } from 'pino';
import type { Config } from '../config/resolve.js';
import type { Log } from '../kit/log.js';

/** A log whose level can change while the process runs. */
export interface ProcessLog extends Log {
  level: string;
}

/** Log lines on standard error: JSON for machines, coloured lines on a terminal. */
export async function openLog(config: Config, name: string): Promise<ProcessLog> {
  const format = config.get('log.format');
  const readable = format === 'pretty' || (format === 'auto' && process.stderr.isTTY);
  const options = {
    name,
    level: config.get('log.level'),
    base: { name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const log: ProcessLog = pino(options, readable ? await lines() : pino.destination({ dest: 2, sync: true }));
  return log;
}

// Both write synchronously: the last words of a process that ends are the ones that matter. The form for people is
// loaded by whoever looks at it.
async function lines(): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty');
  return pretty({
    destination: 2,
    sync: true,
    colorize: process.stderr.isTTY && (process.env.NO_COLOR ?? '') === '',
    ignore: 'pid,name',
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
  });
}
