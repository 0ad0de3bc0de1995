"""Threads share what the C library has free."""

import subprocess
import sys

import pytest

ASK = """
import ctypes, sys, threading
from syncer.service.memory import share_arenas
if sys.argv[1] == "shared":
    share_arenas()
libc = ctypes.CDLL(None)
libc.fopen.restype = libc.malloc.restype = ctypes.c_void_p
met = threading.Barrier(8)
def use():
    met.wait()
    libc.malloc(ctypes.c_size_t(1000))
    met.wait()
threads = [threading.Thread(target=use) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.parametrize(("how", "shared"), [("shared", True), ("apart", False)])
def test_threads_share_two_arenas(tmp_path, how, shared):
    told = tmp_path / "info.xml"
    subprocess.run([sys.executable, "-c", ASK, how, str(told)], check=True)
    arenas = told.read_text().count("<heap nr=")
    assert (arenas <= 2) is shared, arenas
