// A task that says `perSecond` lines a second for `seconds`, as far as it is let; at its end it notes what it got rid of.
import { writeFileSync, writeSync } from 'node:fs';

const [perSecond, seconds, file] = process.argv.slice(2);
const LINES = 200;
const block = `${'a line of output that is neither long nor short, as programs write them'}\n`.repeat(LINES);
const begin = performance.now();
const end = begin + Number(seconds) * 1_000;
let lines = 0;
for (let now = begin; now < end; now = performance.now()) {
  const due = ((now - begin) / 1_000) * Number(perSecond);
  // A pipe that is full blocks here: the flood waits for itself.
  while (lines < due && performance.now() < end) {
    writeSync(1, block);
    lines += LINES;
  }
  await new Promise((resolve) => setTimeout(resolve, 2));
}
writeFileSync(file, String(lines / ((performance.now() - begin) / 1_000)));
