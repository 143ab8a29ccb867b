import { Book } from './book.js';
import type { HistoryEvent, Judged, Settings, Violation } from './events.js';
import { Figures } from './figures.js';
import { LEASE_RULES } from './lease-rules.js';
import type { JudgedKind, Rule } from './rule.js';
import { TASK_RULES } from './task-rules.js';
import { TOKEN_RULES } from './token-rules.js';

/** Every promise that a history is judged by, in the order in which its violations are told. */
export const CHECKER_RULES: readonly Rule[] = [...TOKEN_RULES, ...TASK_RULES, ...LEASE_RULES];

/**
 * The judge of a history, event by event: the simulator feeds it after every step, the fault harness from its files. It
 * shares nothing with what it judges.
 */
export class Checker {
  readonly violations: Violation[] = [];
  readonly figures = new Figures();
  readonly #book: Book;
  readonly #byKind = new Map<JudgedKind, Rule[]>();

  constructor(settings: Settings) {
    this.#book = new Book(settings);
    for (const rule of CHECKER_RULES) {
      for (const kind of Object.keys(rule.on) as JudgedKind[]) {
        this.#byKind.set(kind, [...(this.#byKind.get(kind) ?? []), rule]);
      }
    }
  }

  /** Takes the next event; the violations that it shows, which stand in `violations` as well. */
  take(event: HistoryEvent): Violation[] {
    const found = this.#judge(event);
    for (const consequence of this.#book.note(event)) found.push(...this.#judge(consequence));
    this.violations.push(...found);
    return found;
  }

  #judge(event: Judged): Violation[] {
    this.figures.count(event, this.#book);
    const found: Violation[] = [];
    for (const { name, on } of this.#byKind.get(event.kind) ?? []) {
      const check = on[event.kind] as ((event: Judged, book: Book) => string | null) | undefined;
      const what = check?.(event, this.#book) ?? null;
      if (what !== null) found.push({ rule: name, at: event.at, what, ...subjectOf(event, this.#book) });
    }
    return found;
  }
}

/** Whom an event concerns, as far as it says. */
function subjectOf(
  event: Judged,
  { permits }: Pick<Book, 'permits'>,
): Pick<Violation, 'taskId' | 'token' | 'agentId'> {
  const token = 'token' in event && event.token !== 0n ? event.token : undefined;
  const permit = token === undefined ? undefined : permits.get(token);
  const taskId = 'taskId' in event ? event.taskId : permit?.taskId;
  const agentId = 'agentId' in event && event.agentId !== '' ? event.agentId : permit?.agentId;
  return {
    ...(taskId === undefined ? {} : { taskId }),
    ...(token === undefined ? {} : { token }),
    ...(agentId === undefined ? {} : { agentId }),
  };
}
