"""What the steps refuse.

StranglerError
├── UsageError
│   └── NoSteps         2  there are no steps here, or not the one that was asked for
└── StepsError          1  something about the steps
    ├── Unclean         1  files aren't committed, so what would be built isn't what is meant
    ├── BrokenSteps     1  the steps don't lead back from the tree that is committed: every reason is named
    ├── ForeignTag      1  a tag of a step's name is somebody else's
    ├── EditRefused     1  the steps can't be laid out, or what was edited can't be written back as it is
    └── CheckFailed     1  a step's tree doesn't pass its checks
"""

from __future__ import annotations

from collections.abc import Sequence

from strangler.errors import StranglerError, UsageError
from strangler.steps.tree import Finding


class NoSteps(UsageError):
    """There is nothing to build here; nothing was changed."""


class StepsError(StranglerError):
    """Root of what the steps raise on purpose."""


class Unclean(StepsError):
    """The working tree holds changes that no commit has; nothing was changed."""


class BrokenSteps(StepsError):
    """Going backwards from the committed tree doesn't work; nothing was changed."""

    def __init__(self, findings: Sequence[Finding], last: str) -> None:
        lines = ["The steps don't lead back from the committed tree. Nothing was changed.", ""]
        lines += [f"  {finding.sentence}" for finding in findings]
        if any(finding.main for finding in findings):
            lines += [
                "",
                "If this is work on main that the last step brings, while the steps before it stay the same:",
                f"`strangler steps absorb {last}`. What was always there: `strangler steps absorb 00 PATH`.",
            ]
        super().__init__("\n".join(lines))
        self.findings = findings


class ForeignTag(StepsError):
    """A tag that this would write points at something that no build has made; no tag was changed."""


class EditRefused(StepsError):
    """An edit can't begin, go on or be saved; what the author committed stays."""


class CheckFailed(StepsError):
    """At least one check of one step failed."""
