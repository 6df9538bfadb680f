"""Starts programs without starting Python: a fork of this process, which has imported the corpus, replies.

The start of Python and the imports would take most of the time of a check.
"""

import gc
import os
import signal
import sys
import tempfile
import traceback
from contextlib import contextmanager
from pathlib import Path

import program

CLIENT = Path(__file__).parent / "forked.sh"


@contextmanager
def forked(command, arguments):
    """Forks a process that replies as program.py does with these arguments; gives the command for nnlayer to start.

    Like program.py, the process has no state of an earlier check.
    """
    with tempfile.TemporaryDirectory() as folder:
        requests, replies = Path(folder, "requests"), Path(folder, "replies")
        os.mkfifo(requests)
        os.mkfifo(replies)
        process = os.fork()
        if process == 0:
            reply_and_exit(arguments, requests, replies)
        try:
            yield ["sh", str(CLIENT), folder, *command, *arguments]
        finally:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def reply_and_exit(arguments, requests, replies):
    try:
        gc.disable()  # a program makes no cycles of references
        with open(requests) as reader, open(replies, "w") as writer:
            os.unlink(requests)
            os.unlink(replies)
            program.serve(arguments, reader, writer)
    except BaseException:
        # The pipe is closed without a reply, as by a program that crashes.
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(0)
