"""The command `footplate`: makes sure that our packages are found, then hands over.

The packages are called `console` and `store`, names that many projects use for folders of their own. PYTHONPATH comes
before the installed packages, so its entries (and the working folder) leave `sys.path` before we import our own.
"""

import os
import sys


def package_roots(launcher_file: str) -> set[str]:
    """Where our packages lie: beside the launcher when installed, two folders up in a source checkout."""
    folder = os.path.dirname(os.path.abspath(launcher_file))
    return {folder, os.path.dirname(os.path.dirname(folder))}


def library_folders() -> set[str]:
    """The standard library and what is installed beside it; a PYTHONPATH may name them too."""
    library = os.path.dirname(os.path.abspath(os.__file__))
    version = os.path.basename(library)
    packages = [os.path.join(library, name) for name in ("lib-dynload", "site-packages", "dist-packages")]
    return {library, *packages, os.path.join(sys.prefix, "lib", version, "site-packages")}


def drop_foreign_paths(path: list[str], python_path: str, keep: set[str]) -> list[str]:
    """The entries of `path` that neither PYTHONPATH put there nor mean the working folder; those in `keep` stay."""
    foreign = {os.path.abspath(entry) for entry in python_path.split(os.pathsep)} if python_path else set()
    foreign -= keep
    return [entry for entry in path if entry not in ("", ".") and os.path.abspath(entry) not in foreign]


def main() -> int:
    """Run `footplate` with the arguments of the process; returns its exit code."""
    keep = package_roots(__file__) | library_folders()
    sys.path[:] = drop_foreign_paths(sys.path, os.environ.get("PYTHONPATH", ""), keep)
    from console.__main__ import main as console_main

    return console_main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
