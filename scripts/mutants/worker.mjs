// Runs what it is sent on the build in the folder that it is given: one seed of the simulator, or the model without one
// of its rules. Answers with what was seen; what goes wrong with the run itself is told apart from a broken promise. The
// time that it says is that of its processor, so that a busy machine changes no verdict.
import { pathToFileURL } from 'node:url';

const [folder] = process.argv.slice(2);
const say = (answer) => {
  const { user, system } = process.cpuUsage();
  process.send({ ...answer, ms: (user + system) / 1_000 });
};
const load = (file) => import(pathToFileURL(`${folder}/testing/${file}`).href);

process.on('message', (task) => void answer(task));
// What throws outside of the run's own promises would else be taken for an end of the process.
process.on('uncaughtException', (error) => say({ kind: 'crash', what: error.message }));

async function answer(task) {
  try {
    say('model' in task ? await withoutRule(task.model) : await withSeed(task));
  } catch (error) {
    say({ kind: 'crash', what: error.message });
  }
}

async function withSeed({ seed, minutes }) {
  const { simulate } = await load('sim/index.js');
  const { violations } = await simulate({ seed, minutes });
  const [first] = violations;
  if (first === undefined) return { kind: 'held' };
  // The code under test threw what it does not mean to throw: that is seen by nobody who watches promises.
  if (first.rule === 'crash') return { kind: 'crash', what: first.what };
  return { kind: 'broken', rule: first.rule, what: first.what };
}

async function withoutRule(name) {
  const { explore, WITHOUT } = await load('model/index.js');
  const { fault } = explore(WITHOUT[name], new Set([name]), 2_000_000);
  return fault === null ? { kind: 'held' } : { kind: 'broken', rule: 'model', what: fault };
}
