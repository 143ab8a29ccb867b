import { timeOfDay } from './time.js';

interface Line {
  /** Milliseconds after midnight. */
  readonly at: number;
  readonly who: string;
  readonly what: string;
}

/** Everything that happens in a story, one line each. */
export class Transcript {
  readonly #lines: Line[] = [];

  tell(at: number, who: string, what: string): void {
    this.#lines.push({ at, who, what });
  }

  /** When this was first said, in milliseconds after midnight; `words` are some of a line's, `who` says it. */
  when(who: string, words: string): number {
    const line = this.#lines.find((one) => one.who === who && one.what.includes(words));
    if (line === undefined) throw new Error(`${who} never says ${JSON.stringify(words)} in\n${this.text()}`);
    return line.at;
  }

  /** What somebody has said, with these words in it, in order. */
  said(who: string, words = ''): string[] {
    return this.#lines.filter((one) => one.who === who && one.what.includes(words)).map(({ what }) => what);
  }

  text(): string {
    const width = Math.max(...this.#lines.map(({ who }) => who.length));
    return this.#lines
      .map(({ at, who, what }) => `${timeOfDay(at)}  ${who.padEnd(width)}  ${what}\n`)
      .join('');
  }
}
