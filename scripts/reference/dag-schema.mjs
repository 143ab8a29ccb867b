// docs/reference/dag.schema.json, from the checks of DAG files themselves.
import { dagSchema } from '../../dist/dag/format/json-schema.js';

export const dagSchemaText = () => `${JSON.stringify(dagSchema(), null, 2)}\n`;
