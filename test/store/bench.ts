import { expect } from '@jest/globals';
import { type Store, StoreError, type StoreFault } from '../../src/store/store.js';

/** A store of one kind, as a test gets it. */
export interface Bench {
  readonly store: Store;
  /** Closes the store and opens what it left. */
  reopen(): Promise<Store>;
  /** Closes and removes everything. */
  end(): Promise<void>;
}

/** The fault of a promise that must fail. */
export async function faultOf(failing: Promise<unknown>): Promise<StoreFault> {
  const error = await failing.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StoreError);
  return (error as StoreError).fault;
}
