import { HandlerStopped } from './context.js';

/** The signal of one run, made when the handler asks for it: most never do, and it is the dearest part of a call. */
export class Stop {
  #controller: AbortController | null = null;
  #reason: HandlerStopped | null = null;

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== null) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  now(reason: HandlerStopped): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
  }
}

/** Made once: an error costs its stack, and every run ends. */
export const ENDED = new HandlerStopped('ended');
