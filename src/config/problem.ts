/** One thing wrong with the configuration, in words for the person who has to mend it. */
export interface Problem {
  readonly what: string;
  readonly because: string;
  readonly try: string;
}

/** The configuration cannot be used; every problem found, not only the first. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map((problem) => `${problem.what}: ${problem.because}`).join('\n'));
    this.problems = problems;
  }
}
