import {
  type ConnectRequest,
  type InventoryPhase,
  type Report,
  ReportKind,
} from '../../wire/gen/holdfast/v1/agent_service.js';
import { phases, reportKinds } from '../../wire/names.js';
import { Deviation } from './case.js';

type Message = NonNullable<ConnectRequest['message']>;

/** Which report a message bears of this token, if it does. */
export function reportIn(message: Message, token: bigint): Report | undefined {
  switch (message.$case) {
    case 'hello':
    case 'heartbeat':
    case 'inventoryChunk':
      return message.value.reports.find((report) => report.token === token);
    case 'logChunk':
    case 'goodbye':
    case 'progress':
    case 'bundleChunk':
      return undefined;
  }
}

export const kindWords = (kind: number): string => reportKinds.from(kind) ?? `unknown (${kind})`;
export const phaseWords = (phase: number): string => phases.from(phase) ?? `unknown (${phase})`;

/** Throws Deviation unless the report says that its permit was not started and never will be. */
export function checkNeverStarted({ token, kind }: Report): void {
  if (kind === ReportKind.NEVER_STARTED) return;
  throw new Deviation(`token ${token} is void, and reported as ${kindWords(kind)} instead of never started`);
}

/** Throws Deviation unless the inventory shows this token, or this open request, in this phase. */
export function checkHeld(
  { inventory }: { readonly inventory: readonly { token: bigint; nonce: bigint; phase: number }[] },
  what: { readonly token: bigint } | { readonly nonce: bigint },
  phase: InventoryPhase,
): void {
  const name = 'token' in what ? `token ${what.token}` : `the open request ${what.nonce}`;
  const entry = inventory.find((one) =>
    'token' in what ? one.token === what.token : one.nonce === what.nonce,
  );
  if (entry === undefined) throw new Deviation(`${name} is not in the inventory of the Hello`);
  if (entry.phase !== phase)
    throw new Deviation(
      `the Hello shows ${name} as ${phaseWords(entry.phase)} instead of ${phaseWords(phase)}`,
    );
}
