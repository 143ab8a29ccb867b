import { stat } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { EXIT, Failure } from '../../cli/index.js';
import type { DagDefinition } from '../../core/dag/definition.js';
import { listBundle } from '../../dag/bundle/list.js';
import { checkDag } from '../../dag/check/index.js';
import { warningsOf } from '../../dag/check/warnings.js';
import { FileParser } from '../../dag/isolate/parser.js';
import { languageOf } from '../../dag/read.js';
import { didYouMean } from '../../kit/suggest.js';

/** A file as it was read. */
export interface FileReport {
  /** As people write it from where they are. */
  readonly file: string;
  readonly dags: readonly DagDefinition[];
  /** Lines as `file:line:column: message`; empty when all is well. */
  readonly errors: readonly string[];
  /** Lines as `file: warning: message`: what is allowed, and hardly ever meant. */
  readonly warnings: readonly string[];
}

const noFile = (path: string, because: string, advice: string): Failure =>
  new Failure(EXIT.notFound, 'DAG_FILE_NOT_FOUND', [{ what: `no DAG file ${path}`, because, try: advice }]);

const NAMES = 'DAG files are called *.dag.yaml, *.dag.yml, *.dag.json, *.dag.ts, *.dag.js or *.dag.mjs';

/** The DAG files that were named, and those in folders that were. Throws Failure: 4 when one is not there. */
export async function findFiles(paths: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const path of paths) {
    const kind = await stat(path).catch(() => undefined);
    if (kind === undefined) throw noFile(path, 'there is no such file or folder', 'name one that is there');
    if (kind.isFile()) {
      if (languageOf(path) === null) throw noFile(path, NAMES, 'rename it');
      found.add(resolve(path));
      continue;
    }
    const dags = (await listBundle(resolve(path))).filter(({ isDag }) => isDag);
    if (dags.length === 0) throw noFile(`in ${path}`, NAMES, 'name another folder, or a file');
    for (const { path: file } of dags) found.add(file);
  }
  return [...found];
}

/** Reads files each apart, and says which DAGs more than one has. */
export async function readFiles(files: readonly string[]): Promise<readonly FileReport[]> {
  const parser = new FileParser();
  try {
    const reports = await Promise.all(files.map((file) => readOne(parser, file)));
    return withWarnings(withoutDuplicates(reports));
  } finally {
    parser.close();
  }
}

async function readOne(parser: FileParser, path: string): Promise<FileReport> {
  const file = relative(process.cwd(), path) || path;
  const { parsed } = await parser.parse(path, file);
  switch (parsed.kind) {
    case 'gone':
      return { file, dags: [], errors: [`${file}: it is not there any more`], warnings: [] };
    case 'errors':
      return { file, dags: [], errors: parsed.errors, warnings: [] };
    case 'dags': {
      const dags = parsed.dags.flatMap(({ source }) => {
        // The same rules have accepted it a moment ago, in the process that read it.
        const checked = checkDag(JSON.parse(source));
        return checked.ok ? [checked.definition] : [];
      });
      return { file, dags, errors: [], warnings: [] };
    }
  }
}

function withoutDuplicates(reports: readonly FileReport[]): readonly FileReport[] {
  const owners = new Map<string, string>();
  return reports.map((report) => {
    const errors = report.dags
      .filter(({ dagId }) => owners.has(dagId))
      .map(
        ({ dagId }) =>
          `${report.file}: the DAG ${dagId} is in ${owners.get(dagId)} as well; rename one of them`,
      );
    for (const { dagId } of report.dags) if (!owners.has(dagId)) owners.set(dagId, report.file);
    return errors.length === 0 ? report : { ...report, dags: [], errors };
  });
}

/** All of them are looked at together, as they would be in force. */
function withWarnings(reports: readonly FileReport[]): readonly FileReport[] {
  const warnings = warningsOf(reports.flatMap(({ dags }) => dags));
  return reports.map((report) => {
    const own = new Set(report.dags.map(({ dagId }) => dagId));
    const lines = warnings
      .filter(({ dagId }) => own.has(dagId))
      .map(({ dagId, message }) => `${report.file}: warning: DAG ${dagId}: ${message}`);
    return { ...report, warnings: lines };
  });
}

/** What is wrong with files, as the failure of a command that wants them right. */
const invalid = (errors: readonly string[]): Failure =>
  new Failure(
    EXIT.usage,
    'DAG_INVALID',
    errors.map((what) => ({
      what,
      because: 'the file is no valid DAG file',
      try: 'see docs/reference/dag-files.md',
    })),
  );

/** One DAG of a file. Throws Failure: 2 when the file is wrong, 4 when it does not have that DAG. */
export async function readDag(file: string, dagId: string | undefined): Promise<DagDefinition> {
  const reports = await readFiles(await findFiles([file]));
  const errors = reports.flatMap((report) => report.errors);
  if (errors.length > 0) throw invalid(errors);
  const dags = reports.flatMap((report) => report.dags);
  const ids = dags.map((dag) => dag.dagId);
  const chosen = dags.find((dag) => dag.dagId === (dagId ?? ids[0]));
  if (chosen !== undefined && (dagId !== undefined || ids.length === 1)) return chosen;
  const named =
    dagId === undefined ? 'which DAG is meant is not said' : `no DAG ${dagId}${didYouMean(dagId, ids)}`;
  throw new Failure(dagId === undefined ? EXIT.usage : EXIT.notFound, 'DAG_NOT_FOUND', [
    { what: named, because: `${file} has ${ids.join(', ')}`, try: 'name one of them behind the file' },
  ]);
}
