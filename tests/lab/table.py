"""A table of what a scenario measured: printed at the end of its run, and written to build/."""

from __future__ import annotations

import time
from typing import Any, Sequence

from lab import ROOT


class Table:
    """Rows under a header."""

    def __init__(self, name: str, header: Sequence[str]) -> None:
        self.file = ROOT / f"build/{name}.md"
        self.header = tuple(header)
        self.rows: list[Any] = []
        self.started = time.monotonic()

    def lines(self) -> list[str]:
        cells = [self.header, *[tuple(str(cell) for cell in row) for row in self.rows]]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.header))]
        cells.insert(1, tuple("-" * width for width in widths))
        return [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths))} |" for row in cells]

    def add(self, row: Any) -> None:
        """Add a row, and write the table, so that a run that is ended leaves what it has measured."""
        self.rows.append(row)
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text("\n".join(self.lines()) + "\n")

    def show(self, terminalreporter: Any, title: str, total: str) -> None:
        """Print it with a line below."""
        if not self.rows:
            return
        terminalreporter.section(title)
        for line in self.lines():
            terminalreporter.write_line(line)
        seconds = time.monotonic() - self.started
        terminalreporter.write_line(f"{total} in {seconds:.0f} s; this table is in {self.file.relative_to(ROOT)}")
