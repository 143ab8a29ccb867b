// docs/reference/cli.md, from the commands as commander has them.
process.env.HOME = '/home/you';
for (const name of Object.keys(process.env))
  if (/^(HOLDFAST_|XDG_|AIRFLOW__)/.test(name)) delete process.env[name];
const { describeProgram } = await import('../../dist/main/program.js');

const cell = (text) => text.replace(/\s*\n\s*/g, ' ').replaceAll('|', '\\|');

function table(head, rows) {
  return rows.length === 0 ? [] : [`| ${head} | |`, '|---|---|', ...rows, ''];
}

function section(command, path) {
  const name = [...path, command.name()].join(' ');
  if (command.commands.length > 0) {
    return command.commands.flatMap((sub) => section(sub, [...path, command.name()]));
  }
  const options = command.options.filter((option) => !option.hidden);
  return [
    `## ${name}`,
    '',
    `${command.description()}.`,
    '',
    '```',
    `${name} ${command.usage()}`,
    '```',
    '',
    ...table(
      'argument',
      command.registeredArguments.map((each) => `| \`${each.name()}\` | ${cell(each.description)} |`),
    ),
    ...table(
      'option',
      options.map((option) => `| \`${cell(option.flags)}\` | ${cell(option.description)} |`),
    ),
  ];
}

export function cliPage() {
  const program = describeProgram();
  const lines = [
    '# Command line',
    '',
    'Written by `npm run reference` from the program itself; a test fails when it is out of date. The variable that stands for an option is in',
    'brackets. What an option decides, and which sources there are, is in [configuration](configuration.md); exit codes are in the README.',
    '',
    ...program.commands.flatMap((command) => section(command, [program.name()])),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}
