import { spawn } from 'node:child_process';

/** What a program prints, and how it ends; its complaints only when it does not end well. */
export async function outputOf(
  file: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ said: string; code: number | null; errors: string }> {
  const program = spawn(process.execPath, [file], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  let errors = '';
  program.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  program.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const code = await new Promise<number | null>((ended) => program.on('close', ended));
  return { said, code, errors: code === 0 ? '' : errors };
}
