// The handlers of the bench: as little work as a handler can have.
import { defineHandlers } from '../../dist/agent/index.js';

export default defineHandlers({ echo: (input) => input });
