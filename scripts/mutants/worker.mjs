// Runs the simulator of one build on the seeds given, one after the other, until one of them is broken. Each line says
// what happened: the parent tells a mutant that hangs from one that lives by when the last line came.
import { pathToFileURL } from 'node:url';

const [folder, minutes, ...seeds] = process.argv.slice(2);
/** Without a number of minutes, what is named is the rule that the model is to do without. */
const isModel = Number.isNaN(Number(minutes));
const say = (what) => process.send(what);

const { simulate } = await import(pathToFileURL(`${folder}/testing/sim/index.js`).href);
process.on('uncaughtException', (error) => {
  say({ kind: 'crash', seed: current, what: error.message });
  process.exit(0);
});

let current = 0;
if (isModel) await runModel();
for (const seed of isModel ? [] : seeds.map(Number)) {
  current = seed;
  let result;
  try {
    result = await simulate({ seed, minutes: Number(minutes) });
  } catch (error) {
    say({ kind: 'crash', seed, what: error.message });
    break;
  }
  const [violation] = result.violations;
  if (violation !== undefined) {
    say({ kind: 'broken', seed, rule: violation.rule, what: violation.what });
    break;
  }
  say({ kind: 'held', seed });
}
process.disconnect();

async function runModel() {
  const { explore, WITHOUT } = await import(pathToFileURL(`${folder}/testing/model/index.js`).href);
  const { fault } = explore(WITHOUT[minutes], new Set([minutes]), 2_000_000);
  if (fault !== null) say({ kind: 'model', what: fault });
}
