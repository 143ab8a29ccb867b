import { createHash } from 'node:crypto';
import type { SnapshotBytes } from '../../../agent/core/bundle-upload.js';
import type { DagDefinition } from '../../../core/dag/definition.js';

/** What a folder of DAG files holds at one moment. */
export interface BundleFiles {
  /** By file. Undefined: the file cannot be parsed. */
  readonly files: ReadonlyMap<string, DagDefinition | undefined>;
}

/** A snapshot as it travels here: JSON stands for the proto's message. */
export interface SentSnapshot {
  readonly dags: readonly { readonly file: string; readonly definition: DagDefinition }[];
  readonly importErrors: readonly { readonly file: string; readonly message: string }[];
}

/** A bundle: the folder that its processors read, whoever of them is connected. */
export class Bundle {
  readonly name: string;
  content: BundleFiles;
  /** Everything that its processors have ever read, by hash: what may come into force. */
  readonly read = new Map<string, BundleFiles>();

  constructor(name: string, content: BundleFiles) {
    this.name = name;
    this.content = content;
  }

  /** What a processor makes of it now. */
  snapshot(): SnapshotBytes {
    const { content } = this;
    const dags: SentSnapshot['dags'][number][] = [];
    const importErrors: SentSnapshot['importErrors'][number][] = [];
    for (const [file, definition] of content.files) {
      if (definition === undefined) importErrors.push({ file, message: `${file}:1:1: no DAG` });
      else dags.push({ file, definition });
    }
    const sent: SentSnapshot = { dags, importErrors };
    const bytes = new TextEncoder().encode(JSON.stringify(sent));
    const hash = createHash('sha256').update(bytes).digest('hex');
    this.read.set(hash, content);
    return { bytes, hash };
  }
}
