export { KINDS, type Kind, type Requirement } from './case.js';
export { CASES } from './cases/index.js';
export type { CoordinatorCase } from './coordinators/case.js';
export { COORDINATOR_CASES } from './coordinators/cases/index.js';
export { probeCoordinator, runCoordinatorCases } from './coordinators/run.js';
export { probe } from './probe.js';
export { casesFor, isMeant, type Result, runCases } from './run.js';
export { conforms, failuresOf, jsonOf, junitOf, listOf, summaryOf, tableOf } from './verdict.js';
