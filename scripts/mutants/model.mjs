// `npm run model [-- --deep] [-- --stories]`: explores every order of events of the handshake with all rules on, then with each of them off.
// Exits 1 when a promise breaks with all rules on, or when the absence of a rule breaks none.
import { DEEP_WORLDS, explore, RULES, WITHOUT, WORLDS } from '../../dist/testing/model/index.js';
import { readFlags } from '../flags.mjs';

const { values } = readFlags(
  'model',
  'Explores every order of events of the handshake, with all rules on and with each of them off.',
  {
    deep: { type: 'boolean', says: 'larger worlds' },
    stories: { type: 'boolean', says: 'how each missing rule breaks a promise' },
  },
);
const begin = performance.now();
let failed = 0;
let states = 0;

console.log('all rules on:');
for (const [name, bounds] of Object.entries(values.deep ? DEEP_WORLDS : WORLDS)) {
  const start = performance.now();
  const result = explore(bounds, new Set());
  states += result.states;
  const holds = result.fault === null && !result.cutOff;
  if (!holds) failed++;
  const seconds = ((performance.now() - start) / 1_000).toFixed(1);
  const verdict = holds ? 'no violation' : (result.fault ?? 'cut off');
  console.log(
    `  ${name.padEnd(53)} ${String(result.states).padStart(9)} states  ${seconds.padStart(5)} s  ${verdict}`,
  );
  for (const step of result.story) console.log(`      ${step}`);
}

console.log('\none rule off:');
for (const { name, rule, says } of RULES) {
  const { fault, story, states: seen } = explore(WITHOUT[name], new Set([name]), 2_000_000);
  if (fault === null) failed++;
  console.log(`  ${rule.padEnd(4)} ${says}`);
  console.log(`       ${fault ?? 'NOTHING BREAKS'} (${story.length} steps, ${seen} states)`);
  if (values.stories) for (const step of story) console.log(`         ${step}`);
}

const seconds = (performance.now() - begin) / 1_000;
const mebibytes = process.resourceUsage().maxRSS / 1024;
console.log(
  `\n${states} states with all rules on, ${seconds.toFixed(0)} s in all, ${mebibytes.toFixed(0)} MiB at most`,
);
process.exitCode = failed > 0 ? 1 : 0;
