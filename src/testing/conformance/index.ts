export { KINDS, type Kind } from './case.js';
export { CASES } from './cases/index.js';
export { probe } from './probe.js';
export { casesFor, isMeant, runCases } from './run.js';
export { conforms, failuresOf, jsonOf, junitOf, listOf, summaryOf, tableOf } from './verdict.js';
