/**
 * An exhaustive model of the handshake: every order in which its messages, losses, leases and starts can happen, for one
 * task, two processes and two streams. It is a model of the PROTOCOL, its steps named as the protocol names them, and not
 * the coordinator's own code: a rule can be switched off here without touching what ships, and a state is a few dozen
 * bytes, so that a million of them can be seen in a minute. That the code does what the model does is the simulator's
 * and the mutants' business.
 *
 * Left out, because it changes none of what is asked here: inventories are told whole, not as changes with a hash; offers
 * beyond free slots; the storm brake (P8), triggers and DAG snapshots (P16, P17), several coordinators and lost commits
 * (P18), policy hold. Clocks are one clock in units of time; their rates are the simulator's business.
 */
export { type Exploration, explore } from './explore.js';
export { type Bounds, RULES, type RuleName } from './rules.js';
export { DEEP_WORLDS, WITHOUT, WORLDS } from './worlds.js';
