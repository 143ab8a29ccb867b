export { addCompletion } from './completion.js';
export { EXIT, Failure, type Problem } from './failure.js';
export { present } from './present.js';
export { buildProgram, runProgram } from './program.js';
export { addCommonFlags, commonFlags } from './session.js';
export { renderTable } from './table.js';
export type { CliContext, ClientSettings, CommonFlags, OutputForm, Sink, Terminal } from './terminal.js';
export { coloursFor, commandWords } from './words.js';
