"""Signals during a run: the first one ends it in order, and no later one cuts the closing short.

pytest answers SIGINT alone, and each one anew: SIGTERM would end it with nothing closed and no report, and a
second Ctrl-C (tox sends one on its own account) would end the closing.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from types import FrameType, TracebackType

#: What a person, tox, a CI runner and a closed terminal send.
HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: A signal that comes later than this, in seconds, before the closing has begun, interrupts again: what is
#: raised in a signal handler may be lost in a callback. tox sends its second signal after 0.3 s.
AGAIN_SECONDS = 2.0
_SAID = b"\nvnode-suite: closing what the run made; this ends by itself\n"


class Interrupts:
    """Turns the first signal into :class:`KeyboardInterrupt`; a context manager.

    :param quiet: say nothing; for workers, whose controller has said it.
    :ivar received: name of the first signal, such as ``SIGTERM``; empty while there was none.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.received = ""
        self._quiet = quiet
        self._closing = False
        self._raised_at = -AGAIN_SECONDS
        self._before: dict[signal.Signals, object] = {}
        self._waker: _Waker | None = None

    def __enter__(self) -> Interrupts:
        # Only a main thread may; a run elsewhere is interrupted by whoever started that thread.
        if threading.current_thread() is threading.main_thread():
            self._waker = _Waker()
            for number in HEEDED:
                before = signal.getsignal(number)
                # nohup and a shell's background jobs ask for a signal to be ignored.
                if before is not signal.SIG_IGN:
                    self._before[number] = before
                    signal.signal(number, self._answer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]
        self._before.clear()
        if self._waker is not None:
            self._waker.close()
            self._waker = None

    def closing(self) -> None:
        """From now on a signal is written down and answered with a line, and changes nothing."""
        self._closing = True

    def _answer(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number).name
        now = time.monotonic()
        if not self._closing and now - self._raised_at >= AGAIN_SECONDS:
            self._raised_at = now
            raise KeyboardInterrupt(self.received)
        if not self._quiet:
            # No buffered stream: the signal may have come while one was being written.
            os.write(2, _SAID)


class _Waker:
    """Wakes the main thread when a signal was delivered to another one.

    Python answers signals in the main thread alone, and one that waits for a lock is woken only by a signal of
    its own: of several in short succession, all may have gone to other threads, and nothing would happen until
    the wait is over. SIGURG, which means nothing to anybody here, is what wakes it.
    """

    def __init__(self) -> None:
        self._main = threading.main_thread().ident or 0
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._urgent = signal.signal(signal.SIGURG, lambda *_: None)
        self._earlier = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, name="signal-waker", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching; what was set before is set again."""
        signal.set_wakeup_fd(self._earlier)
        self._writer.close()
        self._thread.join()
        self._reader.close()
        signal.signal(signal.SIGURG, self._urgent)

    def _watch(self) -> None:
        while numbers := self._reader.recv(64):
            if any(number in HEEDED for number in numbers):
                signal.pthread_kill(self._main, signal.SIGURG)
