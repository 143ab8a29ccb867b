import { readFileSync } from 'node:fs';
import { ConfigError, type Problem } from '../config/problem.js';
import type { Config } from '../config/resolve.js';
import type { NotificationEvent } from '../core/rows.js';
import { type WebhookOptions, webhookFaults } from '../webhooks/endpoint.js';
import { mayReach } from './coordinator-options.js';

/** The endpoints of the configuration, their secrets read. Throws ConfigError with every problem found. */
export function webhooksOf(config: Config): readonly WebhookOptions[] {
  const problems: Problem[] = [];
  const secretFile = config.find('server.webhookSecretFile');
  const urls = config.get('server.webhookUrl');
  if (urls.length > 0 && secretFile === null) {
    problems.push({
      what: 'server.webhookUrl cannot be used alone',
      because: 'what is sent must be signed, or the receiver could not tell it from a forgery',
      try: 'name the file with the secret: --webhook-secret-file FILE',
    });
  }
  const entries = [
    ...(secretFile === null ? [] : urls.map((url) => ({ url, secretFile }))),
    ...config.get('server.webhooks'),
  ];
  const webhooks: WebhookOptions[] = [];
  for (const entry of entries) {
    const secret = readSecret(entry.secretFile, problems);
    const events = 'events' in entry ? { events: entry.events as readonly NotificationEvent[] } : {};
    if (secret !== null) webhooks.push({ url: entry.url, secret, ...events });
  }
  const allowed = config.get('server.allowPlaintext');
  for (const fault of webhookFaults(webhooks, (url) => mayReach(url, allowed))) {
    const [what = fault, because = ''] = fault.split(', because ');
    problems.push({ what, because, try: 'see docs/how-to/webhooks.md' });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return webhooks;
}

function readSecret(file: string, problems: Problem[]): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    problems.push({
      what: `cannot read the secret of a webhook in ${file}`,
      because: (error as Error).message,
      try: 'check the path and its rights',
    });
    return null;
  }
}
