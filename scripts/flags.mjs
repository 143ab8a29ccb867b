import { parseArgs } from 'node:util';

/**
 * @typedef {{ type: 'string' | 'boolean', says: string, of?: string, whole?: number, among?: readonly string[],
 *   default?: string | boolean, multiple?: boolean }} Flag
 */

/**
 * Reads the flags of a script. Each is declared as for `parseArgs`, and says besides what it does (`says`), what stands
 * behind it (`of`, for one with a value), and what that may be: a whole number (`whole`: the least one), or one of some
 * words (`among`).
 *
 * `--help` prints them all and exits 0. A flag that nobody knows, a value that is missing or no number, exits 2 with one
 * line: what follows would be a run of half an hour that was not meant.
 *
 * @param {string} script as in `npm run SCRIPT`
 * @param {string} does one sentence
 * @param {Record<string, Flag>} flags
 * @param {string} [rest] what may stand beside the flags; nothing by default
 */
export function readFlags(script, does, flags, rest = '') {
  /** @type {Record<string, Flag>} */
  const known = { ...flags, help: { type: 'boolean', says: 'prints this' } };
  const options = Object.fromEntries(
    Object.entries(known).map(([name, flag]) => [name, declared(name, flag)]),
  );
  let parsed;
  try {
    parsed = parseArgs({ options, allowPositionals: rest !== '' });
  } catch (error) {
    // The first sentence alone: the others tell how to pass what looks like a flag and is none.
    refuse(script, error.message.split(/[.\n] ?/)[0]);
  }
  const { values, positionals } = parsed;
  if (values.help) {
    process.stdout.write(usage(script, does, known, rest));
    process.exit(0);
  }
  for (const [name, flag] of Object.entries(flags)) {
    const because = values[name] === undefined ? null : faultOf(flag, values[name]);
    if (because !== null) refuse(script, `--${name} ${because}`);
  }
  return { values, positionals };
}

/** As `parseArgs` wants it: it takes no `undefined`.
 * @param {string} name
 * @param {Flag} flag
 * @returns {import('node:util').ParseArgsOptionDescriptor} */
function declared(name, { type, default: value, multiple }) {
  return {
    type,
    ...(value === undefined ? {} : { default: value }),
    ...(multiple === true ? { multiple } : {}),
    ...(name === 'help' ? { short: 'h' } : {}),
  };
}

/** Why the flag cannot have that value; null when it can.
 * @param {Flag} flag
 * @param {any} value
 * @returns {string | null} */
function faultOf({ whole, among }, value) {
  if (whole !== undefined && !(/^\d+$/.test(value) && Number(value) >= whole))
    return `must be a whole number of at least ${whole}, not '${value}'`;
  if (among !== undefined && !among.includes(value)) return `is one of ${among.join(', ')}, not '${value}'`;
  return null;
}

/** Ends the script with one line: it cannot do what it is asked. */
export function refuse(script, because) {
  console.error(`error: ${because}; see npm run ${script} -- --help`);
  process.exit(2);
}

function usage(script, does, flags, rest) {
  const lines = Object.entries(flags).map(([name, { of = '', says, default: value, multiple }]) => {
    const shown = typeof value === 'string' ? ` (default: ${value})` : '';
    return [`--${name}${of === '' ? '' : ` ${of}`}${multiple ? ' …' : ''}`, `${says}${shown}`];
  });
  const width = Math.max(...lines.map(([flag]) => flag.length));
  const words = lines.map(([flag, says]) => `  ${flag.padEnd(width)}  ${says}\n`).join('');
  return `usage: npm run ${script} -- [FLAG…]${rest === '' ? '' : ` ${rest}`}\n\n${does}\n\n${words}`;
}
