import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { realClock } from '../clock.js';
import { tryLock } from '../state/lock.js';
import { FrameWriter, frameReader } from './frames.js';
import { probeLayers } from './layers.js';
import { findCgroups, Limits } from './limits.js';
import { type AgentMessage, CHANNEL_FD, type RunnerArguments, type RunnerMessage } from './protocol.js';
import { RunnerService } from './service.js';

/*
 * The runner: the child process that starts every command of an agent, and outlives the agent by as long as it takes to
 * kill them. It has no work but this and no packages, so that there is little in it that could fail.
 */

/** O_CLOEXEC among the flags of /proc/self/fdinfo. */
const CLOSE_ON_EXEC = 0o2000000;

/** An agent that reads nothing for so long gets no more. */
const FLUSH_MS = 5_000;

/** Whatever the agent's own parent left open would be open in every command too. Node's own descriptors never are. */
function closeInherited(): void {
  for (const name of listDescriptors()) {
    const fd = Number(name);
    if (fd <= CHANNEL_FD) continue;
    try {
      const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'utf8'))?.[1];
      if (flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0) closeSync(fd);
    } catch {
      // The descriptor of this very listing: closed by now.
    }
  }
}

function listDescriptors(): readonly string[] {
  try {
    return readdirSync('/proc/self/fd');
  } catch {
    return [];
  }
}

/**
 * Ends this process. Not by process.exit: it waits for Node's own threads, and was once seen to wait for ever, when the
 * agent was dead and nobody was left to kill the runner. Nothing is lost by it: what was to be told is with the system,
 * the lock is released, and nobody asks for an exit code.
 */
const end = (): void => {
  process.kill(process.pid, 'SIGKILL');
};

async function main(): Promise<void> {
  closeInherited();
  // Only the agent ends the runner: by a message, or by its own end. A Ctrl-C at its terminal is the agent's to answer.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {});

  const { instanceId, lockFile, namespace } = JSON.parse(process.argv[2] ?? '') as RunnerArguments;
  const socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
  const writer = new FrameWriter<RunnerMessage>(socket, realClock);
  const send = (message: RunnerMessage): void => writer.send(message);
  const agentGone = new Promise<void>((resolve) => {
    // Death with unread frames shows as an error, without them as the end.
    socket.on('error', () => resolve());
    socket.on('end', resolve);
    socket.on('close', () => resolve());
  });

  const locked = tryLock(lockFile);
  if (locked.kind !== 'held') {
    send({ kind: 'refused', text: locked.text });
    writer.flush();
    socket.end(end);
    return;
  }
  const layers = await probeLayers(realClock, namespace);
  const limits = new Limits(realClock, instanceId, findCgroups());
  const pipesFolder = join(dirname(lockFile), 'pipes');
  const service = new RunnerService({ instanceId, clock: realClock, layers, limits, pipesFolder, send });
  const told = new Promise<void>((resolve) => {
    const read = frameReader<AgentMessage>((message) => {
      if (message.kind === 'close') resolve();
      else service.take(message);
    });
    socket.on('data', (data: Buffer) => {
      read(data);
      service.settle();
    });
  });
  send({ kind: 'ready', protection: layers.protection, limits: limits.inForce });

  await Promise.race([agentGone, told]);
  await service.close();
  locked.lock.release();
  writer.flush();
  // The last ends are still under way to an agent that asked for them.
  realClock.setTimer(FLUSH_MS, end);
  if (socket.writable) socket.end(end);
  else end();
}

await main();
