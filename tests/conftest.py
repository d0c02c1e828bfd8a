"""What all tests share: processes of tests beside each other share the processor too.

Threads of several processes on the same cores wait for each other in every small product, which
takes most of the time of a test that trains.
"""

import os

workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if workers > 1:  # before torch is loaded, which asks for it once
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
