import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentId, TaskId, Token } from '../kit/ids.js';
import type { LogChunk } from '../wire/gen/holdfast/v1/agent_service.js';
import { LIMITS } from '../wire/limits.js';
import { encodeRecord, type LogRecord, readRecords } from './log-record.js';

/** Whose output a token is: the agent that it was permitted to, and the try that it belongs to. */
export interface LogOwner {
  readonly agentId: AgentId;
  readonly taskId: TaskId;
  readonly tryNumber: number;
}

/** Finds the owner of a token; null when it was never permitted. */
export type FindOwner = (token: Token, taskId: TaskId) => Promise<LogOwner | null>;

/** One token's output on disk. */
interface TokenLog {
  readonly owner: LogOwner;
  readonly file: FileHandle;
  /** Bytes of output written: the next offset. */
  next: number;
  /** Where the next record goes in the file. */
  end: number;
  /** A write has failed: what follows the gap is not taken until the gap is filled. */
  failed: boolean;
}

export interface AppendResult {
  readonly nextOffset: number;
  /** No more output of this token is taken: it is foreign, or the task has reached its limit. */
  readonly closed: boolean;
  /** It could not be written: the agent has to send it again from `nextOffset`. */
  readonly resend: boolean;
}

/** Files of tokens kept open; the least recently written is closed first. */
const OPEN_FILES = 256;

/**
 * Output of tasks, in files beside the database: one file a token, named by try and token, so that tries never mix. A
 * chunk is written before it is acknowledged (it survives the process, not the machine), and written once: what an
 * agent repeats after a reconnect is recognised by its offset.
 */
export class TaskLogs {
  readonly #directory: string;
  readonly #findOwner: FindOwner;
  readonly #logs = new Map<Token, TokenLog>();
  /** Writes of one token go one after the other. */
  readonly #writing = new Map<Token, { readonly taskId: string; readonly write: Promise<AppendResult> }>();
  readonly #followers = new Map<TaskId, Set<() => void>>();

  readonly #complain: (error: unknown) => void;

  /** `complain` hears of writes that failed. */
  constructor(directory: string, findOwner: FindOwner, complain: (error: unknown) => void = () => {}) {
    this.#directory = directory;
    this.#findOwner = findOwner;
    this.#complain = complain;
  }

  /** Never rejects: what cannot be written is asked for again. */
  append(agentId: AgentId, chunk: LogChunk): Promise<AppendResult> {
    const token = chunk.token as Token;
    const before: Promise<unknown> = this.#writing.get(token)?.write ?? Promise.resolve();
    const write = before
      .then(() => this.#append(agentId, token, chunk))
      .catch((error: unknown) => {
        this.#complain(error);
        return { nextOffset: this.#logs.get(token)?.next ?? 0, closed: false, resend: true };
      });
    this.#writing.set(token, { taskId: chunk.taskId, write });
    const forget = () => {
      if (this.#writing.get(token)?.write === write) this.#writing.delete(token);
    };
    void write.then(forget);
    return write;
  }

  async #append(agentId: AgentId, token: Token, chunk: LogChunk): Promise<AppendResult> {
    const log = await this.#open(token, chunk.taskId as TaskId);
    if (log === null || log.owner.agentId !== agentId) return { nextOffset: 0, closed: true, resend: false };
    if (chunk.data.length > LIMITS.logChunkBytes)
      return { nextOffset: log.next, closed: true, resend: false };
    const offset = Number(chunk.offset);
    if (log.failed && offset > log.next) return { nextOffset: log.next, closed: false, resend: true };
    // A gap can only come from a coordinator that lost what it had acknowledged; what is there is still worth keeping.
    const known = Math.max(0, log.next - offset);
    const data = chunk.data.subarray(known);
    if (log.next >= LIMITS.taskLogBytes) {
      return { nextOffset: Math.max(log.next, offset + chunk.data.length), closed: true, resend: false };
    }
    if (data.length > 0) {
      const record = encodeRecord({ stream: chunk.stream, atMs: chunk.at?.getTime() ?? 0, data });
      log.failed = !(await this.#write(log, record));
      if (log.failed) return { nextOffset: log.next, closed: false, resend: true };
      log.end += record.length;
      log.next = Math.max(log.next, offset) + data.length;
      for (const wake of this.#followers.get(log.owner.taskId) ?? []) wake();
    }
    return { nextOffset: log.next, closed: false, resend: false };
  }

  /** All of a record, or nothing that counts: a disk that fills up takes a part and says so only by the count. */
  async #write(log: TokenLog, record: Uint8Array): Promise<boolean> {
    try {
      for (let at = 0; at < record.length; ) {
        const { bytesWritten } = await log.file.write(record, at, record.length - at, log.end + at);
        if (bytesWritten === 0) return false;
        at += bytesWritten;
      }
      return true;
    } catch (error) {
      this.#complain(error);
      return false;
    }
  }

  async #open(token: Token, taskId: TaskId): Promise<TokenLog | null> {
    const known = this.#logs.get(token);
    if (known !== undefined) {
      this.#logs.delete(token);
      this.#logs.set(token, known);
      return known;
    }
    const owner = await this.#findOwner(token, taskId);
    if (owner === null) return null;
    const directory = this.#taskDirectory(owner.taskId);
    await mkdir(directory, { recursive: true });
    const path = join(directory, fileName(owner.tryNumber, token));
    // Opened for appending to make it exist, then for writing at a place: a torn tail is cut off before going on.
    await (await open(path, 'a')).close();
    const file = await open(path, 'r+');
    try {
      let next = 0;
      let end = 0;
      for await (const record of readRecords(file)) {
        next += record.data.length;
        end = record.end;
      }
      await file.truncate(end);
      const log: TokenLog = { owner, file, next, end, failed: false };
      this.#logs.set(token, log);
      await this.#closeOldest();
      return log;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #closeOldest(): Promise<void> {
    if (this.#logs.size <= OPEN_FILES) return;
    for (const [token, log] of this.#logs) {
      if (this.#writing.has(token) && this.#logs.size <= 2 * OPEN_FILES) continue;
      this.#logs.delete(token);
      await log.file.close();
      return;
    }
  }

  /**
   * What has arrived of a task's output, oldest try first; writes under way are waited for. `places` remembers where each
   * file was left, so that reading on costs only what is new.
   */
  async *read(
    taskId: TaskId,
    tryNumber: number,
    places = new Map<string, number>(),
  ): AsyncGenerator<LogRecord & { tryNumber: number; token: Token }> {
    const under = [...this.#writing.values()].filter((writing) => writing.taskId === taskId);
    await Promise.allSettled(under.map(({ write }) => write));
    for (const name of await this.files(taskId)) {
      const parsed = parseName(name);
      if (parsed === null || (tryNumber > 0 && parsed.tryNumber !== tryNumber)) continue;
      const file = await openToRead(join(this.#taskDirectory(taskId), name));
      if (file === null) continue;
      try {
        for await (const record of readRecords(file, places.get(name))) {
          places.set(name, record.end);
          yield { ...record, ...parsed };
        }
      } finally {
        await file.close();
      }
    }
  }

  async files(taskId: TaskId): Promise<string[]> {
    try {
      return (await readdir(this.#taskDirectory(taskId))).sort();
    } catch {
      return [];
    }
  }

  /** Removes all output of tasks that retention has removed. Never rejects: what is left is tried again by nobody. */
  async remove(taskIds: readonly TaskId[]): Promise<void> {
    const gone = new Set<string>(taskIds);
    try {
      const under = [...this.#writing.values()].filter((writing) => gone.has(writing.taskId));
      await Promise.allSettled(under.map(({ write }) => write));
      for (const [token, log] of this.#logs) {
        if (!gone.has(log.owner.taskId)) continue;
        this.#logs.delete(token);
        await log.file.close();
      }
      for (const taskId of taskIds) await rm(this.#taskDirectory(taskId), { recursive: true, force: true });
    } catch (error) {
      this.#complain(error);
    }
  }

  /** Calls `wake` whenever output of the task is written, until the returned function is called. */
  follow(taskId: TaskId, wake: () => void): () => void {
    const followers = this.#followers.get(taskId) ?? new Set();
    followers.add(wake);
    this.#followers.set(taskId, followers);
    return () => {
      followers.delete(wake);
      if (followers.size === 0) this.#followers.delete(taskId);
    };
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#writing.values()].map(({ write }) => write));
    for (const log of this.#logs.values()) await log.file.close();
    this.#logs.clear();
  }

  /** Spread over directories by the end of the id, which is random: no directory grows with the number of tasks. */
  #taskDirectory(taskId: TaskId): string {
    return join(this.#directory, taskId.slice(-2), taskId);
  }
}

/** Null when retention was faster. */
async function openToRead(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Sorted by name, tries come in order. */
function fileName(tryNumber: number, token: Token): string {
  return `${String(tryNumber).padStart(6, '0')}-${String(token).padStart(20, '0')}.log`;
}

function parseName(name: string): { tryNumber: number; token: Token } | null {
  const match = /^(\d{6,})-(\d{20})\.log$/.exec(name);
  return match === null ? null : { tryNumber: Number(match[1]), token: BigInt(match[2] ?? 0) as Token };
}
