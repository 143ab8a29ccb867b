import { globSync } from 'node:fs';
import { must, root } from './tool.mjs';

must('biome', ['check', '--config-path=scripts/config', '--write', '.']);
if (globSync('proto/**/*.proto', { cwd: root }).length > 0) must('buf', ['format', 'proto', '--write']);
