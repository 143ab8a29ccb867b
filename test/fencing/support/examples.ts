import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Client, Pool } from 'pg';

export const folder = resolve(import.meta.dirname, '../../../examples/fencing');

const load = async <T>(name: string): Promise<T> =>
  (await import(pathToFileURL(resolve(folder, name)).href)) as T;

type Db = Client | Pool;

export const postgres = () =>
  load<{
    readonly SCHEMA: string;
    readonly update: (db: Db, token: bigint, account: string, amount: number) => Promise<void>;
    readonly upsert: (db: Db, token: bigint, account: string, amount: number) => Promise<void>;
    readonly claim: (db: Db, token: bigint, resource: string) => Promise<void>;
    readonly transaction: <T>(
      client: Db,
      token: bigint,
      resource: string,
      work: (client: Db) => Promise<T>,
    ) => Promise<T>;
  }>('postgres.mjs');

export const objects = () =>
  load<{
    readonly publish: (bucket: string, name: string, token: bigint, data: string) => Promise<void>;
    readonly current: (
      bucket: string,
      name: string,
    ) => Promise<{ readonly fence: string; readonly key: string } | null>;
  }>('objects.mjs');

export const httpServer = () =>
  load<{
    readonly startStore: (
      file: string,
    ) => Promise<{ readonly url: string; readonly close: () => Promise<void> }>;
  }>('http-server.mjs');

export const httpClient = () =>
  load<{ readonly write: (url: string, token: bigint, value: string) => Promise<void> }>('http-client.mjs');
