"""What to do about a row that cannot be read: stop with its place, or leave it out and count."""

from modernbert.core.errors import UserError
from modernbert.core.log import warn_once


class Faults:
    """Meets each fault of a reading. State: how many there were, and the first of them."""

    def __init__(self, *, skip: bool) -> None:
        self.first = ""
        self.count = 0
        self._skip = skip

    def meet(self, where: str, fault: str) -> None:
        """Stop here, or go on without it.

        Raises:
            UserError: faults are not to be skipped.
        """
        if not self._skip:
            raise UserError(f"{where}: {fault}; or leave out what cannot be read with on_error 'skip'")
        self.first = self.first or f"{where}: {fault}"
        self.count += 1

    def breaks(self, where: str, fault: str) -> None:
        """The same for a fault that takes the rest of the file with it.

        Raises:
            UserError: faults are not to be skipped.
        """
        self.meet(where, fault)

    def report(self, num_read: int) -> None:
        """Say how many were left out, and which was the first."""
        if self.count:
            message = f"left out {self.count} of {self.count + num_read} documents; the first: {self.first}"
            warn_once(message, message)
