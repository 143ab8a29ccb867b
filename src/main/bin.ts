#!/usr/bin/env node
// The program itself. It imports nothing before the version is known to be good, and uses no syntax that an old Node
// cannot read: whoever has one must read this message instead of a stack trace.
const needed = [22, 14] as const;
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < needed[0] || (major === needed[0] && minor < needed[1])) {
  process.stderr.write(
    `error: Holdfast needs Node ${needed.join('.')} or newer [NODE_TOO_OLD]\n` +
      `  because: this is Node ${process.versions.node} (${process.execPath})\n` +
      '  try: install Node 24 from https://nodejs.org, or with `nvm install 24`; a checkout brings its own: `npx holdfast`\n',
  );
  process.exitCode = 2;
} else {
  // The gRPC library prints errors of its own that we report in words; whoever wants them sets its variable.
  if (process.env.GRPC_VERBOSITY === undefined) process.env.GRPC_VERBOSITY = 'NONE';
  // Before the program is loaded, because loading it makes the young generation grow.
  import('./garbage.js')
    .then(({ boundYoungGeneration, keepYoungGenerationSmall }) =>
      process.argv[2] === 'agent' ? keepYoungGenerationSmall() : boundYoungGeneration(),
    )
    .then(() => import('./program.js'))
    .then(
      (program) => program.main(process.argv.slice(2)),
      (error: unknown) => {
        process.stderr.write(`error: Holdfast could not be loaded\n${String(error)}\n`);
        process.exitCode = 1;
      },
    );
}

export {};
