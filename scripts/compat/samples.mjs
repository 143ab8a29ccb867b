// Samples of the messages of a folder of protos, made from the descriptors alone: no field can be forgotten.
import { globSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadSync } from '@grpc/proto-loader';

const MESSAGE_FORMAT = 'Protocol Buffer 3 DescriptorProto';
const PACKAGE = 'holdfast.v1.';
const WELL_KNOWN = {
  Duration: { seconds: '3', nanos: 250_000_000 },
  Timestamp: { seconds: '1700000000', nanos: 125_000_000 },
};
const last = (typeName) => typeName.split('.').at(-1) ?? '';

/** The protos as proto-loader reads them: camelCase, 64-bit numbers as text, enums by name. */
export function definitionOf(folder) {
  const files = globSync('holdfast/v1/*.proto', { cwd: folder }).sort();
  const options = { longs: String, enums: String, defaults: true, oneofs: true };
  return loadSync(files, { includeDirs: [resolve(folder)], ...options });
}

/** Names of all messages, without the package. */
export const namesIn = (definition) =>
  Object.keys(definition)
    .filter((name) => name.startsWith(PACKAGE) && definition[name].format === MESSAGE_FORMAT)
    .map((name) => name.slice(PACKAGE.length))
    .sort();

const descriptorOf = (definition, name) => {
  const found = definition[PACKAGE + name] ?? definition[`google.protobuf.${name}`];
  if (found === undefined) throw new Error(`no type ${name}`);
  return found.type;
};

/** A value that is not the default, and differs from field to field. */
function sample(definition, field, owner, depth) {
  switch (field.type) {
    case 'TYPE_STRING':
      return `${field.name} ✓`;
    case 'TYPE_BYTES':
      return Buffer.from([0, 1, 254, 255, field.number]);
    case 'TYPE_BOOL':
      return true;
    case 'TYPE_UINT64':
      return '18446744073709551615';
    case 'TYPE_INT64':
      return '-9007199254740993';
    case 'TYPE_UINT32':
    case 'TYPE_FIXED32':
      return 4_294_967_295;
    case 'TYPE_INT32':
      return -7;
    case 'TYPE_DOUBLE':
      return 0.125;
    case 'TYPE_ENUM':
      return descriptorOf(definition, last(field.typeName)).value.at(-1)?.name;
    case 'TYPE_MESSAGE': {
      const name = last(field.typeName);
      const map = owner.nestedType.find((nested) => nested.name === name);
      if (map !== undefined) return { key: sample(definition, map.field[1], map, depth) };
      return WELL_KNOWN[name] ?? filled(definition, name, depth - 1)[0];
    }
    default:
      throw new Error(`no sample of ${field.type}`);
  }
}

const isMap = (descriptor, field) => descriptor.nestedType.some(({ name }) => name === last(field.typeName));
const isChoice = ({ oneofDecl }) => oneofDecl.some(({ name }) => !name.startsWith('_'));

/**
 * The message with every field set; one for each arm where it is a choice. Messages inside are filled `depth` levels
 * down; below that they have their first plain field alone.
 */
export function filled(definition, name, depth = Number.POSITIVE_INFINITY) {
  const descriptor = descriptorOf(definition, name);
  const plain = descriptor.field.filter(({ type }) => type !== 'TYPE_MESSAGE');
  const fields = depth > 0 ? descriptor.field : plain.slice(0, 1);
  const entries = fields.map((field) => {
    const value = sample(definition, field, descriptor, depth);
    const many = field.label === 'LABEL_REPEATED' && !isMap(descriptor, field);
    return [field.name, many ? [value, value] : value];
  });
  if (isChoice(descriptor))
    return entries.length === 0 ? [{}] : entries.map((one) => Object.fromEntries([one]));
  return [Object.fromEntries(entries)];
}

/** The message with its optional fields present and zero, which is not the same as absent; none without such fields. */
export function present(definition, name) {
  const zero = { TYPE_STRING: '', TYPE_UINT32: 0, TYPE_INT32: 0, TYPE_DOUBLE: 0, TYPE_BOOL: false };
  const optional = descriptorOf(definition, name).field.filter(({ proto3Optional }) => proto3Optional);
  if (optional.length === 0) return [];
  return [
    Object.fromEntries(
      optional.map(({ name: field, type }) => {
        if (!(type in zero)) throw new Error(`no zero of ${type}`);
        return [field, zero[type]];
      }),
    ),
  ];
}
