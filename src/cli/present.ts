import type { Shape } from './shapes.js';
import type { OutputForm, Sink } from './terminal.js';

/** The same data in every form; only the form asked for is made. */
export interface Presentation {
  /** One object, or a list of them. */
  readonly data: Shape | readonly Shape[];
  readonly names: readonly string[];
  readonly table: () => string;
}

/** Prints data on standard output in the form that was asked for. */
export async function present(out: Sink, form: OutputForm, of: Presentation): Promise<void> {
  switch (form) {
    case 'json':
      return out.print(`${JSON.stringify(of.data, null, 2)}\n`);
    case 'jsonl':
      return out.print(jsonLines(of.data));
    case 'yaml':
      return out.print((await import('yaml')).stringify(of.data));
    case 'name':
      return out.print(of.names.map((name) => `${name}\n`).join(''));
    case 'table':
      return out.print(of.table());
  }
}

/** Prints one item of a stream: `json` is one object a line there, since an array would never end. */
export async function presentItem(out: Sink, form: OutputForm, of: Presentation): Promise<void> {
  if (form === 'yaml') return out.print(`---\n${(await import('yaml')).stringify(of.data)}`);
  return present(out, form === 'json' ? 'jsonl' : form, of);
}

function jsonLines(data: Shape | readonly Shape[]): string {
  const list = Array.isArray(data) ? data : [data];
  return list.map((item) => `${JSON.stringify(item)}\n`).join('');
}
