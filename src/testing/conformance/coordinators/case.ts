import type { Requirement } from '../case.js';
import type { Scene } from './scene.js';

/** One thing that is asked of a coordinator. */
export interface CoordinatorCase extends Requirement {
  /** Plays it with agents of its own, and tells what was seen. Throws Deviation when the coordinator does otherwise. */
  play(scene: Scene): Promise<string>;
}
