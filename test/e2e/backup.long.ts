import { closeSync, existsSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { afterEach, expect, jest, test } from '@jest/globals';
import { Api } from '../wire/support/proto.js';
import { Site } from './support/site.js';

// Nine processes one after the other.
jest.setTimeout(150_000);

let site: Site;
afterEach(() => site.close());

const command = async (...args: string[]) => {
  const program = site.run(...args);
  const { code } = await program.exited;
  return { code, stdout: program.stdout, stderr: program.stderr };
};
const backup = (file: string) =>
  command('server', 'backup', file, '--coordinator', site.address, '-o', 'json');
const submit = () => site.api.submit({ queue: 'nobody' });

test('a backup of a running coordinator is restored elsewhere, with every task that it had', async () => {
  site = await Site.start();
  const [before = ''] = await submit();
  const made = await backup('one.backup');
  expect(made.code).toBe(0);
  expect(JSON.parse(made.stdout)).toMatchObject({ file: site.path('one.backup') });
  expect(statSync(site.path('one.backup')).mode & 0o777).toBe(0o600);
  const [after = ''] = await submit();

  // The copy was opened and closed in the coordinator's process: its lock on the database still keeps others out.
  const second = await command('server', 'start', '--port', '0', '--db-file', site.path('holdfast.db'));
  expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining('STORE_LOCKED') });
  const live = await command('server', 'check', site.path('holdfast.db'));
  expect(live).toMatchObject({ code: 5, stderr: expect.stringContaining('server backup FILE') });
  const again = await backup('one.backup');
  expect(again).toMatchObject({ code: 5, stderr: expect.stringContaining('BACKUP_EXISTS') });

  const checked = await command('server', 'check', site.path('one.backup'));
  expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('1 tasks read, all is well') });

  await site.server.kill();
  const restore = ['--port', '0', '--restore', site.path('one.backup')];
  const refused = await command('server', 'start', ...restore, '--db-file', site.path('holdfast.db'));
  expect(refused).toMatchObject({ code: 5, stderr: expect.stringContaining('RESTORE_REFUSED') });

  const addressFile = site.path('restored.json');
  const files = ['--db-file', site.path('restored.db'), '--address-file', addressFile];
  const restored = site.run('server', 'start', ...restore, ...files);
  await restored.says('coordinator accepts calls');
  const { grpc } = JSON.parse(readFileSync(addressFile, 'utf8')) as { grpc: string };
  const api = new Api(grpc);
  site.atClose(() => api.close());
  expect((await api.task(before)).state).toBe('TASK_STATE_QUEUED');
  await expect(api.task(after)).rejects.toThrow('no task');
  await restored.kill();
  expect(existsSync(site.path('restored.db.restoring'))).toBe(false);
});

test('a damaged backup is not restored, and nothing is left of the attempt', async () => {
  site = await Site.start();
  await submit();
  await backup('two.backup');
  const fd = openSync(site.path('two.backup'), 'r+');
  writeSync(fd, Buffer.alloc(4_096, 0xa5), 0, 4_096, 3 * 4_096);
  closeSync(fd);
  const target = site.path('new.db');
  const start = await command(
    'server',
    'start',
    '--port',
    '0',
    '--db-file',
    target,
    '--restore',
    site.path('two.backup'),
  );
  expect(start).toMatchObject({ code: 1, stderr: expect.stringContaining('STORE_CORRUPT') });
  expect([existsSync(target), existsSync(`${target}.restoring`)]).toEqual([false, false]);
  const checked = await command('server', 'check', site.path('two.backup'));
  expect(checked).toMatchObject({ code: 1, stdout: expect.stringContaining('damaged') });
  const missing = await command('server', 'check', site.path('none.db'));
  expect(missing).toMatchObject({ code: 4, stderr: expect.stringContaining('STORE_NOT_FOUND') });
});
