/*
 * The process that reads DAG files, one at a time. Whatever a file does to it, it does to this process alone: the asker
 * ends it when it takes too long or too much.
 */
import { readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import * as modules from 'node:module';
import { pathToFileURL } from 'node:url';
import { FILE_LIMITS, languageOf, type ReadFile, readExported, readText } from '../read.js';
import { loadDefault } from './load.js';
import type { Parsed, Question } from './protocol.js';

const BUILDER = new URL('../builder/index.js', import.meta.url).href;

// Files may lie anywhere, and need no package of their own for the builder: it is always the one of whoever reads them.
// The oldest Node that is supported cannot do this; there the package must be installed beside the files.
modules.registerHooks?.({
  resolve: (specifier, context, next) =>
    specifier === 'holdfast/dag'
      ? { url: BUILDER, shortCircuit: true }
      : asItIsWritten(next(specifier, context)),
});

const MODULE_SYNTAX = /^[ \t]*(?:import|export)\b/m;

/**
 * `npm init` writes "type": "commonjs", and with it a package.json above a folder of DAG files would have their imports
 * refused. What they import from node_modules is left as it is: packages know what they are.
 */
function asItIsWritten(found: modules.ResolveFnOutput): modules.ResolveFnOutput {
  const { url, format } = found;
  if (format !== 'commonjs' && format !== 'commonjs-typescript') return found;
  if (url.includes('/node_modules/') || !MODULE_SYNTAX.test(readFileSync(new URL(url), 'utf8'))) return found;
  return { ...found, format: format.replace('commonjs', 'module') };
}

const send = process.send?.bind(process);
process.on('message', (question: Question) => {
  parse(question).then(
    (parsed) => send?.({ n: question.n, parsed }),
    (error: unknown) => send?.({ n: question.n, parsed: failed(question.name, error) }),
  );
});
// The asker is gone, and with it everybody who would want an answer.
process.on('disconnect', () => process.exit());

async function parse({ path, name }: Question): Promise<Parsed> {
  const size = await sizeOf(path);
  if (size === null) return { kind: 'gone' };
  if (size > FILE_LIMITS.bytes) {
    return {
      kind: 'errors',
      errors: [`${name}: the file has ${size} bytes, and at most ${FILE_LIMITS.bytes} are read`],
    };
  }
  const language = languageOf(path);
  if (language === 'module') return toParsed(readExported(name, await loadDefault(pathToFileURL(path).href)));
  return toParsed(readText(name, await readFile(path, 'utf8'), language ?? 'yaml'));
}

/** Null when it is not there: asked apart, since a module may miss a file of its own, and is a fault then. */
async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function toParsed(read: ReadFile): Parsed {
  if (!read.ok) return { kind: 'errors', errors: read.errors };
  const dags = read.dags.map(({ definition, source }) => ({ dagId: definition.dagId, source }));
  return { kind: 'dags', dags };
}

/** Lines of a stack that say where in the user's file it happened; those of what read the file say nothing. */
const STACK_LINES = 6;
const OWN = new URL('.', import.meta.url).href;
const isTheirs = (line: string): boolean =>
  !/^\s+at /.test(line) || !(line.includes(OWN) || line.includes('node:internal/'));

function failed(name: string, error: unknown): Parsed {
  const { code, stack, message } = (error ?? {}) as NodeJS.ErrnoException;
  const told =
    code === undefined ? stack?.split('\n').filter(isTheirs).slice(0, STACK_LINES).join('\n') : message;
  return { kind: 'errors', errors: [`${name}: it cannot be read: ${told ?? String(error)}`] };
}
