"""Progress of a call that scores many texts. Standard library only, and tqdm where a bar is wanted."""

__all__ = ["Bar"]


class Bar:
    """A progress bar in texts, or none."""

    def __init__(self, wanted, total):
        self.bar = None
        if wanted:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=total, unit="text")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.close()

    def of(self, texts):
        """What wraps the iterator of batches, in which these texts are computed."""
        if self.bar is None:
            return None

        def wrap(batches):
            done = 0
            for number, batch in enumerate(batches, start=1):
                yield batch
                share = texts * number // len(batches)
                self.bar.update(share - done)
                done = share

        return wrap
