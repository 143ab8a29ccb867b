import type { Param } from '../../core/dag/definition.js';
import { faultOfParam } from '../../core/dag/params.js';
import { type DagFault, faultAt, type Path } from '../fault.js';
import { paramOf, scheduleOf } from '../format/define.js';
import type { DagFile } from '../format/schema.js';

/** Params whose parts contradict each other, or that nobody could give. */
export function faultsOfParams(file: DagFile): DagFault[] {
  const isScheduled = scheduleOf(file).kind !== 'none';
  return Object.entries(file.params ?? {}).flatMap(([name, written]) => {
    const path = ['params', name];
    const param = paramOf(written);
    const faults = faultsOfParam(path, param);
    if (param.default === undefined && isScheduled) {
      faults.push(
        faultAt(
          path,
          `param ${name} has no default: nobody is there to give a value when the schedule creates a run`,
        ),
      );
    }
    return faults;
  });
}

function faultsOfParam(path: Path, param: Param): DagFault[] {
  const faults: DagFault[] = [];
  const name = path.at(-1);
  const { minimum, maximum, type } = param;
  for (const [bound, value] of Object.entries({ minimum, maximum })) {
    if (value !== null && type !== 'number' && type !== 'integer') {
      faults.push(
        faultAt([...path, bound], `${bound} is for numbers only, and param ${name} is of type ${type}`),
      );
    }
  }
  if (minimum !== null && maximum !== null && minimum > maximum) {
    faults.push(faultAt([...path, 'maximum'], `maximum ${maximum} is less than minimum ${minimum}`));
  }
  for (const [n, value] of param.oneOf.entries()) {
    const because = faultOfParam({ ...param, oneOf: [] }, value);
    if (because !== null)
      faults.push(faultAt([...path, 'enum', n], `param ${name}, one of its enum: ${because}`));
  }
  const because = param.default === undefined ? null : faultOfParam(param, param.default);
  if (because !== null)
    faults.push(faultAt([...path, 'default'], `the default of param ${name}: ${because}`));
  return faults;
}
