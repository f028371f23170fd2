"""A process that runs one runtime for a comparison: `python -m greenshift.deploy.bench.worker`.

It reads one JSON object a line and answers each with one. The first is the fields of a `runners.Job`. The others ask
for `count` runs of a `batch`, and get their CPU and wall time; or for the logits of a batch in a NumPy file. A process
of its own keeps thread pools and instruction sets of one runtime from another's, and lets CPU time be told apart.
"""

import json
import os
import sys
import time
from typing import IO, Any

import numpy as np

from greenshift.deploy.bench.runners import Job, Run, load_job
from greenshift.errors import InputError


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until there are no more.

    Args:
        requests: One JSON object a line.
        answers: One JSON object a line; `error` in it says that a request failed.
    """
    prepared: dict[int, Run] = {}
    loaded = None
    for line in requests:
        request = json.loads(line)
        try:
            if loaded is None:
                loaded = load_job(Job(**request))
                answer: dict[str, Any] = {"kernel": loaded.kernel, "version": loaded.version}
            else:
                batch = request["batch"]
                if batch not in prepared:
                    prepared[batch] = loaded.prepare(batch)
                answer = (
                    _logits(prepared[batch], request["logits"])
                    if "logits" in request
                    else _times(prepared[batch], request["count"])
                )
        except InputError as error:
            answer = {"error": str(error)}
        except Exception as error:  # whatever a runtime raises is for the comparison to report
            answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:160]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _times(run: Run, count: int) -> dict[str, Any]:
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    for _ in range(count):
        run()
    return {"wall_s": time.perf_counter() - wall_s, "cpu_s": time.process_time() - cpu_s}


def _logits(run: Run, file: str) -> dict[str, Any]:
    np.save(file, run())
    return {}


def main() -> None:
    """Serve standard input; what a runtime prints goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
