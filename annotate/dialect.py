"""How a server wants to be asked, found out by asking: with a schema or not, and its name for the longest answer."""

from .faults import FatalError

__all__ = ["Dialect"]

_NAMES = ("max_tokens", "max_completion_tokens")


class Dialect:
    """What the requests of a run look like; each choice is changed once at most.

    Args:
        settings (`Settings`)
        structured_only (`bool`): Whether plain text cannot carry the answers.
    """

    def __init__(self, settings, structured_only):
        self._settings, self._structured_only = settings, structured_only
        self.structured = settings.reply_format != "text"  # whether JSON is asked for
        self.schema = self.structured  # whether the server is given the schema
        self.limit_name = settings.limit_name
        self._renamed = False

    def without_schema(self, why):
        """The server has no structured outputs: ask without them from now on.

        Returns:
            `bool`: whether this changed anything; `False` where an earlier answer had said so already.

        Raises:
            `FatalError`: where the settings insist on them.
        """
        if self._settings.reply_format == "json":
            raise FatalError(f"the server has no structured outputs ({why}); use the reply format auto or text")
        changed, self.schema = self.schema, False
        self.structured = self.structured and self._structured_only
        return changed

    def rename_limit(self, used):
        """The server does not take a name for the longest answer: use the other one from now on.

        Args:
            used (`str`): The name that the refused request had.

        Returns:
            `bool`: whether another try is worth it; `False` where both names have been refused.
        """
        if used != self.limit_name:
            return True  # the request was on its way when the name was changed
        if self._renamed:
            return False
        self._renamed = True
        self.limit_name = _NAMES[1 - _NAMES.index(used)]
        return True
