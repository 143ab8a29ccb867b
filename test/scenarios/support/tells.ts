import { test } from '@jest/globals';
import type { Policy } from '../../../src/core/policy.js';
import { expectGolden } from './golden.js';
import { Story } from './story.js';

/**
 * A story of one sentence of seed.md, quoted word for word. What it tells is compared with the file of its name in
 * golden/; what the sentence promises is asserted by the story itself. `policy` is what somebody has configured.
 */
export function tells(
  name: string,
  sentence: string,
  body: (story: Story) => Promise<void>,
  policy: () => Promise<Partial<Policy>> = async () => ({}),
): void {
  test(`${sentence} (${name})`, async () => {
    const story = await Story.begin(await policy());
    try {
      await body(story);
    } catch (error) {
      // Whoever sees a promise broken wants to know how it came to that.
      if (error instanceof Error) error.message += `\n\n${story.words.transcript.text()}`;
      throw error;
    }
    expectGolden(name, `${sentence}\n\n${story.words.transcript.text()}`);
  });
}
