import { randomUUID } from 'node:crypto';
import type { Sink, Terminal } from '../cli/index.js';

const sinkOf = (stream: NodeJS.WriteStream): Sink => ({
  isTTY: stream.isTTY === true,
  columns: stream.isTTY === true ? stream.columns : undefined,
  print: (text) => {
    stream.write(text);
  },
});

/** The process's own terminal. Whoever closes the pipe that we write to (`| head`) has seen enough: no error. */
export function openTerminal(interrupt: AbortSignal): Terminal {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
  return {
    out: sinkOf(process.stdout),
    err: sinkOf(process.stderr),
    env: process.env,
    interrupt,
    now: () => Date.now(),
    randomId: () => randomUUID(),
    readInput: async () => {
      let text = '';
      process.stdin.setEncoding('utf8');
      for await (const chunk of process.stdin) text += String(chunk);
      return text;
    },
  };
}
