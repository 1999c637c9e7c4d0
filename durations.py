"""Times and counts as people say them."""

__all__ = ["counted", "duration"]


def duration(seconds):
    """
    Seconds in words.

    Args:
        seconds (`float`): A time, of any length.

    Returns:
        `str`

    Example:

    ```python
    >>> from emodistill.durations import duration

    >>> duration(42), duration(6300)
    ('42 s', '1 h 45 min')

    ```
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def counted(number, noun):
    """
    A number of things in words.

    Args:
        number (`int`): How many.
        noun (`str`): What one of them is called.

    Returns:
        `str`

    Example:

    ```python
    >>> from emodistill.durations import counted

    >>> counted(1, "shard"), counted(2000, "shard")
    ('1 shard', '2,000 shards')

    ```
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
