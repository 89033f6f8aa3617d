"""SIGTERM and SIGINT: the first asks for a stop at the next step that can be saved, the second ends at once."""

import os
import signal
import threading


class Signals:
    """Context manager; `received` is the number of the first signal, or None. Inert outside the main thread."""

    def __init__(self):
        self.received: int | None = None
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) != signal.SIG_IGN:  # nohup and background jobs ignore SIGINT
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number, frame):
        self.received = number
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
        os.write(2, b"\nstopping: the state is being saved; once more stops at once, without saving\n")
