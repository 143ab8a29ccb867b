// The table of the conformance kit's cases in docs/writing-an-agent.md, and whether every case that the page names is one.
import { CASES } from '../../dist/testing/conformance/index.js';

const BEGIN = '<!-- cases: written by npm run reference -->\n';
const END = '<!-- end of the cases -->';

/**
 * The page with the table of today's cases; the names of cases in its text that the kit does not have, and the cases of
 * which no step speaks.
 */
export function agentGuide(page) {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error('docs/writing-an-agent.md has no place for the table of cases');
  const known = new Set(CASES.map(({ id }) => id));
  const topics = new Set(CASES.map(({ id }) => id.split('.')[0]));
  const named = [...before.matchAll(/`([a-z][a-z-]*)\.([a-z][a-z-]*)`/g)].filter(([, topic]) =>
    topics.has(topic),
  );
  const unknown = named.map(([, topic, name]) => `${topic}.${name}`).filter((id) => !known.has(id));
  const unsaid = [...known].filter((id) => !before.includes(`\`${id}\``));
  return { text: `${before}${BEGIN}${table()}${END}${after}`, unknown, unsaid };
}

function table() {
  const head = '| case | level | rule | for | what is asked |\n|---|---|---|---|---|\n';
  const rows = CASES.map(({ id, level, rule, kinds, title }) => {
    return `| \`${id}\` | ${level} | ${rule} | ${kinds.length === 3 ? 'all' : kinds.join(', ')} | ${title} |\n`;
  });
  return head + rows.join('');
}
