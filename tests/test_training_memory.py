"""What training does about freed memory, in a process of its own: it lasts until the process ends."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from esrface.training.memory import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit("the C library refuses")
block = bytearray(2**26)
del block
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
block = bytearray(2**26)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    """Pages that the kernel gave for 64 MiB which were used and freed before."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, timeout=60, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_that_was_freed_is_used_again_without_the_kernel() -> None:
    pages = 2**26 // 4096
    assert page_faults("kept") < pages / 100
    assert page_faults("as it is") > pages / 100
