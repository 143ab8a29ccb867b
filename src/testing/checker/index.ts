/** The judge of histories: one table of rules for the simulator, the fault harness, and whoever records their own. */
export { CHECKER_RULES, Checker } from './checker.js';
export {
  CLOCK_BOUND,
  DEFERS,
  type HistoryEvent,
  type Settings,
  type Started,
  type Violation,
} from './events.js';
export { judge, type RecordedHistory } from './recorded.js';
