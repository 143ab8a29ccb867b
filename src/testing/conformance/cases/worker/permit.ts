import { status } from '@grpc/grpc-js';
import {
  type InventoryEntry,
  InventoryPhase,
  ReportKind,
  VerdictKind,
} from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { type Case, check } from '../../case.js';

export const PERMIT: readonly Case[] = [
  {
    id: 'permit.lost',
    rule: 'P13',
    level: 'must',
    kinds: ['worker'],
    title: 'a permit that is lost with its stream is never started, however late it comes',
    play: async (stage) => {
      const first = await stage.session();
      const request = await stage.ask(first);
      const run = stage.permitOf(first, request);
      first.reset(status.UNAVAILABLE);
      const second = await stage.accept();
      const entry = second.hello?.inventory.find(({ nonce }: InventoryEntry) => nonce === request.nonce);
      check(
        entry?.phase === InventoryPhase.ASKED,
        'the open start request is not in the inventory of the next Hello',
      );
      const verdicts = [
        { nonce: request.nonce, token: 0n, kind: VerdictKind.NEVER_START, reason: 0 } as const,
      ];
      second.welcome(first.epoch, { verdicts });
      await second.heartbeat({ from: 0 });
      second.permit(run.permit);
      const report = await second.report(run.token);
      await stage.intervals(1);
      stage.stub.mustNotStart(run.tag, 'its request was ruled NEVER_START');
      check(report.kind === ReportKind.NEVER_STARTED, `a void permit is reported as kind ${report.kind}`);
      return 'shown as asked, dropped by the verdict, the late permit answered never started';
    },
  },
  {
    id: 'permit.gate-closed',
    rule: 'P3',
    level: 'must',
    kinds: ['worker'],
    title: 'a permit that finds the gate closed is answered never started, and never started',
    play: async (stage) => {
      const stream = await stage.session();
      const request = await stage.ask(stream);
      await stage.closeGate(stream);
      const run = stage.permitOf(stream, request);
      stream.permit(run.permit);
      const report = await stream.report(run.token);
      check(report.kind === ReportKind.NEVER_STARTED, `it is reported as kind ${report.kind}`);
      stream.acks = 'prompt';
      stream.push({});
      await stage.intervals(2);
      stage.stub.mustNotStart(run.tag, 'its permit found the gate closed');
      return 'answered never started; not started when the gate was open again';
    },
  },
];
