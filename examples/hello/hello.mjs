// One command on one worker, and its output. Expects `holdfast dev` (or HOLDFAST_COORDINATOR).
import { connect } from 'holdfast/client';

const client = connect(process.env.HOLDFAST_COORDINATOR ?? '127.0.0.1:7400');
const [{ taskId }] = await client.tasks.submit([
  { command: ['sh', '-c', 'echo hello from $HOLDFAST_AGENT_ID'] },
]);
for await (const task of client.tasks.watch([taskId])) console.log(task.state);
for await (const piece of client.tasks.logs(taskId)) process.stdout.write(piece.data);
client.close();
