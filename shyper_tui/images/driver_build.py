"""Builds the kernel module `shyper_riscv64.ko`, which gives the managing VM `/dev/shyper`, for the kernel that was
fetched: what kbuild and modpost do for one module, without them.

The flags are those of the kernel's own Makefiles as far as they change code that meets the kernel's. What modpost adds
(Linux `scripts/mod/modpost.c`): `__this_module`, the version of each symbol that the module uses, and `vermagic`.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .apt import Progress
from .cross_compiler import CompilerError, CrossCompiler, cross_compilers
from .errors import ImageError
from .kernel_headers import KernelHeaders, header_packages, unpack_headers
from .kernel_modules import module_info

__all__ = ["FILE_NAME", "driver_module", "driver_sources", "header_packages"]

NAME = "shyper_riscv64"
FILE_NAME = f"{NAME}.ko"
_PACKAGE = Path(__file__).parent
_INITIAL_HEADERS = ("linux/compiler-version.h", "linux/kconfig.h", "linux/compiler_types.h")
_FLAGS = [
    *("-nostdinc", "-std=gnu11", "-fms-extensions", "-O2", "-w"),
    *("-ffreestanding", "-fno-pie", "-fno-strict-aliasing", "-fno-common", "-fshort-wchar"),
    *("-fno-delete-null-pointer-checks", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"),
    *("-fno-stack-protector", "-fwrapv", "-fno-ident"),
    *("-D__KERNEL__", "-DMODULE", f"-DKBUILD_MODFILE=\"{NAME}\"", f"-DKBUILD_MODNAME=\"{NAME}\""),
    f"-D__KBUILD_MODNAME=kmod_{NAME}",
]
_STEPS = 3


def driver_sources() -> Path:
    """The folder with the module's C sources: in an installed package, else in the source tree."""
    installed = _PACKAGE / "driver"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "guests/linux/shyper"


def driver_module(release: str, packages: Sequence[Path], progress: Progress) -> bytes:
    """The module as an ELF file for the kernel `release` (for example `6.12.1-riscv64`).

    `packages` are downloaded .deb files; among them are those that `header_packages` names. The compiler is found, or
    fetched, by `cross_compilers`. Same sources, kernel and compiler, same bytes. Raises ImageError with one sentence
    about what is missing; without a module, the managing VM has no `/dev/shyper`.
    """
    if shutil.which("dpkg-deb") is None:
        raise ImageError("dpkg-deb, which unpacks Debian packages, is not installed.", "Install the package dpkg.")
    with tempfile.TemporaryDirectory(prefix="shyper-driver-") as name:
        folder = Path(name)
        progress("kernel headers", 0, _STEPS)
        headers = unpack_headers(packages, release, folder)
        return build_with_any_compiler(headers, progress)


def build_with_any_compiler(headers: KernelHeaders, progress: Progress) -> bytes:
    """The module, by the first compiler that does it. Raises ImageError."""
    failures: list[str] = []
    try:
        for compiler in cross_compilers(progress):
            progress(f"kernel module with {compiler.name}", 1, _STEPS)
            try:
                module = build_module(headers, compiler, driver_sources())
            except CompilerError as error:
                failures.append(f"{compiler.name}: {error}")
                continue
            progress("kernel module", _STEPS, _STEPS)
            return module
    except ImageError as error:
        if not failures:
            raise
        message = f"The kernel module cannot be built ({'; '.join(failures)})."
        raise ImageError(message, error.remedy) from error
    raise AssertionError("the compilers end with an ImageError")


def build_module(headers: KernelHeaders, compiler: CrossCompiler, sources: Path) -> bytes:
    """Compile the C files of `sources`, whatever folder it is, and link them to a module. Raises CompilerError."""
    folder = headers.folder
    shutil.rmtree(folder / "driver", ignore_errors=True)
    shutil.copytree(sources, folder / "driver")
    # All paths are relative: nothing of this host gets into the file. The sources are compiled as one: the kernel's
    # headers take longer than they do.
    together = "".join(f'#include "{file.name}"\n' for file in sorted(sources.glob("*.c")))
    (folder / "driver" / "driver.c").write_text(together)
    _compile(headers, compiler, "driver")
    versions = _versions_needed(headers, folder / "driver/driver.o")
    (folder / "driver" / "module-info.c").write_text("".join(_module_description(headers, versions)))
    _compile(headers, compiler, "module-info")
    objects = ["driver/driver.o", "driver/module-info.o"]
    compiler.run(compiler.link(objects, headers.linker_script, f"driver/{FILE_NAME}"), folder)
    module = (folder / "driver" / FILE_NAME).read_bytes()
    magic = module_info(module).get("vermagic", "")
    if magic.split(" ")[0] != headers.release:
        raise CompilerError(f"the module is for kernel {magic!r}")
    return module


def _compile(headers: KernelHeaders, compiler: CrossCompiler, name: str) -> None:
    flags = [*_FLAGS, f"-DKBUILD_BASENAME=\"{name}\""]
    for folder in headers.include_folders:
        flags += ["-I", folder]
    for header in _INITIAL_HEADERS:
        flags += ["-include", f"{headers.common}/include/{header}"]
    compiler.run(compiler.compile(f"driver/{name}.c", f"driver/{name}.o", flags), headers.folder)


def _versions_needed(headers: KernelHeaders, file: Path) -> dict[str, int]:
    """CRC of each symbol of the kernel that an object file uses. Raises CompilerError for one that the kernel lacks."""
    defined = {"__this_module"}  # which the description below defines
    used = {"module_layout"} if headers.has_option("MODVERSIONS") else set()
    for name, is_defined in _symbols(file.read_bytes()):
        (defined if is_defined else used).add(name)
    known = headers.symbol_versions()
    needed = sorted(used - defined)
    lacking = [name for name in needed if name not in known]
    if lacking:
        raise CompilerError(f"the kernel {headers.release} does not export {', '.join(lacking)}")
    return {name: known[name] for name in needed}


def _symbols(data: bytes) -> Iterator[tuple[str, bool]]:
    """Global symbols of an object file, and whether each is defined in it."""
    from elftools.elf.elffile import ELFFile  # here, because only fetching needs it and start-up must be fast
    from elftools.elf.sections import SymbolTableSection

    table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        raise CompilerError("the compiler has made no object file")
    for symbol in table.iter_symbols():
        if symbol.name and symbol["st_info"]["bind"] != "STB_LOCAL":
            yield symbol.name, symbol["st_shndx"] != "SHN_UNDEF"


def _module_description(headers: KernelHeaders, versions: dict[str, int]) -> Iterator[str]:
    """The C file that modpost writes for a module."""
    yield "#define INCLUDE_VERMAGIC\n"
    for header in ("linux/module.h", "linux/vermagic.h", "linux/compiler.h"):
        yield f"#include <{header}>\n"
    yield (
        "MODULE_INFO(name, KBUILD_MODNAME);\n"
        "MODULE_INFO(vermagic, VERMAGIC_STRING);\n"
        'MODULE_INFO(depends, "");\n'
        '__visible struct module __this_module __section(".gnu.linkonce.this_module") = {\n'
        "    .name = KBUILD_MODNAME,\n"
        "    .init = init_module,\n"
        "#ifdef CONFIG_MODULE_UNLOAD\n"
        "    .exit = cleanup_module,\n"
        "#endif\n"
        "    .arch = MODULE_ARCH_INIT,\n"
        "};\n"
    )
    if not headers.has_option("MODVERSIONS"):
        return
    if headers.has_option("EXTENDED_MODVERSIONS"):
        crcs = ", ".join(f"{crc:#010x}" for crc in versions.values())
        names = " ".join(f'"{name}\\0"' for name in versions)
        yield f'static const u32 crcs[] __used __section("__version_ext_crcs") = {{{crcs}}};\n'
        yield f'static const char names[] __used __section("__version_ext_names") = {names};\n'
    if headers.has_option("BASIC_MODVERSIONS") or not headers.has_option("EXTENDED_MODVERSIONS"):
        yield 'static const struct modversion_info versions[] __used __section("__versions") = {\n'
        for name, crc in versions.items():
            yield f'    {{{crc:#010x}, "{name}"}},\n'
        yield "};\n"
