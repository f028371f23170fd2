"""Print the rows of `finetune.py` as a Markdown table: one line per design, accuracies by seed, mean and spread.

Below it stands what re-estimating the batch norms changed, over the runs that were tested before and after in float32:
those that have a `train_accuracy`.

python benchmarks/finetune_table.py docs/results/techniques.jsonl
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

FIELD = "test_accuracy_after_bn_reestimation"


def line(rows: list[dict[str, Any]]) -> str:
    """One design's line."""
    rows = sorted(rows, key=lambda row: row["seed"])
    values = [100 * row[FIELD] for row in rows]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    epochs = "/".join(str(e) for e in sorted({row["epochs"] for row in rows}))
    minutes = statistics.fmean(row["seconds"] for row in rows) / 60
    first = rows[0]
    cells = (
        first["design"],
        epochs,
        first["teacher"] or "none",
        ", ".join(f"{value:.2f}" for value in values),
        f"{statistics.fmean(values):.2f}{spread}",
        f"{first['macs'] / 1e6:.1f}",
        f"{first['size_bytes'] / 1000:.0f}",
        f"{minutes:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def reestimation(rows: list[dict[str, Any]]) -> str:
    """What re-estimated batch norms change, in points of test accuracy."""
    both = [row for row in rows if row["test_accuracy"] is not None and "train_accuracy" in row]
    changes = [100 * (row[FIELD] - row["test_accuracy"]) for row in both]
    if not changes:
        return "re-estimated batch norms: no run was tested before and after"
    mean, low, high = statistics.fmean(changes), min(changes), max(changes)
    return f"re-estimated batch norms: {mean:+.2f} points on average ({low:+.2f} to {high:+.2f}, {len(changes)} runs)"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    designs: dict[str, list[dict[str, Any]]] = {}
    found = [json.loads(text) for text in parser.parse_args().rows.read_text().splitlines()]
    for row in found:
        designs.setdefault(row["design"], []).append(row)
    print("| design | epochs | teacher | test accuracy by seed, % | mean ± std | MACs, M | size, kB | minutes |")
    print("|---|---|---|---|---|---|---|---|")
    for rows in designs.values():
        print(line(rows))
    print(f"\n{reestimation(found)}")


if __name__ == "__main__":
    main()
