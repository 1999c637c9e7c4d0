"""A program that builds walls of Linux namespaces around another program, where bubblewrap is not installed.

`python -I -S walls.py SPECIFICATION` imports nothing of the package. The specification is JSON: `command`, `root` (an
empty folder), `readable` and `writable` (paths that are bound into the new root), `size` (bytes of its memory file
system), `folder` (where the command starts). The command sees these paths, a small `/dev` and its own processes; no
network, no other file, no capability. Exit status 121 means that the kernel refused to build.
"""

import ctypes
import json
import os
import signal
import struct
import sys

__all__ = ["INSIDE", "main", "system_calls"]

REFUSED = 121
INSIDE = 1000  # the user and group that the command sees itself as
NEW = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
BIND, RECURSIVE, PRIVATE, NOSUID, NODEV, NOEXEC = 4096, 16384, 1 << 18, 2, 4, 8
DETACH, READ_ONLY, AT_RECURSIVE, AT_FDCWD, MOUNT_SETATTR = 2, 1, 0x8000, -100, 442
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
NO_NEW_PRIVILEGES, DIE_WITH_PARENT = 38, 1
DEVICES = ("null", "zero", "full", "random", "urandom")
# By machine: its name in the kernel's audit, `socket`, and what no model needs and no namespace holds: the keyrings of
# whoever started this (add_key, request_key, keyctl), bpf, perf_event_open, userfaultfd, io_uring_setup.
SYSTEM_CALLS = {
    "x86_64": (0xC000003E, 41, (248, 249, 250, 321, 298, 323, 425)),
    "aarch64": (0xC00000B7, 198, (217, 218, 219, 280, 241, 282, 425)),
}
OTHER_ABI = 0x40000000  # of x86_64: the same calls under numbers from here on
FAMILIES = (1, 2, 10)  # unix, IPv4, IPv6: sockets to the machine that hosts this one, for one, know no namespace
LOAD, EQUAL, AT_LEAST, ANSWER = 0x20, 0x15, 0x35, 0x06
ALLOWED, NOT_PERMITTED, NO_SUCH_FAMILY = 0x7FFF0000, 0x00050001, 0x00050061
SET_FILTER, BY_FILTER = 22, 2

libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind=None, flags=0, options=None):
    given = [None if value is None else os.fsencode(value) for value in (source, target, kind, options)]
    check(libc.mount(given[0], given[1], given[2], ctypes.c_ulong(flags), given[3]), f"mount {target}")


def make_read_only(path):
    """Only adds the flag: the kernel forbids to take off those that the outer file system has."""
    attributes = (ctypes.c_uint64 * 4)(READ_ONLY | NOSUID, 0, 0, 0)
    arguments = (MOUNT_SETATTR, AT_FDCWD, os.fsencode(path), AT_RECURSIVE, ctypes.byref(attributes), 32)
    check(libc.syscall(*arguments), f"mount_setattr {path}")


def bind(path, root, read_only):
    target = root + path
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            open(target, "w").close()
    mount(path, target, flags=BIND | RECURSIVE)
    if read_only:
        make_read_only(target)


def system_calls(machine):
    """What a program may ask of the kernel, as a filter that the kernel runs (seccomp), `bytes`; empty for a machine
    whose calls are not known here."""
    if machine not in SYSTEM_CALLS:
        return b""
    audit, socket, forbidden = SYSTEM_CALLS[machine]
    steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, audit), (ANSWER, 0, 0, NOT_PERMITTED), (LOAD, 0, 0, 0)]
    for comparison, number in [(AT_LEAST, OTHER_ABI), *((EQUAL, number) for number in forbidden)]:
        steps += [(comparison, 0, 1, number), (ANSWER, 0, 0, NOT_PERMITTED)]
    steps += [(EQUAL, 1, 0, socket), (ANSWER, 0, 0, ALLOWED), (LOAD, 0, 0, 16)]
    for family in FAMILIES:
        steps += [(EQUAL, 0, 1, family), (ANSWER, 0, 0, ALLOWED)]
    return b"".join(struct.pack("=HBBI", *step) for step in [*steps, (ANSWER, 0, 0, NO_SUCH_FAMILY)])


def filter_calls():
    """Have the kernel refuse this process, and all that come of it, what `system_calls` leaves out."""
    content = ctypes.create_string_buffer(system_calls(os.uname().machine))
    program = struct.pack("@HP", len(content) // 8, ctypes.addressof(content))
    check(libc.prctl(SET_FILTER, BY_FILTER, program, 0, 0), "seccomp")


def build(specification):
    """The new root, from inside the new namespaces."""
    root = specification["root"]
    mount(None, "/", flags=RECURSIVE | PRIVATE)
    mount("tmpfs", root, "tmpfs", NOSUID | NODEV, f"size={specification['size']},mode=755")
    for name, target in specification["links"].items():  # /lib and the like may be links into /usr
        os.symlink(target, root + name)
    for path in specification["readable"]:
        bind(path, root, read_only=True)
    for path in specification["writable"]:
        bind(path, root, read_only=False)
    for device in DEVICES:
        bind(f"/dev/{device}", root, read_only=False)
    for name in ("/dev/shm", "/tmp", "/proc", *specification["empty"]):
        os.makedirs(root + name, exist_ok=True)
    mount("proc", root + "/proc", "proc", NOSUID | NODEV | NOEXEC)
    old = root + "/.outside"
    os.mkdir(old)
    check(libc.syscall(PIVOT_ROOT[os.uname().machine], os.fsencode(root), os.fsencode(old)), "pivot_root")
    os.chdir("/")
    check(libc.umount2(b"/.outside", DETACH), "umount")
    os.rmdir("/.outside")
    with open("/proc/sys/user/max_user_namespaces", "w") as file:  # nobody in here builds further
        file.write("0")
    # To the kernel this user is the one outside, and root may set up the machine there (/proc/sys).
    make_read_only("/proc")


def write(path, content):
    with open(path, "w") as file:
        file.write(content)


def main(text):
    specification = json.loads(text)
    user, group = os.getuid(), os.getgid()
    try:
        check(libc.unshare(NEW), "unshare")
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"{INSIDE} {user} 1")
        write("/proc/self/gid_map", f"{INSIDE} {group} 1")
    except OSError as error:
        print(error, file=sys.stderr)
        return REFUSED
    child = os.fork()  # the first process of the new table of processes; with it all others in there end
    if child == 0:
        try:
            libc.prctl(DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
            build(specification)
            os.chdir(specification["folder"])
            check(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl")
            filter_calls()
            os.execv(specification["command"][0], specification["command"])  # as no root, so without capabilities
        except (OSError, KeyError) as error:
            print(error, file=sys.stderr)
        os._exit(REFUSED)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) % 256


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
