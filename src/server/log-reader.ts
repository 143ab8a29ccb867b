import type { ServerWritableStream } from '@grpc/grpc-js';
import { isFinal } from '../core/rows.js';
import type { TaskId } from '../kit/ids.js';
import type { ReadTaskLogsRequest, ReadTaskLogsResponse } from '../wire/gen/holdfast/v1/task_service.js';
import { faultOf, serviceError } from './fault.js';
import type { Places } from './log-pieces.js';
import { idOf, readTask, type TaskServiceHost } from './task-host.js';
import { dateOf } from './views.js';

type LogCall = ServerWritableStream<ReadTaskLogsRequest, ReadTaskLogsResponse>;

/** Sends a task's output, and with `follow` what is still to come, until the task has ended and all of it was sent. */
export function followLogs(host: TaskServiceHost, call: LogCall): void {
  const reader = new Reader(host, call);
  reader.run().then(
    () => call.end(),
    (error: unknown) => {
      if (!reader.gone) call.emit('error', serviceError(faultOf(error, host.log)));
    },
  );
}

/** After the end of a task its last output may still be on its way: so long it is waited for, in milliseconds. */
const TRAILING_MS = 1_000;

class Reader {
  gone = false;
  readonly #host: TaskServiceHost;
  readonly #call: LogCall;
  /** Where each run was left. */
  readonly #places: Places = new Map();
  /** Bytes of output that come before the wanted tail. */
  #skip = 0;
  #wake: () => void = () => {};
  #news = false;

  constructor(host: TaskServiceHost, call: LogCall) {
    this.#host = host;
    this.#call = call;
    const over = () => {
      this.gone = true;
      this.#rouse();
    };
    call.on('close', over);
    call.on('cancelled', over);
    call.on('error', over);
    call.on('drain', () => this.#rouse());
  }

  async run(): Promise<void> {
    const taskId = idOf(this.#call.request.taskId);
    let ended = isFinal((await readTask(this.#host, taskId)).state);
    const { tryNumber, tailBytes } = this.#call.request;
    if (tailBytes > 0n) {
      this.#skip = await this.#host.logs.seekTail(taskId, tryNumber, Number(tailBytes), this.#places);
    }
    const unfollow = this.#host.logs.follow(taskId, () => this.#rouse());
    const unwatch = this.#host.watchers.watch(taskId, (task) => {
      ended = isFinal(task.state);
      this.#rouse();
    });
    try {
      for (;;) {
        const isLast = ended || !this.#call.request.follow;
        await this.#sendNew(taskId);
        if (this.gone || (isLast && !(this.#call.request.follow && (await this.#moreWithin(TRAILING_MS)))))
          return;
        if (!isLast) await this.#waitForNews();
      }
    } finally {
      unfollow();
      unwatch();
    }
  }

  async #sendNew(taskId: TaskId): Promise<void> {
    const { tryNumber: wanted } = this.#call.request;
    for await (const record of this.#host.logs.read(taskId, wanted, this.#places)) {
      const skipped = record.isMark ? 0 : Math.min(this.#skip, record.data.length);
      this.#skip -= skipped;
      const data = record.data.subarray(skipped);
      if (data.length === 0) continue;
      const { tryNumber, token: fencingToken, stream, atMs } = record;
      const ready = this.#call.write({
        tryNumber,
        fencingToken,
        stream,
        data: Buffer.from(data),
        at: dateOf(atMs),
      });
      while (!ready && !this.gone && this.#call.writableNeedDrain) await this.#waitForNews();
      if (this.gone) return;
    }
  }

  #rouse(): void {
    this.#news = true;
    this.#wake();
  }

  async #waitForNews(): Promise<void> {
    if (!this.#news) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#news = false;
  }

  async #moreWithin(ms: number): Promise<boolean> {
    this.#news = false;
    let timer: { cancel(): void } | null = null;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = this.#host.after(ms, resolve);
    });
    (timer as { cancel(): void } | null)?.cancel();
    return this.#news;
  }
}
