/** How a field of a trigger's input is written. Texts may be templates in a DAG file; then they are judged when filled in. */
export type TriggerFieldForm = 'text' | 'instant' | 'duration' | 'statuses' | 'texts' | 'condition';

export interface TriggerField {
  readonly form: TriggerFieldForm;
  readonly required: boolean;
}

/**
 * The inputs of the triggers that every triggerer has. Readers of DAG files and triggerers share nothing else, so that
 * what one accepts the other understands.
 */
export const TRIGGER_KINDS: Readonly<Record<string, Readonly<Record<string, TriggerField>>>> = {
  /** At an instant: `at`. */
  date_time: { at: { form: 'instant', required: true } },
  /** After a while, counted from the deferral: `for`. */
  delta: { for: { form: 'duration', required: true } },
  /** Once a file exists at `path`, which may hold `*`, `**` and `?`; looked for each `poll_interval`, 5 s by default. */
  file: {
    path: { form: 'text', required: true },
    poll_interval: { form: 'duration', required: false },
  },
  /**
   * Once a URL answers as wanted: with one of `status` (by default any of 200 to 299), and with a JSON body that has
   * `condition.equals` at `condition.path` (anything true when `equals` is left out). Asked each `poll_interval`, 30 s by default.
   */
  http: {
    url: { form: 'text', required: true },
    method: { form: 'text', required: false },
    headers: { form: 'texts', required: false },
    body: { form: 'text', required: false },
    status: { form: 'statuses', required: false },
    condition: { form: 'condition', required: false },
    poll_interval: { form: 'duration', required: false },
  },
  /** At the next event of `asset`. */
  asset: { asset: { form: 'text', required: true } },
  /** When somebody fires it by API or command line; `name` is for them to find it by. */
  external: { name: { form: 'text', required: false } },
};
