"""A server on loopback that speaks as much of the Hub's HTTP API as its own client uses here, and fails on request.

Repositories are kept in memory as commits; large files take the LFS way (batch, single-part upload, verification), as
they do on the Hub where its newer storage is not used. There is no such server among the well-kept packages, so it is
written out: what it answers was read off the client's own source.
"""

import base64
import contextlib
import hashlib
import json
import re
import secrets
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

TOKEN, OWNER = "hf_" + "t" * 34, "tester"
LFS_FROM = 10_000  # bytes; smaller than the Hub's, so that tiny weights take the way of large ones
LFS_SUFFIXES = (".safetensors", ".parquet", ".bin")
REPO = r"/(?P<id>[\w.-]+/[\w.-]+)"
API = r"/api/(?P<kind>model|dataset|space)s" + REPO
SITE = r"/(?:(?P<kinds>datasets|spaces)/)?(?P<id>[\w.-]+/[\w.-]+)"


@dataclass
class Repository:
    private: bool = False
    branches: dict = field(default_factory=dict)
    commits: dict = field(default_factory=dict)  # hash: {path: (content, whether it is stored as LFS)}
    log: list = field(default_factory=list)

    def commit(self, branch, files, title):
        oid = secrets.token_hex(20)
        self.commits[oid], self.branches[branch] = files, oid
        self.log.append(title)
        return oid

    def at(self, revision):
        """Commit and files of a branch or commit, or `None`."""
        oid = self.branches.get(revision, revision)
        return (oid, self.commits[oid]) if oid in self.commits else None


@dataclass
class Fault:
    """What goes wrong with the next requests that match: a status, a cut connection, or something done before."""

    method: str
    pattern: str
    status: int | None = None
    times: int = 1
    done_first: bool = False  # the work is done, and only the answer goes wrong
    before: object = None
    change: object = None  # takes and gives the body of the request
    content: bytes | None = None  # comes in place of the answer


class Answer(Exception):
    def __init__(self, status, content=None, headers=None):
        self.status, self.content, self.headers = status, content, headers or {}


def refused(status, message, code=None):
    return Answer(status, {"error": message}, {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})})


def blob_id(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def entry_of(path, content, lfs):
    entry = {"type": "file", "path": path, "size": len(content), "oid": blob_id(content)}
    if lfs:
        digest = hashlib.sha256(content).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n".encode()
        entry |= {"oid": blob_id(pointer), "lfs": {"oid": digest, "size": len(content), "pointerSize": len(pointer)}}
    return entry


def folder_of(path):
    return {"type": "directory", "path": path, "size": 0, "oid": "0" * 40}


class Hub(ThreadingHTTPServer):
    """The server; `with fake_hub.serve() as hub:` gives a running one.

    `hub.url` is for `HF_ENDPOINT`, `hub.repos` maps `(kind, id)` to a `Repository`, `hub.requests` is the log, and
    `hub.fault(...)` makes the next matching requests fail.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.storage = f"http://localhost:{self.server_address[1]}/storage"  # another host, as on the Hub
        self.repos, self.objects, self.requests, self.faults = {}, {}, [], []
        self.lock = threading.RLock()

    def fault(self, method, pattern, status=None, **options):
        self.faults.append(Fault(method, pattern, status, **options))

    def handle_error(self, request, client_address):
        pass  # a client that hangs up

    def fault_for(self, method, path):
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method == method and re.search(fault.pattern, path):
                    fault.times -= 1
                    return fault
        return None

    def files(self, repo_id, kind="model", revision="main"):
        """`{path: content}` of a repository."""
        return {path: content for path, (content, _) in self.repos[kind, repo_id].at(revision)[1].items()}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self._answer(self._body())

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, body):
        parts = urlsplit(self.path)
        path, self.query = unquote(parts.path), parse_qs(parts.query)
        self.server.requests.append((self.command, path))
        fault = self.server.fault_for(self.command, path)
        if fault and fault.before:
            fault.before(self.server)
        if fault and fault.change:
            body = fault.change(body)
        breaks = fault and not (fault.before or fault.change)
        answer = None if breaks and not fault.done_first else self._route(path, body)
        if breaks:
            if fault.status is None:  # the line goes dead
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(2)
                return
            told = refused(fault.status, "so the test wants it")
            answer = told if fault.content is None else Answer(fault.status, fault.content)
        self._send(answer)

    def _route(self, path, body):
        for method, pattern, handler in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method.split():
                with self.server.lock:
                    try:
                        return handler(self, body, **match.groupdict(default=""))
                    except Answer as answer:
                        return answer
                    except Exception as error:  # a mistake here is told, not taken for a dead line
                        return refused(501, f"loopback server: {error!r}")
        return refused(404, f"no such page: {path}")

    def _send(self, answer):
        content = answer.content
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"Content-Length": str(len(data)), "X-Request-Id": "loopback", **answer.headers}
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    # who asks, and what for

    def _may(self, write=False, private=False):
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if given and given != TOKEN:
            raise refused(401, "Invalid credentials in Authorization header")
        if not given and (write or private):
            raise refused(401, "Invalid username or password.", "RepoNotFound" if private else None)

    def _repo(self, kind, id, write=False):
        repo = self.server.repos.get((kind, id))
        self._may(write, private=repo is None or repo.private)
        if repo is None:
            raise refused(404, "Repository not found", "RepoNotFound")
        return repo

    def _at(self, repo, revision):
        found = repo.at(revision)
        if found is None:
            raise refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found

    # the API

    def whoami(self, body):
        self._may(write=True)
        return Answer(200, {"type": "user", "name": OWNER, "orgs": [], "auth": {"type": "access_token"}})

    def create(self, body):
        self._may(write=True)
        wanted = json.loads(body)
        key = wanted.get("type") or "model", f"{wanted.get('organization') or OWNER}/{wanted['name']}"
        url = f"{self.server.url}/{'' if key[0] == 'model' else key[0] + 's/'}{key[1]}"
        if key in self.server.repos:
            raise Answer(409, {"error": "You already created this repository", "url": url})
        private = wanted.get("visibility") == "private" or wanted.get("private") is True
        repo = self.server.repos[key] = Repository(private)
        attributes = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)
        repo.commit("main", {".gitattributes": (attributes.encode(), False)}, "initial commit")
        return Answer(200, {"url": url, "name": key[1], "id": key[1]})

    def validate(self, body):
        text = json.loads(body)["content"]
        match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
        try:
            metadata = yaml.safe_load(match.group(1)) if match else {}
            errors = [] if isinstance(metadata, dict) else [{"message": "metadata must be a mapping"}]
        except yaml.YAMLError as error:
            errors = [{"message": str(error)}]
        warnings = [] if match else [{"message": "empty or missing yaml metadata in repo card"}]
        return Answer(400 if errors else 200, {"errors": errors, "warnings": warnings})

    def info(self, body, kind, id, revision="main"):
        repo = self._repo(kind, id)
        oid, files = self._at(repo, revision)
        siblings = [{"rfilename": path} for path in sorted(files)]
        content = {"_id": "0" * 24, "id": id, "sha": oid, "private": repo.private, "siblings": siblings, "tags": []}
        return Answer(200, content | {"gated": False, "disabled": False, "downloads": 0, "likes": 0})

    def refs(self, body, kind, id):
        branches = [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": oid}
            for name, oid in self._repo(kind, id).branches.items()
        ]
        return Answer(200, {"branches": branches, "converts": [], "tags": []})

    def branch(self, body, kind, id, name):
        repo = self._repo(kind, id, write=True)
        if name in repo.branches:
            raise refused(409, "Reference already exists")
        repo.branches[name] = repo.branches["main"]
        return Answer(200, {})

    def preupload(self, body, kind, id, revision):
        repo = self._repo(kind, id, write=True)
        _, there = self._at(repo, revision)
        files = []
        for file in json.loads(body)["files"]:
            name = file["path"]
            lfs = name.endswith(LFS_SUFFIXES) or (file["size"] > LFS_FROM and not name.endswith((".md", ".py")))
            found = {"path": name, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            if name in there:
                entry = entry_of(name, *there[name])
                found["oid"] = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
            files.append(found)
        return Answer(200, {"files": files})

    def batch(self, body, kinds, id):
        self._repo(kinds[:-1] or "model", id, write=True)
        objects = []
        for wanted in json.loads(body)["objects"]:
            oid = wanted["oid"]
            found = {"oid": oid, "size": wanted["size"]}
            if oid not in self.server.objects:
                token = {"Authorization": f"Bearer {TOKEN}"}
                found["actions"] = {
                    "upload": {"href": f"{self.server.storage}/{oid}"},
                    "verify": {"href": f"{self.server.url}/verify/{oid}", "header": token},
                }
            objects.append(found)
        return Answer(200, {"transfer": "basic", "objects": objects})

    def store(self, body, oid):
        self.server.objects[oid] = body  # a store of objects asks no questions: verification does
        return Answer(200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def verify(self, body, oid):
        stored = self.server.objects.get(oid, b"")
        if hashlib.sha256(stored).hexdigest() != oid or len(stored) != json.loads(body)["size"]:
            self.server.objects.pop(oid, None)
            raise refused(422, "the object that was uploaded is not the one that was announced")
        return Answer(200, {})

    def commit(self, body, kind, id, revision):
        repo = self._repo(kind, id, write=True)
        head, files = self._at(repo, revision)
        files, title = dict(files), ""
        for line in body.splitlines():
            item = json.loads(line)
            key, value = item["key"], item["value"]
            if key == "header":
                title = value["summary"]
                if value.get("parentCommit") not in (None, head):
                    raise refused(412, "A commit has happened since. Please refresh and try again.")
            elif key == "file":
                files[value["path"]] = (base64.b64decode(value["content"]), False)
            elif key == "lfsFile":
                if value["oid"] not in self.server.objects:
                    raise refused(400, f"no object {value['oid']} was uploaded")
                files[value["path"]] = (self.server.objects[value["oid"]], True)
            elif key == "deletedFile":
                del files[value["path"]]
            else:
                raise refused(400, f"unknown operation {key}")
        oid = repo.commit(revision, files, title)
        url = f"{self.server.url}/{id}/commit/{oid}"
        return Answer(200, {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def tree(self, body, kind, id, revision, folder=""):
        repo = self._repo(kind, id)
        _, files = self._at(repo, revision)
        folder = folder.strip("/")
        prefix = f"{folder}/" if folder else ""
        inside = {path: file for path, file in files.items() if path.startswith(prefix)}
        if folder and not inside:
            raise refused(404, f"{folder} does not exist on {revision}", "EntryNotFound")
        recursive = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        entries, folders = [], set()
        for path, file in sorted(inside.items()):
            parents = path.removeprefix(prefix).split("/")[:-1]
            depth = len(parents) if recursive else min(1, len(parents))
            folders |= {prefix + "/".join(parents[: number + 1]) for number in range(depth)}
            if recursive or not parents:
                entries.append(entry_of(path, *file))
        return Answer(200, entries + [folder_of(path) for path in sorted(folders)])

    def paths_info(self, body, kind, id, revision):
        repo = self._repo(kind, id)
        _, files = self._at(repo, revision)
        fields = parse_qs(body.decode())
        wanted = json.loads(body)["paths"] if body.startswith(b"{") else fields.get("paths", [])
        entries = [entry_of(path, *files[path]) for path in wanted if path in files]
        folders = [path for path in wanted if any(name.startswith(f"{path}/") for name in files)]
        return Answer(200, entries + [folder_of(path) for path in folders])

    # downloads

    def resolve(self, body, kinds, id, revision, file):
        repo = self._repo(kinds[:-1] or "model", id)
        oid, files = self._at(repo, revision)
        if file not in files:
            raise Answer(404, b"Entry not found", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": oid})
        content, lfs = files[file]
        entry = entry_of(file, content, lfs)
        if not lfs:
            return self._part(content, {"ETag": f'"{entry["oid"]}"', "X-Repo-Commit": oid})
        digest = entry["lfs"]["oid"]
        headers = {"X-Repo-Commit": oid, "X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        return Answer(302, b"", headers | {"Location": f"{self.server.storage}/{digest}"})

    def fetch(self, body, oid):
        return self._part(self.server.objects[oid], {"ETag": f'"{oid}"'})

    def _part(self, content, headers):
        headers |= {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not match:
            return Answer(200, content, headers)
        first, last = int(match[1]), min(int(match[2] or len(content)), len(content) - 1)
        if first >= len(content):
            return Answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return Answer(206, content[first : last + 1], headers)


REVISION = r"(?P<revision>[^/]+)"
ROUTES = [
    ("GET", r"/api/whoami-v2", Handler.whoami),
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", Handler.validate),
    ("GET", API, Handler.info),
    ("GET", API + r"/revision/" + REVISION, Handler.info),
    ("GET", API + r"/refs", Handler.refs),
    ("POST", API + r"/branch/(?P<name>.+)", Handler.branch),
    ("POST", API + r"/preupload/" + REVISION, Handler.preupload),
    ("POST", API + r"/commit/" + REVISION, Handler.commit),
    ("GET", API + r"/tree/" + REVISION + r"(?P<folder>/.*)?", Handler.tree),
    ("POST", API + r"/paths-info/" + REVISION, Handler.paths_info),
    ("POST", SITE + r"\.git/info/lfs/objects/batch", Handler.batch),
    ("PUT", r"/storage/(?P<oid>\w+)", Handler.store),
    ("GET HEAD", r"/storage/(?P<oid>\w+)", Handler.fetch),
    ("POST", r"/verify/(?P<oid>\w+)", Handler.verify),
    ("GET HEAD", SITE + r"/resolve/" + REVISION + r"/(?P<file>.+)", Handler.resolve),
]


@contextlib.contextmanager
def serve():
    """A running server, stopped at the end."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
