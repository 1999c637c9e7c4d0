"""`emodistill push`: a checkpoint becomes a model repository, in one commit that is read back."""

import contextlib
import fnmatch
import hashlib
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..command_line import CommandParser
from ..fingerprint import file_digest
from ..loading import own_path
from . import leaks
from .errors import SENTENCES, HubError, hub_errors, is_lost, quiet_client, repository_id
from .folder import build_folder, tree
from .model_card import add_arguments, card_for, initial_card
from .scratch import scratch_folder
from .verify import verify_folder

__all__ = ["Published", "add_push_arguments", "main", "publish", "send"]

# Of what a repository has and the folder lacks, these go: an old part, a pickle or an old module would be loaded.
STALE = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.pt", "*.pth", "*_emodistill.py")
WAITS = (1.0, 4.0)  # seconds before a failed commit is tried again
TOLD = 5  # differences that are named


@dataclass
class Published:
    """
    What was published, read back from the Hub.

    Args:
        url (`str`): Of the commit.
        oid (`str`): Its hash.
        created (`bool`): Whether the repository is new.
        changed (`bool`): Whether there was anything to commit.
        deleted (`list[str]`): Stale files that the commit took out.
    """

    url: str
    oid: str
    created: bool = False
    changed: bool = True
    deleted: list = field(default_factory=list)


def publish(folder, repo_id, *, repo_type="model", private=False, revision=None, message=None, api=None):
    """Upload a folder in one commit, read the repository back, and compare sizes and hashes.

    Args:
        folder (`str` or `Path`): All its files are published.
        repo_id (`str`): `owner/name`; made if it is not there.
        repo_type (`str`): `"model"` or `"dataset"`.
        private (`bool`): Make a new repository private; one that is there must be private already.
        revision (`str`, *optional*): A branch, made if it is not there; `main` by default.
        message (`str`, *optional*): Of the commit.
        api (`huggingface_hub.HfApi`, *optional*)

    Returns:
        [`Published`]

    Raises:
        [`HubError`]: where anything failed; the sentence says whether something was published.
    """
    from huggingface_hub import HfApi

    api = api or HfApi()
    where = {"repo_id": repository_id(repo_id), "repo_type": repo_type}
    nothing = f"nothing was published to {repo_id}"
    with hub_errors(nothing):
        api.whoami()
        created = not api.repo_exists(**where)
        api.create_repo(**where, private=private or None, exist_ok=True)
    with _made_in_vain(created), hub_errors(nothing):
        if private and not api.repo_info(**where).private:
            raise HubError(f"{nothing}: it is public, and --private only makes new repositories private")
        if revision not in (None, "main"):
            api.create_branch(**where, branch=revision, exist_ok=True)
        files = tree(folder)
        parent, there = _head(api, where, revision)
        stale = sorted(name for name in there if name not in files and _matches(name))
        oid, url = _commit(api, where, revision, files, stale, parent, message or "Publish with emodistill")
    with hub_errors(f"{repo_id} was written, and could not be read back, so do not rely on commit {oid}"):
        wrong = _differences(files, _entries(api, where, oid))
    if wrong:
        more = f"; and {len(wrong) - TOLD} more" if len(wrong) > TOLD else ""
        said = f"{'; '.join(wrong[:TOLD])}{more}"
        raise HubError(f"{repo_id} was written, but not as it should be ({said}): run the command again")
    return Published(url, oid, created, oid != parent, stale)


@contextlib.contextmanager
def _made_in_vain(created):
    """Where nothing is published in the end, the repository that was made for it is told of."""
    try:
        yield
    except HubError as error:
        if not created:
            raise
        raise HubError(f"{error} (the repository itself was made)") from error


def _matches(name):
    return any(fnmatch.fnmatch(name, pattern) for pattern in STALE)


def _entries(api, where, revision):
    """Files of a repository at a revision, `dict[str, RepoFile]`."""
    entries = api.list_repo_tree(**where, revision=revision, recursive=True)
    return {entry.path: entry for entry in entries if hasattr(entry, "blob_id")}


def _head(api, where, revision):
    """The last commit of a branch, and its files."""
    sha = api.repo_info(**where, revision=revision or "main").sha
    return sha, _entries(api, where, sha)


def _differences(files, there):
    """What of the files is not in the repository as it is here."""
    wrong = []
    for name, path in files.items():
        entry = there.get(name)
        if entry is None:
            wrong.append(f"{name} is missing")
        elif entry.size != path.stat().st_size:
            wrong.append(f"{name} has {entry.size} bytes, not {path.stat().st_size}")
        elif entry.lfs is not None:
            if entry.lfs.sha256 != file_digest(path):
                wrong.append(f"{name} has another content")
        elif entry.blob_id != _blob_id(path):
            wrong.append(f"{name} has another content")
    return wrong


def _blob_id(path):
    """The hash that git gives a file."""
    content = Path(path).read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _commit(api, where, revision, files, stale, parent, message):
    """One commit on top of `parent`; tried again where the Hub failed and nobody else has committed.

    A commit whose answer was lost may have been made all the same, so the head is looked at before another try.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    what = f"nothing was published to {where['repo_id']}"
    for wait in (*WAITS, None):
        operations = [CommitOperationAdd(name, str(path)) for name, path in files.items()]
        operations += [CommitOperationDelete(name) for name in stale]
        try:
            done = api.create_commit(
                **where, operations=operations, commit_message=message, revision=revision, parent_commit=parent
            )
            return done.oid, done.commit_url
        except Exception as error:
            with hub_errors(what):
                if not is_lost(error):
                    raise
                sha, there = _head(api, where, revision)
                if sha != parent and not _differences(files, there):
                    return sha, f"{api.endpoint}/{where['repo_id']}/commit/{sha}"
                if sha != parent:
                    raise HubError(f"{what}: {SENTENCES[412]}") from error
                if wait is None:
                    raise
        time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def listing(folder):
    """Lines with the size and path of every file of a folder, and their sum."""
    sizes = {name: path.stat().st_size for name, path in tree(folder).items()}
    lines = [f"{size:>12,}  {name}" for name, size in sizes.items()]
    return [*lines, f"{sum(sizes.values()):>12,}  bytes in {len(sizes)} files"]


def add_push_arguments(parser):
    """The arguments that `push` and `push-data` share."""
    parser.add_argument("--repo-id", required=True, metavar="OWNER/NAME", help="the repository; made if absent")
    parser.add_argument("--private", action="store_true", help="make the new repository private")
    parser.add_argument("--revision", metavar="BRANCH", help="publish to this branch, made if it is not there")
    parser.add_argument("--message", help="of the commit")
    parser.add_argument("--dry-run", action="store_true", help="build, check and list files and sizes; send nothing")


def report(published, repo_id, repo_type="model"):
    """Say what was published."""
    done = "created" if published.created else "updated" if published.changed else "nothing has changed in"
    print(f"{done} the {repo_type} repository {repo_id}: {published.url}")
    if published.deleted:
        print(f"took out what no longer belongs to it: {', '.join(published.deleted)}")
    print("read back: every file has the size and hash that it has here")


def main(argv=None):
    """Build, check and publish a checkpoint.

    Args:
        argv (`list[str]`, *optional*): The arguments after `push`.

    Returns:
        `int`: 0; 1 where the folder is not in order or the Hub failed.

    Raises:
        `ValueError`: for arguments that do not fit.
    """
    parser = CommandParser(
        prog="emodistill push",
        description="Publish a checkpoint on the Hugging Face Hub, with its code and card, in one commit.",
    )
    parser.add_argument("checkpoint", help="folder of a trained checkpoint")
    add_push_arguments(parser)
    add_arguments(parser)
    args = parser.parse_args(argv)
    repository_id(args.repo_id)
    args.checkpoint = own_path(args.checkpoint)
    if not Path(args.checkpoint).is_dir():
        raise ValueError(f"there is no folder {args.checkpoint}; give that of a trained checkpoint")
    quiet_client()
    if args.evaluation or args.audit or args.facts:
        card = card_for(args.checkpoint, args.repo_id, args.evaluation, args.audit, args.facts)
    else:
        card = initial_card(args.checkpoint, args.repo_id)
    with scratch_folder("push") as temporary:
        folder = build_folder(args.checkpoint, Path(temporary) / "folder", card)
        problems, _ = verify_folder(folder)
        return send(folder, problems, args)


def send(folder, problems, args, repo_type="model"):
    """Publish a folder as the command line says, unless it has problems, and tell how it went.

    Args:
        folder (`Path`): What is to be published.
        problems (`list[str]`): What its check found; with any, nothing is sent.
        args (`argparse.Namespace`): See `add_push_arguments`.
        repo_type (`str`): `"model"` or `"dataset"`.

    Returns:
        `int`: the exit status.
    """
    command = "push" if repo_type == "model" else "push-data"
    for problem in problems:
        print(f"emodistill {command}: {problem}", file=sys.stderr)
    if problems:
        return 1
    if not leaks.has_scanner():
        print(
            f"emodistill {command}: looked for secrets by our own rules alone; for those of detect-secrets: "
            "pip install 'emodistill[hub]'",
            file=sys.stderr,
        )
    print("\n".join(listing(folder)))
    if args.dry_run:
        print(f"checked; nothing was sent to {args.repo_id}")
        return 0
    try:
        published = publish(
            folder, args.repo_id, repo_type=repo_type, private=args.private, revision=args.revision,
            message=args.message,
        )  # fmt: skip
    except HubError as error:
        print(f"emodistill {command}: {error}", file=sys.stderr)
        return 1
    report(published, args.repo_id, repo_type)
    return 0
