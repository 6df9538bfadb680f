"""The program under test that `nnlayer.check` names: it passes each request to the process that called it, and its reply back."""

import os
import sys
from multiprocessing.connection import Client


def main() -> None:
    with Client(sys.argv[1], authkey=bytes.fromhex(os.environ["NNLAYER_BRIDGE_KEY"])) as connection:
        for line in sys.stdin.buffer:
            connection.send_bytes(line)
            sys.stdout.buffer.write(connection.recv_bytes())
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        main()
    except EOFError:
        sys.exit("the function raised an exception")
