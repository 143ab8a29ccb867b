// What is broken in the Python worker, one rule at a time: the rule, the case of the kit that has to fail, and the changes,
// each as [file, text that is there once, text to put instead].

export const BROKEN_RULES = [
  {
    rule: 'P2: the gate counts from the sending of a heartbeat, not from the arrival of its acknowledgement',
    noticedBy: 'gate.from-send',
    changes: [['session.py', '        self.gate.renew(sent)\n', '        self.gate.renew(now)\n']],
  },
  {
    rule: 'P3: a permit that finds the gate closed is void',
    noticedBy: 'permit.gate-closed',
    changes: [
      ['session.py', 'if self.draining or not self.gate.is_open(now):', 'if self.draining:'],
      ['session.py', '            and self.gate.is_open(now)\n        )', '        )'],
      [
        'keeper.py',
        'if self.why is not None or self.gate_is_closed(clock.read()):',
        'if self.why is not None:',
      ],
    ],
  },
  {
    rule: 'P3: with the gate closed nothing is asked for',
    noticedBy: 'gate.closes',
    changes: [
      [
        'session.py',
        'bool(self._stream.offers) and self.free_slots > 0 and self.gate.is_open(now)',
        'bool(self._stream.offers) and self.free_slots > 0',
      ],
      [
        'session.py',
        '        if not self.gate.is_open(now):\n            return\n        for nonce',
        '        for nonce',
      ],
    ],
  },
  {
    rule: 'I3: a permit of another session is void',
    noticedBy: 'permit.other-session',
    changes: [
      ['session.py', 'if permit.epoch != self.epoch:', 'if False:'],
      ['session.py', '            and start.permit.epoch == self.epoch\n', ''],
    ],
  },
  {
    rule: 'handshake: only what was asked for is started',
    noticedBy: 'permit.not-asked',
    changes: [
      ['session.py', 'if asked is None or permit.token in self._never:', 'if permit.token in self._never:'],
    ],
  },
  {
    rule: 'handshake: a permit that is told again is not started again',
    noticedBy: 'permit.repeated',
    changes: [
      [
        'session.py',
        '        if permit.token in self._held:\n            return []  #',
        '        if False:\n            return []  #',
      ],
      ['session.py', 'if asked is None or permit.token in self._never:', 'if False:'],
    ],
  },
  {
    rule: 'P13: a void token is never started, however late its permit comes',
    noticedBy: 'permit.void-token',
    changes: [
      [
        'session.py',
        '        self._never.add(token)\n        return self._void(token, "", "void")',
        '        return []',
      ],
    ],
  },
  {
    rule: 'P13: a void token that is held is shown',
    noticedBy: 'permit.void-held',
    changes: [
      [
        'session.py',
        '            self._stream.full_inventory_wanted = True\n            return []',
        '            return []',
      ],
    ],
  },
  {
    rule: 'P13: a request that the Welcome drops is dropped',
    noticedBy: 'permit.lost',
    changes: [
      [
        'session.py',
        '                self._asked.pop(verdict.nonce, None)\n                stream.mirror.refuse(verdict.nonce)',
        '                pass',
      ],
    ],
  },
  {
    rule: 'stream 3: an acknowledgement in parts is applied whole',
    noticedBy: 'permit.parts',
    changes: [
      ['session.py', '        for part in stream.parts:\n', '        for part in stream.parts[-1:]:\n'],
    ],
  },
  {
    rule: 'I4: no more is asked for than slots are free',
    noticedBy: 'handshake.slots',
    changes: [
      [
        'session.py',
        'return max(0, self.identity.slots - busy - len(self._asked))',
        'return max(0, self.identity.slots - busy)',
      ],
    ],
  },
  {
    rule: 'handshake: a refusal frees its slot',
    noticedBy: 'handshake.refused',
    changes: [['session.py', '            self._asked.pop(refusal.nonce, None)\n', '']],
  },
  {
    rule: 'P5: each stream of a process has a higher number',
    noticedBy: 'session.resume',
    changes: [
      [
        'session.py',
        'Stream(number=self._stream.number + 1, sent={1: now})',
        'Stream(number=1, sent={1: now})',
      ],
    ],
  },
  {
    rule: 'P4: after 1.5 H of silence the stream is given up',
    noticedBy: 'stream.silent',
    changes: [['worker.py', 'link.receive(1.5 * self._session.interval)', 'link.receive(1000)']],
  },
  {
    rule: 'P9: agents reconnect for ever',
    noticedBy: 'stream.any-status',
    changes: [['worker.py', '                denied = ended.denied\n', '                raise\n']],
  },
  {
    rule: 'P9: a refused credential ends no agent',
    noticedBy: 'stream.denied',
    changes: [
      [
        'worker.py',
        '                denied = ended.denied\n',
        '                denied = ended.denied\n                if denied:\n                    raise\n',
      ],
    ],
  },
  {
    rule: 'P18: the highest epoch survives the process',
    noticedBy: 'session.restart',
    changes: [['journal.py', '        self._state["highest_epoch"] = max(epoch, self.highest_epoch)\n', '']],
  },
  {
    rule: 'words: all 64 bits of the token reach the task',
    noticedBy: 'run.token',
    changes: [['runs.py', 'str(permit.token),', 'str(int(float(permit.token))),']],
  },
  {
    rule: 'handshake: what was acknowledged is forgotten',
    noticedBy: 'report.forgotten',
    changes: [['journal.py', '        (self._reports / str(token)).unlink(missing_ok=True)\n', '']],
  },
  {
    rule: 'stream 5: the delay of a Reconnect is kept to',
    noticedBy: 'reconnect.asked',
    changes: [['worker.py', 'return seconds(message.reconnect.delay)', 'return 0.0']],
  },
  {
    rule: 'stream 3: heartbeats name what was applied',
    noticedBy: 'hello.heartbeats',
    changes: [['session.py', '        stream.applied = max(stream.applied, whole.number)\n', '']],
  },
  {
    rule: 'stream 3: the inventory hash is the one of the comment',
    noticedBy: 'inventory.hash',
    changes: [['inventory.py', '16777619', '16777639']],
  },
  {
    rule: 'stream 3: a full inventory is sent when asked for',
    noticedBy: 'inventory.full',
    changes: [['session.py', '        stream.full_inventory_wanted |= whole.send_full_inventory\n', '']],
  },
  {
    rule: 'stream 3: no heartbeat is larger than the Welcome allows',
    noticedBy: 'inventory.limit',
    changes: [['session.py', '            if size > most and beat.reports:\n', '            if False:\n']],
  },
  {
    rule: 'stream 5: no Goodbye before every report is acknowledged',
    noticedBy: 'inventory.goodbye',
    changes: [
      [
        'session.py',
        'return not self._held and not self._asked',
        'return not self.running and not self._asked',
      ],
    ],
  },
  {
    rule: 'P10: a superseded run is stopped',
    noticedBy: 'run.superseded',
    changes: [['session.py', 'return self._stop(token, stop_reason(verdict.reason))', 'return []']],
  },
  {
    rule: 'P15: a cancelled run is stopped',
    noticedBy: 'stop.cancelled',
    changes: [['session.py', '[*whole.stops, *whole.cancellations]', '[*whole.stops]']],
  },
  {
    rule: 'P10: what does not end by SIGTERM is killed when the grace is over',
    noticedBy: 'stop.stubborn',
    changes: [
      ['keeper.py', 'if self.kill_at is not None and time.monotonic() >= self.kill_at:', 'if False:'],
    ],
  },
  {
    rule: 'the execution timeout is counted by the agent',
    noticedBy: 'stop.execution-timeout',
    changes: [['keeper.py', '            self.stop("execution_timeout")\n', '            pass\n']],
  },
  {
    rule: 'handshake: a report is repeated until it is acknowledged',
    noticedBy: 'report.repeated',
    changes: [['session.py', '            stream.reported.clear()\n', '']],
  },
  {
    rule: 'handshake: a report outlives the process',
    noticedBy: 'report.over-restarts',
    changes: [['worker.py', 'reports = self._journal.reports()', 'reports = []']],
  },
  {
    rule: 'handshake: a run whose process died is reported as lost',
    noticedBy: 'report.lost',
    changes: [['runs.py', '            journal(self._started_run())\n', '']],
  },
  {
    rule: 'handshake: nothing of a run is left when it is reported',
    noticedBy: 'report.whole-group',
    changes: [
      [
        'keeper.py',
        '        if status is not None:\n            run.end()\n',
        '        if status is not None:\n',
      ],
    ],
  },
  {
    rule: 'stream 2: reports in a refused Hello are judged all the same',
    noticedBy: 'report.refused-hello',
    changes: [['worker.py', '        self._perform(self._session.refused(refused))\n', '']],
  },
  {
    rule: 'P18: the highest token survives the process',
    noticedBy: 'restart.highest-token',
    changes: [['journal.py', '        if token > self.highest_token:\n', '        if False:\n']],
  },
  {
    rule: 'P11: single_run work ends with the gate',
    noticedBy: 'single-run.gate',
    changes: [['runs.py', '"guarded": self._is_guarded,', '"guarded": False,']],
  },
  {
    rule: 'P11: nothing of a run outlives its agent',
    noticedBy: 'single-run.killed',
    changes: [
      [
        'keeper.py',
        '                if run is not None:\n                    run.end()\n                os._exit(0)',
        '                os._exit(0)',
      ],
      ['keeper.py', '            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)\n', ''],
    ],
  },
  {
    rule: 'P6: a cordoned agent asks for nothing',
    noticedBy: 'cordon.welcome',
    changes: [['session.py', 'return self.draining or self._directive.cordoned', 'return self.draining']],
  },
  {
    rule: 'P6: a drain lets runs finish',
    noticedBy: 'drain.run-finishes',
    changes: [
      [
        'worker.py',
        '        self._session.drain()\n        self._drain_within(self._options.drain_timeout)',
        '        self._session.drain()\n        self._drain_within(0.0)',
      ],
    ],
  },
  {
    rule: 'P6: at the deadline of a drain runs are stopped',
    noticedBy: 'drain.deadline',
    changes: [['worker.py', '            self._runs[token].stop("drain")\n', '            pass\n']],
  },
];
