import { createHash } from 'node:crypto';
import { type DagClock, dagClock } from '../clock.js';
import { FileParser, type ParserOptions } from '../isolate/parser.js';
import type { Parsed } from '../isolate/protocol.js';
import { languageOf } from '../read.js';
import { type ListedFile, listBundle } from './list.js';

/** A DAG of a bundle, as JSON text in the form of DAG files. */
export interface BundleDag {
  /** Within the bundle, with forward slashes. */
  readonly file: string;
  readonly dagId: string;
  readonly source: string;
}

/** Why a file gives no DAGs. */
export interface BundleError {
  readonly file: string;
  /** Lines as `file:line:column: message`; at most 16 KiB. */
  readonly message: string;
}

/** Everything that a bundle holds at one moment; both lists in the order of the files. */
export interface Snapshot {
  readonly dags: readonly BundleDag[];
  readonly importErrors: readonly BundleError[];
  /** The same for the same content. */
  readonly hash: string;
}

/** Bytes of the message of an import error, as the coordinator takes it. */
const MESSAGE_BYTES = 16 * 1024;
/** A file that was stopped, for what it took, is tried again after this: the machine may have been busy. */
const RETRY_MS = 5 * 60_000;

interface Kept {
  readonly stamp: string;
  readonly parsed: Parsed;
  /** Null unless it was stopped. */
  readonly retryAt: number | null;
}

/** A folder of DAG files, read again and again; what has not changed is not parsed again. */
export class Bundle {
  readonly #root: string;
  readonly #parser: FileParser;
  readonly #clock: DagClock;
  #kept: ReadonlyMap<string, Kept> = new Map();

  constructor(root: string, options: ParserOptions = {}) {
    this.#root = root;
    this.#parser = new FileParser(options);
    this.#clock = options.clock ?? dagClock;
  }

  /**
   * Rejects when the folder cannot be read, or no process started: then nothing is known, which is not the same as
   * nothing being there.
   */
  async read(): Promise<Snapshot> {
    const files = await listBundle(this.#root);
    // A module may import any of them, so that one which did not change itself may still say something else.
    const code = stampOf(files.filter(({ isDag, file }) => !isDag || languageOf(file) === 'module'));
    const dags = files.filter(({ isDag }) => isDag);
    const outcomes = await Promise.all(dags.map((file) => this.#parse(file, code)));
    const kept = new Map(dags.map(({ file }, n) => [file, outcomes[n] as Kept]));
    this.#kept = kept;
    return snapshotOf(dags.map(({ file }, n) => ({ file, parsed: (outcomes[n] as Kept).parsed })));
  }

  close(): void {
    this.#parser.close();
  }

  async #parse({ file, path, stamp }: ListedFile, code: string): Promise<Kept> {
    const full = languageOf(file) === 'module' ? `${stamp} ${code}` : stamp;
    const kept = this.#kept.get(file);
    const isDue =
      kept?.retryAt !== undefined && kept.retryAt !== null && kept.retryAt <= this.#clock.monoMs();
    if (kept?.stamp === full && !isDue) return kept;
    const { parsed, stopped } = await this.#parser.parse(path, file);
    return { stamp: full, parsed, retryAt: stopped ? this.#clock.monoMs() + RETRY_MS : null };
  }
}

const stampOf = (files: readonly ListedFile[]): string => {
  const hash = createHash('sha256');
  for (const { file, stamp } of files) hash.update(`${file}\0${stamp}\n`);
  return hash.digest('hex');
};

/**
 * Two files may have one DAG id: the coordinator judges which of them has it, since it alone knows which one had it before.
 * The first file in the alphabet would take a DAG over by being copied.
 */
function snapshotOf(files: readonly { readonly file: string; readonly parsed: Parsed }[]): Snapshot {
  const dags: BundleDag[] = [];
  const importErrors: BundleError[] = [];
  for (const { file, parsed } of files) {
    if (parsed.kind === 'errors') importErrors.push({ file, message: shorten(parsed.errors) });
    else if (parsed.kind === 'dags')
      dags.push(...parsed.dags.map(({ dagId, source }) => ({ file, dagId, source })));
  }
  const hash = createHash('sha256')
    .update(JSON.stringify([dags, importErrors]))
    .digest('hex');
  return { dags, importErrors, hash };
}

/** Whole lines, as many as fit. */
function shorten(lines: readonly string[]): string {
  let text = '';
  for (const [n, line] of lines.entries()) {
    const next = n === 0 ? line.slice(0, MESSAGE_BYTES / 8) : `${text}\n${line}`;
    if (Buffer.byteLength(next) > MESSAGE_BYTES - 64) return `${text}\nand ${lines.length - n} more`;
    text = next;
  }
  return text;
}
