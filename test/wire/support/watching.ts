import type { Api } from './proto.js';
import { eventually } from './wait.js';

interface Told {
  readonly run: { readonly state: string } | null;
  readonly instances: readonly { readonly task: string; readonly taskId: string; readonly state: string }[];
}

/** A watch of a run, as words: `run STATE` and `task STATE`. */
export class Watching {
  readonly words: string[] = [];
  /** The newest state of each instance. */
  readonly last = new Map<string, string>();
  readonly ended: Promise<void>;
  readonly #stream;

  constructor(api: Api, dagId: string, runId: string) {
    this.#stream = api.stream('WatchRun', { dagId, runId });
    this.#stream.on('data', ({ run, instances }: Told) => {
      if (run !== null) this.words.push(`run ${run.state}`);
      for (const { task: name, taskId, state } of instances) {
        this.words.push(`${name} ${state}`);
        this.last.set(taskId, state);
      }
    });
    this.ended = new Promise((resolve, reject) => {
      this.#stream.on('end', resolve);
      this.#stream.on('error', reject);
    });
    this.ended.catch(() => {});
  }

  seen(name: string): Promise<void> {
    return eventually(name, () => this.words.some((word) => word.startsWith(`${name} `)));
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  stop(): void {
    this.#stream.cancel();
  }
}
