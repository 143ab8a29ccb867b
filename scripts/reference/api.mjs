// docs/reference/api.md, from the declarations of the built package.
import { resolve } from 'node:path';
import { root } from '../tool.mjs';
import { exportsOf, undocumented } from './declarations.mjs';

/** Entries whose symbols are written by hand; the stubs are generated from the protos, which have the comments. */
const ENTRIES = [
  [
    'holdfast',
    'dist/index.d.ts',
    'The coordinator to embed; and everything of `holdfast/client`, listed there.',
  ],
  ['holdfast/client', 'dist/client/index.d.ts', 'The client alone.'],
  ['holdfast/agent', 'dist/agent/index.d.ts', 'Workers inside a program.'],
  [
    'holdfast/dag',
    'dist/dag/builder/index.d.ts',
    'DAGs as modules; what they may hold is in [DAG files](dag-files.md).',
  ],
];

const cell = (text) => text.replace(/\s*\n\s*/g, ' ').replaceAll('|', '\\|');

function section({ name, kind, text, doc, members }) {
  const lines = [`### ${name}`, '', `${kind}${doc === '' ? '' : `. ${doc}`}`, ''];
  if (members.length === 0 || kind === 'class' || / extends /.test(text))
    lines.push('```ts', text, '```', '');
  if (members.length === 0) return lines;
  lines.push('| member | |', '|---|---|');
  for (const member of members)
    lines.push(`| \`${cell(member.text).replace(/;$/, '')}\` | ${cell(member.doc)} |`);
  return [...lines, ''];
}

export function apiPage() {
  const seen = new Set();
  const lines = [
    '# API',
    '',
    'Written by `npm run reference` from the declarations of the package; a test fails when it is out of date, or when something that is',
    'exported has no comment. `holdfast/stubs` exports the generated messages and services of `holdfast.v1`; their comments are in',
    '`holdfast/proto/*`, the `.proto` files.',
    '',
  ];
  const silent = [];
  const [, clientFile] = ENTRIES[1];
  const ofClient = new Set(exportsOf(resolve(root, clientFile)).map(({ name }) => name));
  for (const [entry, file, about] of ENTRIES) {
    const all = exportsOf(resolve(root, file));
    const own = all.filter(({ name }) => !seen.has(name) && (entry !== 'holdfast' || !ofClient.has(name)));
    for (const { name } of own) seen.add(name);
    silent.push(...undocumented(own).map((name) => `${entry}: ${name}`));
    lines.push(`## ${entry}`, '', about, '', ...own.flatMap(section));
  }
  return { text: `${lines.join('\n').trimEnd()}\n`, silent };
}
