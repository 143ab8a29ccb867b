import type { Hello } from '../../wire/gen/holdfast/v1/agent_service.js';
import { agentKinds } from '../../wire/names.js';
import { Deviation, type Kind } from './case.js';
import { Stage, type StageOptions } from './stage.js';

/** What the first Hello of an agent tells of it, before anything is asked of it. */
export interface Probed {
  readonly kind: Kind;
  readonly software: string;
}

/** Starts the agent once, to see that it dials and what it is. Throws Deviation when it does not. */
export async function probe(options: Omit<StageOptions, 'kind'>, withinMs: number): Promise<Probed> {
  const stage = await Stage.open({ ...options, kind: 'worker' });
  try {
    stage.start();
    const { hello } = await stage.accept(withinMs);
    return { kind: kindOf(hello as Hello), software: hello?.software ?? '' };
  } catch (error) {
    if (!(error instanceof Deviation)) throw error;
    throw new Deviation([error.message, stage.output.trim()].filter((line) => line !== '').join('\n'));
  } finally {
    await stage.close();
  }
}

function kindOf({ kind }: Hello): Kind {
  const known = agentKinds.from(kind);
  if (known === undefined) throw new Deviation(`the Hello names a kind of agent that is none: ${kind}`);
  return known === 'dag_processor' ? 'dag-processor' : known;
}
