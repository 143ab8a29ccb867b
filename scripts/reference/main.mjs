// `npm run reference [-- --check]`: the pages of docs/reference, and the table in docs/writing-an-agent.md, written from the
// program itself. With --check nothing is written, and what is out of date or has no comment is a failure.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { root } from '../tool.mjs';
import { apiPage } from './api.mjs';
import { cliPage } from './cli.mjs';
import { configurationPage } from './configuration.mjs';
import { agentGuide } from './conformance.mjs';
import { dagSchemaText } from './dag-schema.mjs';

const check = process.argv.includes('--check');
const api = apiPage();
const pages = {
  'api.md': api.text,
  'cli.md': cliPage(),
  'configuration.md': configurationPage(),
  'dag.schema.json': dagSchemaText(),
};
const guide = agentGuide(readFileSync(resolve(root, 'docs/writing-an-agent.md'), 'utf8'));
pages['../writing-an-agent.md'] = guide.text;
const faults = [
  ...api.silent.map((name) => `${name} is exported and has no comment`),
  ...guide.unsaid.map((id) => `docs/writing-an-agent.md has no step that speaks of the case ${id}`),
  ...guide.unknown.map(
    (id) => `docs/writing-an-agent.md names the case ${id}, which the conformance kit does not have`,
  ),
];
for (const [name, text] of Object.entries(pages)) {
  const file = resolve(root, 'docs/reference', name);
  if (!check) writeFileSync(file, text);
  else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
    faults.push(`${relative(root, file)} is out of date: npm run reference`);
  }
}
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);
