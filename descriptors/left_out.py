"""Rows that cannot be used: told and left out while they are few, for one bad row must never cost the others."""

__all__ = ["LeftOut"]

SHOWN = 5  # rows told one by one
SHARE = 10  # one row in so many may be bad, and one at the least: more is a wrong column, not a few slips


class LeftOut:
    """
    The rows of one table that are left out.

    Args:
        say (`Callable[[str], None]`, *optional*): Told of them; without it, none may be left out.
        any_number (`bool`, *optional*, defaults to `False`): Whether they may be many, as where a table is labelled in
            part.

    Example:

    ```python
    >>> from emodistill.descriptors.left_out import LeftOut

    >>> bad = LeftOut(print)
    >>> bad.add("mine.csv, line 3", "there is no text (null)")
    >>> bad.settle(40)
    mine.csv, line 3: there is no text (null); the row is left out
    1 of 40 rows is left out

    ```
    """

    def __init__(self, say=None, any_number=False):
        self.say, self.any_number = say, any_number
        self.count, self.first = 0, []

    def add(self, place, why, of_table=False):
        """
        One more.

        Args:
            place (`str`): File and line.
            why (`str`): What is wrong there.
            of_table (`bool`, *optional*, defaults to `False`): Whether other rows may be read wrongly too.

        Raises:
            `ValueError`: where it may not be left out.
        """
        if self.say is None or of_table:
            raise ValueError(f"{place}: {why}")
        self.count += 1
        if self.count <= SHOWN:
            self.first.append(f"{place}: {why}")

    def settle(self, rows):
        """
        Tell of them, at the table's end.

        Args:
            rows (`int`): All rows of the table.

        Raises:
            `ValueError`: where they are too many, or all.
        """
        if not self.count:
            return
        if self.count == rows or (not self.any_number and self.count > max(1, rows // SHARE)):
            more = f"; {self.count:,} of {rows:,} rows cannot be used: mend them, or take them out"
            raise ValueError(self.first[0] + (more if rows > 1 else ""))
        for line in self.first:
            self.say(f"{line}; the row is left out")
        self.say(f"{self.count:,} of {rows:,} rows {'is' if self.count == 1 else 'are'} left out")
