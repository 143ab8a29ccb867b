import type { Level, Requirement } from './case.js';
import type { Result } from './run.js';

/** How many of a level were played, and how many passed. */
export interface Score {
  readonly played: number;
  readonly passed: number;
}

function scoreOf(results: readonly Result[], level: Level): Score {
  const ofLevel = results.filter((result) => result.case.level === level);
  return { played: ofLevel.length, passed: ofLevel.filter(({ outcome }) => outcome === 'pass').length };
}

/** An agent, or a coordinator, conforms when it has passed every must that was played; something was. */
export function conforms(results: readonly Result[]): boolean {
  const { played, passed } = scoreOf(results, 'must');
  return results.length > 0 && played === passed;
}

/** One line for each result, in columns. */
export function tableOf(results: readonly Result[]): string {
  const head = ['RULE', 'LEVEL', 'CASE', 'RESULT', 'TOOK', 'SEEN'];
  const rows = results.map((result) => [
    result.case.rule,
    result.case.level,
    result.case.id,
    result.outcome,
    `${(result.tookMs / 1_000).toFixed(1)} s`,
    firstLine(result.seen),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** What was seen in full, and the agent's last words, of each that failed. */
export function failuresOf(results: readonly Result[]): string {
  return results
    .filter(({ outcome }) => outcome !== 'pass')
    .map(({ case: { id, rule, level, title }, seen, output }) => {
      const last = output.trim().split('\n').slice(-LAST_LINES);
      const said =
        last.join('') === ''
          ? ''
          : `  the agent's last lines:\n${last.map((line) => `    ${line}\n`).join('')}`;
      return `\n${id} (${rule}, ${level}): ${title}\n  seen: ${seen}\n${said}`;
    })
    .join('');
}

const LAST_LINES = 8;

export function summaryOf(results: readonly Result[], judged = 'agent'): string {
  const [must, should] = [scoreOf(results, 'must'), scoreOf(results, 'should')];
  const passed = must.played === 0 ? 'was asked no must' : 'conforms';
  const verdict = conforms(results) ? passed : 'does not conform';
  return `\nthe ${judged} ${verdict}: must ${must.passed} of ${must.played} passed, should ${should.passed} of ${should.played}\n`;
}

/** The cases themselves, for `--list`. */
export function listOf(cases: readonly Requirement[]): string {
  const width = Math.max(0, ...cases.map(({ id }) => id.length));
  const rule = Math.max(0, ...cases.map((one) => one.rule.length));
  return cases
    .map((one) => `${one.rule.padEnd(rule)}  ${one.level.padEnd(6)}  ${one.id.padEnd(width)}  ${one.title}\n`)
    .join('');
}

/** For programs: stable names, times in milliseconds. */
export function jsonOf(kind: string, results: readonly Result[]): Readonly<Record<string, unknown>> {
  return {
    kind,
    conforms: conforms(results),
    must: scoreOf(results, 'must'),
    should: scoreOf(results, 'should'),
    cases: results.map(({ case: { id, rule, level, title }, outcome, seen, tookMs, output }) => ({
      ...{ id, rule, level, title, outcome, seen },
      tookMs: Math.round(tookMs),
      ...(output === '' ? {} : { output }),
    })),
  };
}

/** JUnit XML: a failed must is a failure, a failed should is skipped with what was seen, as CI systems know no third. */
export function junitOf(kind: string, results: readonly Result[]): string {
  const seconds = results.reduce((sum, { tookMs }) => sum + tookMs, 0) / 1_000;
  const failures = results.filter(
    ({ outcome, case: { level } }) => outcome !== 'pass' && level === 'must',
  ).length;
  const skipped = results.filter(
    ({ outcome, case: { level } }) => outcome !== 'pass' && level === 'should',
  ).length;
  const counts = `tests="${results.length}" failures="${failures}" skipped="${skipped}" time="${seconds.toFixed(3)}"`;
  const cases = results.map(
    (result) =>
      `    <testcase classname="${attribute(`${result.case.rule} ${result.case.level}`)}" name="${attribute(
        `${result.case.id}: ${result.case.title}`,
      )}" time="${(result.tookMs / 1_000).toFixed(3)}">${detailOf(result)}</testcase>\n`,
  );
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    `<testsuites name="holdfast conformance" ${counts}>\n` +
    `  <testsuite name="${attribute(kind)}" ${counts}>\n${cases.join('')}  </testsuite>\n</testsuites>\n`
  );
}

function detailOf({ outcome, seen, output, case: { level } }: Result): string {
  if (outcome === 'pass') return `<system-out>${text(seen)}</system-out>`;
  if (level === 'should') return `<skipped message="${attribute(seen)}"/>`;
  return `<failure message="${attribute(firstLine(seen))}">${text(seen)}</failure><system-err>${text(output)}</system-err>`;
}

const firstLine = (words: string): string => words.split('\n')[0] ?? '';

// Characters that XML has no way to write are left out: an agent may print anything.
const UNWRITABLE = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;

const text = (words: string): string =>
  words.replaceAll(UNWRITABLE, '').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const attribute = (words: string): string => text(words).replaceAll('"', '&quot;').replaceAll('\n', '&#10;');
