import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { makeFolderOf } from './paths.js';

/** What a script needs to talk to the process that wrote it. */
export interface Addresses {
  /** HOST:PORT of the gRPC server. */
  readonly grpc: string;
  readonly pid: number;
  readonly coordinatorId: string;
  readonly dbFile: string;
}

/** Takes away what an earlier process left: whoever waits for the file must not find a dead address. */
export function removeStaleAddressFile(file: string): void {
  makeFolderOf(file);
  rmSync(file, { force: true });
}

/** Writes the file whole or not at all, so that a reader never meets half of it. */
export function writeAddressFile(file: string, addresses: Addresses): void {
  const fresh = `${file}.${process.pid}.tmp`;
  writeFileSync(fresh, `${JSON.stringify(addresses)}\n`);
  renameSync(fresh, file);
}

/** Removes the file at the end, unless another process has written it since. */
export function removeAddressFile(file: string): void {
  try {
    const { pid } = JSON.parse(readFileSync(file, 'utf8')) as Addresses;
    if (pid === process.pid) rmSync(file, { force: true });
  } catch {
    // Gone or not ours: either way there is nothing to take back.
  }
}
