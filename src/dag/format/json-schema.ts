import { z } from 'zod';
import { dagFile } from './schema.js';

/** The JSON Schema of a DAG, for editors: what the fields hold. What needs more than one field only Holdfast judges. */
export function dagSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = z.toJSONSchema(dagFile, { io: 'input', target: 'draft-7' });
  return { $schema, title: 'A DAG of Holdfast', ...schema };
}
