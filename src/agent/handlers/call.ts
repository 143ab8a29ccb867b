import type { StandardSchemaV1 } from '@standard-schema/spec';
import { LIMITS } from '../../wire/limits.js';
import { deferralFrom } from '../deferral.js';
import type { HandlerCall, HandlerOutcome } from '../runner/protocol.js';
import { FinalError, type HandlerContext } from './context.js';
import { Defer, Skip } from './defer.js';
import type { Handler } from './define.js';

type Failure = Extract<HandlerOutcome, { kind: 'failed' }>;

const UTF8 = new TextDecoder('utf-8', { fatal: true });
const JSON_TYPE = 'application/json';
const BYTES_TYPE = 'application/octet-stream';

/** Calls a handler with the input of a task, both ways through its schemas. Never throws. */
export async function callHandler(
  handlers: ReadonlyMap<string, Handler>,
  call: HandlerCall,
  context: HandlerContext,
): Promise<HandlerOutcome> {
  const handler = handlers.get(call.handler);
  if (handler === undefined) {
    return failed(
      'handler_unknown',
      `no handler ${call.handler}: there are ${[...handlers.keys()].join(', ')}`,
    );
  }
  const input = await inputOf(handler, call);
  if ('failure' in input) return input.failure;
  let returned: unknown;
  try {
    returned = await handler.run(input.value as never, context);
  } catch (error) {
    if (error instanceof Skip)
      return { kind: 'skipped', message: error.message.slice(0, LIMITS.messageLength) };
    if (error instanceof Defer) return deferredBy(error);
    // The stack belongs to the task's output; the report has room for a sentence.
    console.error(error);
    return { ...failed('handler_failed', describe(error)), final: error instanceof FinalError };
  }
  return outputOf(handler, returned);
}

function deferredBy({ to }: Defer): HandlerOutcome {
  const deferral = deferralFrom(to);
  return 'reason' in deferral ? failed(deferral.reason, deferral.message) : { kind: 'deferred', deferral };
}

type Checked = { readonly value: unknown } | { readonly failure: Failure };

async function inputOf({ input: schema }: Handler, { input, inputType }: HandlerCall): Promise<Checked> {
  const refuse = (message: string): Checked => ({
    failure: { ...failed('handler_input_invalid', message), final: true },
  });
  let value: unknown;
  try {
    value = parse(input, inputType);
  } catch (error) {
    return refuse(`the input is not JSON: ${(error as Error).message}`);
  }
  if (schema === undefined) return { value };
  const checked = await check(schema, value);
  return 'issues' in checked ? refuse(`the input is refused: ${checked.issues}`) : checked;
}

/** JSON as the value it stands for, any other content as its bytes, nothing as undefined. */
function parse(input: Uint8Array, inputType: string): unknown {
  if (inputType === '') return undefined;
  if (inputType.split(';')[0]?.trim().toLowerCase() !== JSON_TYPE) return input;
  return JSON.parse(UTF8.decode(input));
}

async function outputOf({ output: schema }: Handler, returned: unknown): Promise<HandlerOutcome> {
  const refuse = (message: string): Failure => failed('handler_output_invalid', message);
  const checked = schema === undefined ? { value: returned } : await check(schema, returned);
  if ('issues' in checked) return refuse(`the output is refused: ${checked.issues}`);
  const { value } = checked;
  if (value === undefined) return { kind: 'success', result: null, resultType: '' };
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return succeeded(bytes, BYTES_TYPE);
  }
  try {
    const text: unknown = JSON.stringify(value);
    if (typeof text !== 'string') return refuse(`JSON cannot hold a ${typeof value}`);
    return succeeded(Buffer.from(text), JSON_TYPE);
  } catch (error) {
    return refuse(`JSON cannot hold the output: ${(error as Error).message}`);
  }
}

function succeeded(result: Uint8Array, resultType: string): HandlerOutcome {
  if (result.length <= LIMITS.resultBytes) return { kind: 'success', result, resultType };
  const size = `the result has ${result.length} bytes; at most ${LIMITS.resultBytes} travel`;
  return failed('result_too_large', `${size}: store it elsewhere and return its address`);
}

async function check(
  schema: StandardSchemaV1,
  value: unknown,
): Promise<{ readonly value: unknown } | { readonly issues: string }> {
  try {
    const result = await schema['~standard'].validate(value);
    return result.issues === undefined ? { value: result.value } : { issues: issuesOf(result.issues) };
  } catch (error) {
    return { issues: describe(error) };
  }
}

const ISSUES_SHOWN = 10;

/** `width: expected number; tags.0: too short`. */
function issuesOf(issues: readonly StandardSchemaV1.Issue[]): string {
  const rest = issues.length - ISSUES_SHOWN;
  const words = issues.slice(0, ISSUES_SHOWN).map(({ path, message }) => {
    const at = path?.map((step) => String(typeof step === 'object' ? step.key : step)).join('.') ?? '';
    return at === '' ? message : `${at}: ${message}`;
  });
  return [...words, ...(rest > 0 ? [`and ${rest} more`] : [])].join('; ');
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return `it threw ${String(error)}`;
  return `${error.name}: ${error.message}`;
}

function failed(reason: Failure['reason'], message: string): Failure {
  return { kind: 'failed', reason, message: message.slice(0, LIMITS.messageLength), final: false };
}
