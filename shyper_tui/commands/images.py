"""`shyper-tui images`: what the VMs boot."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shyper_tui.commands.output import echo, echo_progress

if TYPE_CHECKING:
    from shyper_tui.images import LinuxImages


@click.group("images")
def command() -> None:
    """Fetch, list and build guest images.

    The two embedded systems come with the package. `fetch` builds a Linux kernel, an initramfs and disks from Debian's
    riscv64 packages with the host's own apt (nothing is installed on the host) and keeps them in the user's cache.
    """


class ProgressLine:
    """One line on the terminal that follows the progress; without a terminal, each new step on its own line."""

    def __init__(self) -> None:
        self._text = ""
        self._live = sys.stderr.isatty()
        self._shown = ""

    def __call__(self, text: str, done: int, total: int) -> None:
        if not self._live:
            if text != self._text:
                echo(text, err=True)
            self._text = text
            return
        share = f"{100 * done // total:3d} %" if total else ""
        line = f"{share}  {text}"
        if line != self._shown:
            echo_progress(line)
            self._shown = line

    def end(self) -> None:
        if self._live and self._shown:
            echo_progress("")


@contextmanager
def _work() -> Iterator[ProgressLine]:
    """Progress while it lasts; an ImageError becomes the command's one-sentence error. SIGTERM and SIGHUP act as Ctrl-C
    does, so that apt does not stay behind."""
    from shyper_tui.images import ImageError

    progress = ProgressLine()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        yield progress
    except ImageError as error:
        progress.end()
        raise click.ClickException(str(error)) from None
    progress.end()


def _ready(made: LinuxImages) -> None:
    """What was made, and what is missing of it."""
    from shyper_tui import images

    for file, reason in images.notes().items():
        echo(f"Warning: without {file}: {reason}", err=True)
    echo(f"Linux {made.release} is ready in {made.kernel.parent}.")


def _fetch_libslirp(progress: ProgressLine) -> str:
    """For the outer network, which works without it after a fashion; what is wrong, if anything."""
    from shyper_tui import images

    try:
        images.fetch_libslirp(progress)
    except images.ImageError as error:
        return str(error)
    return ""


@command.command("fetch")
@click.option("--mirror", metavar="URL", help="Debian archive to use instead of the one in the host's apt sources.")
@click.option("--suite", "suites", metavar="NAME", multiple=True, help="Debian suite; several are tried in order.")
@click.option("--refresh", is_flag=True, help="Ask the archive for newer packages even when images are there.")
def fetch(mirror: str | None, suites: tuple[str, ...], refresh: bool) -> None:
    """Download Debian's kernel and busybox for riscv64 (verified, resumable) and build the Linux images."""
    from shyper_tui import images

    with _work() as progress:
        made = images.fetch(progress, suites=suites or images.SUITES, mirror=mirror, refresh=refresh)
        missing = "" if images.has_libslirp() else _fetch_libslirp(progress)
    if missing:
        echo(f"Warning: {missing}", err=True)
    _ready(made)


@command.command("build")
@click.argument("kind", type=click.Choice(["mvm", "gvm"]), required=False)
@click.option("--debian", is_flag=True, help="A whole Debian with apt, for the managing VM or for a guest.")
@click.option("--packages", metavar="A,B,...", default="", help="More Debian packages for it.")
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="The image to make.")
@click.option("--mirror", metavar="URL", help="Debian archive to use instead of the one in the host's apt sources.")
@click.option("--suite", metavar="NAME", default="stable", show_default=True, help="Debian suite.")
@click.option("--replace", is_flag=True, help="Also when FILE is there already.")
def build(
    kind: str | None, debian: bool, packages: str, output: Path | None, mirror: str | None, suite: str, replace: bool
) -> None:
    """Build the Linux images again from the downloaded packages, without network.

    With `mvm --debian` or `gvm --debian`: make an image with a whole Debian for the managing VM or a guest. Its
    packages are downloaded and unpacked on this host and configured by booting the new system in a machine of our own,
    which takes some minutes. The logins are those of the small systems; use it with --mvm-disk, or as a guest's disk.

    \b
    Example:
      shyper-tui images build mvm --debian --packages python3,gcc --output mvm-debian.img
    """
    from shyper_tui import images

    if debian != (kind is not None):
        raise click.UsageError("Give mvm or gvm together with --debian, or neither of them.")
    if kind is None:
        if packages or output or mirror or replace:
            raise click.UsageError("--packages, --output, --mirror and --replace go with --debian.")
        with _work() as progress:
            made = images.rebuild(progress)
        _ready(made)
        return
    target = output or Path(f"{kind}-debian.img")
    if target.exists() and not replace:
        raise click.ClickException(f"{target} is there already. Name another file with --output, or add --replace.")
    more = [name for name in packages.replace(" ", ",").split(",") if name]
    with _work() as progress:
        _build_debian(kind, more, target, mirror, suite, progress)
    echo(f"{target} is ready.")


def _build_debian(
    kind: str, packages: list[str], target: Path, mirror: str | None, suite: str, progress: ProgressLine
) -> None:
    """Beside the target, so that it gets its name at once, and only when everything went well."""
    from shyper_tui import images
    from shyper_tui.commands.debian_build import configure
    from shyper_tui.images.apt import AptError
    from shyper_tui.images.debian import archive
    from shyper_tui.images.debian_system import CONFIGURE, check_names, make_debian

    check_names(packages)
    linux = images.linux_images()
    if linux is None:
        raise images.ImageError("The Linux images are not there.", "Run `shyper-tui images fetch` first.")
    try:
        with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".debian-") as name:
            made = make_debian(kind, packages, archive(mirror), suite, Path(name), progress)
            configure(made.image, linux.kernel, linux.initramfs, CONFIGURE, made.packages, progress)
            made.image.replace(target)
    except AptError as error:
        message = f"The packages cannot be downloaded: {error}."
        raise images.ImageError(message, "Check the network and the names; finished downloads are kept.") from None
    except OSError as error:
        raise images.ImageError(f"{target} cannot be made: {error.strerror or error}.", "Check the folder.") from error


@command.command("list")
def list_images() -> None:
    """List all images by name, with the space they take and whether they are there."""
    from shyper_tui import images

    damaged = [f"linux/{name}" for name in images.damaged()]
    for info in images.catalog():
        state = "missing" if not info.available else "damaged" if info.name in damaged else _size(_on_host(info.path))
        echo(f"{info.name:28}{state:>12}  {info.description}")
    _list_own_disk()
    for file, reason in images.notes().items():
        echo(f"{file} could not be made: {reason}", err=True)
    if images.outdated():
        echo("The Linux images are those of an older version. `shyper-tui images build` makes them anew.", err=True)
    if damaged:
        echo("The Linux images are damaged and not used. Run `shyper-tui images fetch` again.", err=True)


def _list_own_disk() -> None:
    """The user's copy of the managing VM's disk, when there is one."""
    from shyper_tui import images
    from shyper_tui.images import user_disk

    if not user_disk.exists():
        return
    try:
        own = images.user_system()
    except images.ImageError as error:
        echo(str(error), err=True)
        return
    echo(f"{'disk':28}{_size(_on_host(own.disk)):>12}  your own copy of linux/mvm.ext4, in {own.disk.parent}")
    if own.note:
        echo(f"Note: {own.note}", err=True)


def _on_host(file: Path) -> int:
    """Bytes that a file, with holes perhaps, takes on the host."""
    return file.stat().st_blocks * 512


def _size(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 20 else f"{size / (1 << 10):.1f} KiB"


@command.command("path")
@click.argument("name")
def path(name: str) -> None:
    """Print the file of an image, for example `linux`, `initramfs`, `guest`.

    `disk` is your own copy of the managing VM's disk, which keeps what is written; it is made when there is none.
    """
    from shyper_tui import images

    with _work():
        echo(images.user_system().disk if name == "disk" else images.path(name))


@command.command("reset")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Replace your own copy of the managing VM's disk by a new one, as installed.

    Everything that was written to it is lost. With newer images (`shyper-tui images fetch --refresh`), kernel and disk
    of the managing VM are the new ones from then on.
    """
    from shyper_tui.images import user_disk

    if user_disk.exists() and not yes:
        click.confirm(f"Everything written to {user_disk.folder() / 'mvm.ext4'} will be lost. Go on?", abort=True)
    with _work():
        made = user_disk.reset()
    echo(f"{made.disk} is as installed, with Linux {made.release}.")
