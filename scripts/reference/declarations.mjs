// What a package exports, read from its declaration files: each symbol with its text, its comment and its members.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseSync } from 'oxc-parser';

const cache = new Map();

function parse(file) {
  const known = cache.get(file);
  if (known !== undefined) return known;
  const text = readFileSync(file, 'utf8');
  const { program, comments, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`);
  const parsed = { file, text, program, comments: comments.filter((comment) => comment.type === 'Block') };
  cache.set(file, parsed);
  return parsed;
}

/** `./x.js` as a declaration file names it → the declaration file; undefined for a package. */
const targetOf = (file, source) =>
  source.startsWith('.') ? resolve(dirname(file), source.replace(/\.js$/, '.d.ts')) : undefined;

/** The comment right before an offset, without its stars; empty when there is none. */
function commentBefore({ text, comments }, start) {
  const comment = comments.findLast(({ end }) => end <= start && text.slice(end, start).trim() === '');
  if (comment === undefined || !comment.value.startsWith('*')) return '';
  return comment.value
    .slice(1)
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''))
    .join('\n')
    .trim();
}

const nameOf = (key) => key?.name ?? key?.value ?? '';

// A member under a symbol of the module's own cannot be named by anybody: it tells types apart.
const isBrand = ({ text }, { computed, key }) =>
  computed && !text.slice(key.start, key.end).startsWith('Symbol.');

function membersOf(module, declaration) {
  const body =
    declaration.type === 'TSTypeAliasDeclaration' ? declaration.typeAnnotation : (declaration.body ?? {});
  const nodes = body.type === 'TSTypeLiteral' ? body.members : Array.isArray(body.body) ? body.body : [];
  return (
    nodes
      .filter(
        (node) => node.key !== undefined && node.key.type !== 'PrivateIdentifier' && !isBrand(module, node),
      )
      // `env?: undefined` only keeps one form of a union from being taken for another.
      .filter((node) => node.typeAnnotation?.typeAnnotation.type !== 'TSUndefinedKeyword')
      .map((node) => ({
        name: node.computed ? module.text.slice(node.key.start, node.key.end) : nameOf(node.key),
        text: module.text.slice(node.start, node.end).replace(/^readonly /, ''),
        doc: commentBefore(module, node.start),
      }))
  );
}

function symbolOf(module, name, statement, declaration) {
  const members = membersOf(module, declaration);
  const whole = module.text.slice(declaration.start, declaration.end);
  const kinds = {
    ClassDeclaration: 'class',
    TSInterfaceDeclaration: 'interface',
    TSTypeAliasDeclaration: 'type',
    TSDeclareFunction: 'function',
    VariableDeclaration: 'constant',
  };
  const kind = kinds[declaration.type] ?? declaration.type;
  const text = (members.length > 0 ? whole.slice(0, whole.indexOf('{')) : whole)
    .replace(/^declare /, '')
    .trim();
  return { name, kind, text, doc: commentBefore(module, statement.start), members };
}

/** Names that a statement declares, with what declares them. */
function declaredBy(statement) {
  const declaration = statement.declaration ?? statement;
  if (declaration.type === 'VariableDeclaration') {
    return declaration.declarations.map(({ id }) => [id.name, declaration]);
  }
  return declaration.id?.name === undefined ? [] : [[declaration.id.name, declaration]];
}

/** One symbol by its name in a module, wherever it is declared. */
function find(file, name) {
  const module = parse(file);
  for (const statement of module.program.body) {
    for (const [declared, declaration] of declaredBy(statement)) {
      if (declared === name) return symbolOf(module, name, statement, declaration);
    }
  }
  return exportsOf(file).find((symbol) => symbol.name === name) ?? imported(module, name);
}

function imported({ file, program }, name) {
  for (const statement of program.body.filter(({ type }) => type === 'ImportDeclaration')) {
    const specifier = statement.specifiers.find(({ local }) => local.name === name);
    const target = specifier === undefined ? undefined : targetOf(file, statement.source.value);
    if (target !== undefined) return find(target, nameOf(specifier.imported));
  }
  throw new Error(`${file}: ${name} is exported and declared nowhere`);
}

/** Every symbol that a module exports, by name. */
export function exportsOf(file) {
  const module = parse(file);
  const found = new Map();
  for (const statement of module.program.body) {
    const target = statement.source ? targetOf(file, statement.source.value) : file;
    if (statement.type === 'ExportAllDeclaration') {
      for (const symbol of exportsOf(target)) found.set(symbol.name, symbol);
    } else if (statement.type === 'ExportNamedDeclaration' && statement.declaration) {
      for (const [name, declaration] of declaredBy(statement)) {
        found.set(name, symbolOf(module, name, statement, declaration));
      }
    } else if (statement.type === 'ExportNamedDeclaration') {
      for (const { local, exported } of statement.specifiers) {
        const name = nameOf(exported);
        const symbol = statement.source ? find(target, nameOf(local)) : find(file, nameOf(local));
        found.set(name, { ...symbol, name });
      }
    }
  }
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name, 'en'));
}

/** What has no comment, as `Symbol` or `Symbol.member`. Overloads share the comment of the first. */
export function undocumented(symbols) {
  return symbols.flatMap(({ name, doc, members }) => {
    const told = new Set(members.filter((member) => member.doc !== '').map((member) => member.name));
    const silent = members
      .filter((member) => !told.has(member.name))
      .map((member) => `${name}.${member.name}`);
    return [...(doc === '' ? [name] : []), ...silent];
  });
}
