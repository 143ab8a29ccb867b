// docs/reference/configuration.md, from the table of settings.
import { SETTINGS } from '../../dist/config/settings.js';
import { variableOf } from '../../dist/kit/variable.js';

const cell = (text) => text.replaceAll('|', '\\|');

export function configurationPage() {
  const rows = Object.entries(SETTINGS).map(([key, of]) => {
    const given = of.fallback === null ? '' : of.kind.show(/** @type {never} */ (of.fallback));
    const preset = given === '' ? (of.otherwise ?? 'none') : `\`${cell(given)}\``;
    const variables = [variableOf(of.flag), ...(of.foreign ?? []).map(({ variable }) => variable)];
    const names = variables.map((name) => `\`${name}\``).join(', ');
    return `| \`${key}\` | \`--${of.flag} ${cell(of.kind.placeholder)}\` | ${names} | ${preset} | ${cell(of.doc)} |`;
  });
  const lines = [
    '# Configuration',
    '',
    'Written by `npm run reference` from the table of settings; a test fails when it is out of date.',
    '',
    'A value comes from the first of: the flag, the environment, the configuration file, the default. The file is the one that `--config` or',
    '`HOLDFAST_CONFIG` names, else the first of `./holdfast.yaml`, `$XDG_CONFIG_HOME/holdfast/holdfast.yaml`, `/etc/holdfast/holdfast.yaml`; a key',
    'is its path there, and one that nobody knows is an error. `holdfast config show --origin` says what is in force and why. Durations have',
    'units, as in `500ms`, `15s`, `10m`, `24h`.',
    '',
    '| key | flag | variable | default | |',
    '|---|---|---|---|---|',
    ...rows,
  ];
  return `${lines.join('\n')}\n`;
}
