// One mutant against seed after seed, until a checker sees a broken promise or the time is over.
import { fork } from 'node:child_process';

/** Short histories of many seeds find more than long ones of a few; odd seeds must also come to their end. */
export const MINUTES = 8;
/** A seed takes a second of an idle core: this long without an answer is a mutant that turns in circles. */
const SILENCE_MS = 60_000;

const children = new Set();
// A mutant that turns in circles does not notice that nobody waits for it any more.
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** A process that runs seeds on one build. What it dies of, or never answers to, is an answer too. */
export class Bench {
  #child;
  /** Time of its processor, in milliseconds. */
  ms = 0;

  constructor(folder) {
    this.#child = fork(new URL('./worker.mjs', import.meta.url), [folder], { silent: true });
    children.add(this.#child);
  }

  run(task) {
    return new Promise((resolve) => {
      const end = (answer) => {
        clearTimeout(timer);
        this.#child.removeAllListeners();
        this.ms = answer.ms ?? this.ms;
        resolve(answer);
      };
      const timer = setTimeout(() => end({ kind: 'broken_off', what: 'never ends' }), SILENCE_MS);
      this.#child.once('message', end);
      this.#child.once('exit', (code) => end({ kind: 'broken_off', what: `ends the process with ${code}` }));
      this.#child.send(task);
    });
  }

  close() {
    this.#child.removeAllListeners();
    this.#child.kill('SIGKILL');
    children.delete(this.#child);
  }
}

/**
 * Gives `{ killed, rule, seed, what, tried, ms }`. Only a broken promise kills. A crash or a circle kills nobody: it says
 * that the change broke the program, not that anybody watches the promise. Nor does a seed that breaks without it.
 */
export async function attack(folder, mutant, { seeds, limitMs, holds }) {
  const tasks = mutant.model === undefined ? seeds.map((seed) => ({ seed, minutes: MINUTES })) : [mutant];
  const bench = new Bench(folder);
  let tried = 0;
  let trouble = null;
  const name = ({ seed }) => (seed === undefined ? 'the model' : `seed ${seed}`);
  try {
    for (const task of tasks) {
      const { kind, rule, what } = await bench.run(task);
      tried++;
      if (kind === 'broken' && (task.seed === undefined || (await holds(task.seed))))
        return { killed: true, rule, seed: task.seed ?? null, what, tried, ms: bench.ms };
      if (kind !== 'held' && kind !== 'broken') trouble ??= `${name(task)}: ${what}`;
      if (kind === 'broken_off' || bench.ms >= limitMs) break;
    }
    return { killed: false, what: trouble, tried, ms: bench.ms };
  } finally {
    bench.close();
  }
}
