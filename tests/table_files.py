"""Small tables on disk, and what is read of them."""

from emodistill.descriptors.tables import iter_texts, read_texts


def write(path, content, encoding="utf-8"):
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def rows_of(path, **options):
    return [(row.id, row.text) for row in read_texts(path, **options)]


def texts_of(path, **options):
    return [(row.text, row.error) for row in iter_texts(path, **options)]
