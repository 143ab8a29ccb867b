// What the seeds have reached: every row of the core's rule tables, every answer, event and edge, by how often.
import { COVERAGE_ROWS } from '../../dist/testing/sim/index.js';

/** Prints the table; the rows that must be reached and were not. */
export function printCoverage(results) {
  const total = new Map();
  for (const { coverage } of results) {
    for (const [name, value] of Object.entries(coverage)) total.set(name, (total.get(name) ?? 0) + value);
  }
  console.log('\n     times  row');
  for (const { key } of COVERAGE_ROWS.filter((row) => total.has(row.key))) line(total.get(key), key);
  const left = COVERAGE_ROWS.filter(({ key }) => !total.has(key));
  const exempt = left.filter((row) => row.exempt !== null);
  const unreached = left.filter((row) => row.exempt === null).map(({ key }) => key);
  if (exempt.length > 0) console.log('\ncannot be reached in the simulator, because');
  for (const row of exempt) console.log(`            ${row.key}: ${row.exempt}`);
  // A reason that has stopped being true is a row that must be reached from now on.
  const wrong = COVERAGE_ROWS.filter((row) => row.exempt !== null && total.has(row.key)).map(
    ({ key }) => key,
  );
  if (wrong.length > 0) console.log(`\nsaid to be out of reach, and reached: ${wrong.join(', ')}`);
  console.log(
    `\n${COVERAGE_ROWS.length - left.length} rows reached, ${unreached.length} unreached, ${exempt.length} out of reach`,
  );
  for (const key of unreached) console.log(`unreached: ${key}`);
  return [...unreached, ...wrong];
}

const line = (value, name) => console.log(`${String(value).padStart(10)}  ${name}`);
