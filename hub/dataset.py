"""`emodistill push-data`: a descriptor data set becomes a data set repository, with its card."""

import re
import shutil
from pathlib import Path

from ..command_line import CommandParser, given_options
from .check import check_content, colliding_names
from .errors import quiet_client, repository_id
from .folder import foreign_links, tree
from .push import add_push_arguments, send
from .scratch import scratch_folder

__all__ = ["build_dataset", "check_dataset", "main"]

DATA_SUFFIXES = (".parquet", ".jsonl", ".csv", ".json")


def build_dataset(source, folder, name=None, licence=None, language="en", store=None):
    """Write the publishable folder of a descriptor data set.

    Args:
        source (`str` or `Path`): A folder with a card and data files, such as `data/descriptors`, or the JSON lines
            that `emodistill annotate` wrote; these get a card from their rows and from the run's store.
        folder (`str` or `Path`): An empty folder to fill.
        name (`str`, *optional*): Of the data set, for a new card; the file's name by default.
        licence (`str`, *optional*): For a new card, an identifier of the Hub's, such as `cc-by-4.0`.
        language (`str`): Of the texts, for a new card.
        store (`str` or `Path`, *optional*): Of the run, for a new card; beside the data by default.

    Returns:
        `Path`: the folder.

    Raises:
        `ValueError`: where there is no card or no data.
    """
    source, folder = Path(source), Path(folder)
    if source.is_dir():
        if not (source / "README.md").is_file():
            raise ValueError(f"{source} has no README.md, the data set's card")
        if links := foreign_links(source):
            raise ValueError(f"{source / links[0]} is a link out of the data set: put the file itself there")
        files = tree(source)
        if not any(path.suffix in DATA_SUFFIXES for path in files.values()):
            raise ValueError(f"{source} has no data file ({', '.join(DATA_SUFFIXES)})")
        for path_in_repo, path in files.items():
            if not path.is_file():  # reading it might never end
                raise ValueError(f"{path} is neither a file nor a folder: take it out")
            (folder / path_in_repo).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / path_in_repo)
        return folder
    if not source.is_file():
        raise ValueError(f"there is neither a folder nor a file {source}")
    from ..annotate.data_card import provenance, write_card
    from ..annotate.output import store_path
    from ..annotate.vocabulary import DescriptorVocabulary, read_data_set

    vocabulary = DescriptorVocabulary.of(read_data_set(source))  # what is no descriptor data set is told here
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder / "train.jsonl")
    runs, asked = provenance(store_path(source, store))
    write_card(
        folder / "README.md", vocabulary, name=name or source.stem, licence=licence, runs=runs, asked=asked,
        language=language, file="train.jsonl",
    )  # fmt: skip
    return folder


def check_dataset(folder):
    """Look at every file of a publishable data set.

    Args:
        folder (`str` or `Path`)

    Returns:
        `list[str]`: a sentence for each thing that is wrong: metadata that are not valid, a file that they name and
        that is missing, a data file in no configuration, share-alike texts under another licence, a pickle, a secret
        or an absolute path in the card.
    """
    from huggingface_hub import DatasetCard

    folder = Path(folder)
    files = tree(folder)
    try:
        metadata = DatasetCard((folder / "README.md").read_text(encoding="utf-8")).data.to_dict()
    except Exception as error:  # whatever YAML and the Hub's classes raise
        return [f"README.md: its metadata are not valid ({str(error).splitlines()[0]})"]
    problems = _configurations(metadata, files) + _licences(metadata, files) + colliding_names(files)
    for name, path in files.items():
        # rows of texts may hold anything that people write; the rest is ours
        problems += check_content(name, path, data=path.suffix in DATA_SUFFIXES)
    return problems


def _patterns(metadata):
    """`(configuration, pattern)` of each set of files that a card names, whatever form it has."""
    configs = metadata.get("configs")
    for config in configs if isinstance(configs, list) else ():
        if not isinstance(config, dict):
            continue
        given = config.get("data_files") or []
        for split in given if isinstance(given, list) else [given]:
            paths = split.get("path") or () if isinstance(split, dict) else split
            for path in paths if isinstance(paths, list | tuple) else [paths]:
                yield config.get("config_name"), str(path)


def _matches(name, pattern):
    return bool(pattern) and Path(name).match(pattern)


def _configurations(metadata, files):
    """Files that a card names and that are missing, and data files that it does not name."""
    patterns = list(_patterns(metadata))
    problems = [
        f"README.md names {pattern} (configuration {config}): no such file"
        for config, pattern in patterns
        if not any(_matches(name, pattern) for name in files)
    ]
    if patterns:
        for name, path in files.items():
            if path.suffix == ".parquet" and not any(_matches(name, pattern) for _, pattern in patterns):
                problems.append(f"{name} is in no configuration of README.md, so that nobody could load it by name")
    return problems


def _licences(metadata, files):
    """Sources whose texts keep a share-alike licence that the card does not give."""
    from ..descriptors.describe import read_licences

    given = metadata.get("license") or ()
    given = {str(one).lower() for one in (given if isinstance(given, list | tuple) else [given])}
    licences, problems = read_licences(), []
    for source in sorted(_sources(files)):
        entry = licences.get(source, {})
        wanted = re.sub(r"[ _]+", "-", entry.get("licence", "").lower())
        if entry.get("share_alike") and wanted not in given and "other" not in given:
            problems.append(
                f"README.md: texts of {source} are under {entry['licence']} and keep it, and license is "
                f"{', '.join(sorted(given)) or 'not given'}: add {wanted}, or leave them out "
                f"(emodistill build-data --without {source})"
            )
    return problems


def _sources(files):
    """The sources that rows name."""
    from ..descriptors.formats import format_of, read_file

    found = set()
    for path in files.values():
        kind = format_of(path)
        try:
            if kind == "parquet":
                found |= _parquet_sources(path)
            elif kind in ("jsonl", "csv", "json") and path.suffix in DATA_SUFFIXES:
                found |= {row.values.get("source") for row in read_file(str(path), kind)}
        except (ValueError, OSError):  # what is wrong with it, loading it tells
            continue
    return {source for source in found if isinstance(source, str)}


def _parquet_sources(path):
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            if "source" not in file.schema_arrow.names:
                return set()
            return set(file.read(["source"]).column("source").unique().to_pylist())
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from None


def main(argv=None):
    """Build, check and publish a descriptor data set.

    Args:
        argv (`list[str]`, *optional*): The arguments after `push-data`.

    Returns:
        `int`: 0; 1 where the data set is not in order or the Hub failed.

    Raises:
        `ValueError`: for arguments that do not fit.
    """
    parser = CommandParser(
        prog="emodistill push-data",
        description="Publish a descriptor data set on the Hugging Face Hub, with its card, in one commit.",
    )
    parser.add_argument("data", help="folder with a card, such as data/descriptors, or what emodistill annotate wrote")
    add_push_arguments(parser)
    parser.add_argument("--name", help="of the data set, for the card of a file (default: the file's name)")
    parser.add_argument("--licence", help="for the card of a file, an identifier such as cc-by-4.0")
    parser.add_argument("--language", default="en", help="of the texts, for the card of a file (default: en)")
    parser.add_argument("--store", metavar="FILE", help="the run's store, for the card of a file")
    args = parser.parse_args(argv)
    repository_id(args.repo_id)
    given = given_options(parser, args, ("name", "licence", "language", "store"))
    if given and Path(args.data).is_dir():
        raise ValueError(f"{given[0]} is for the card of a file, and {args.data} is a folder with a card of its own")
    quiet_client()
    with scratch_folder("push") as temporary:
        folder = Path(temporary) / "folder"
        build_dataset(args.data, folder, args.name, args.licence, args.language, args.store)
        return send(folder, check_dataset(folder), args, repo_type="dataset")
