"""Builds the wheel and the sdist of rhumb: a PEP 517 backend of the standard library alone, so that pip needs no
network to build.

The extension module is compiled by CMake (native/CMakeLists.txt), which takes the list of rhumb's sources from the
project's own CMakeLists.txt. One wheel serves CPython 3.11 and later (abi3). Its platform tag is computed from the
versions of the C library's symbols that it uses: manylinux_2_34 means that glibc 2.34 is enough.

A sdist has the same files, and the library's sources in the folder librhumb.
"""

import base64
import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
IN_SDIST = os.path.join(HERE, "librhumb")
ROOT = IN_SDIST if os.path.isdir(IN_SDIST) else os.path.dirname(os.path.dirname(HERE))
LIBRARY = ["CMakeLists.txt", "LICENSE", "api", "base", "bindings/sqlite", "distances", "engine", "include", "storage"]
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


# ---- what a package says of itself -----------------------------------------------------------------------------------


def project():
    with open(os.path.join(HERE, "pyproject.toml"), "rb") as file:
        return tomllib.load(file)["project"]


def version():
    with open(os.path.join(ROOT, "include", "rhumb.h")) as file:
        return ".".join(re.findall(r"^#define RHUMB_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", file.read(), re.MULTILINE))


def metadata():
    about = project()
    lines = ["Metadata-Version: 2.1", "Name: " + about["name"], "Version: " + version(),
             "Summary: " + about["description"], "License: " + about["license"]["text"],
             "Requires-Python: " + about["requires-python"]]  # fmt: skip
    lines += ["Classifier: " + classifier for classifier in about["classifiers"]]
    lines += ["Requires-Dist: " + dependency for dependency in about["dependencies"]]
    for extra, dependencies in about["optional-dependencies"].items():
        lines.append("Provides-Extra: " + extra)
        lines += ['Requires-Dist: %s; extra == "%s"' % (dependency, extra) for dependency in dependencies]
    with open(os.path.join(HERE, about["readme"])) as file:
        return "\n".join(lines + ["Description-Content-Type: text/markdown", "", file.read()])


# ---- compiling -------------------------------------------------------------------------------------------------------


def compile_modules(folder):
    """Returns the paths of the compiled extension module, and of the SQLite extension."""
    subprocess.run(
        ["cmake", "-S", os.path.join(HERE, "native"), "-B", folder, "-DCMAKE_BUILD_TYPE=Release",
         "-DCMAKE_C_FLAGS_RELEASE=-O2 -DNDEBUG", "-DRHUMB_ROOT=" + ROOT,
         "-DPYTHON_INCLUDE=" + sysconfig.get_path("include"), "-DFULL_API=%d" % FREE_THREADED],
        check=True,
    )  # fmt: skip
    subprocess.run(["cmake", "--build", folder, "--parallel", str(os.cpu_count() or 1)], check=True)
    return os.path.join(folder, "_native.so"), os.path.join(folder, "rhumb0.so")


def glibc_needed(modules):
    """The newest version of the C library whose symbols the modules use, as (2, 34)."""
    listing = subprocess.run(["objdump", "-T", *modules], check=True, capture_output=True, text=True).stdout
    versions = re.findall(r"GLIBC_(\d+)\.(\d+)", listing)
    return max((int(major), int(minor)) for major, minor in versions)


def wheel_tag(modules):
    major, minor = glibc_needed(modules)
    interpreter = "cp%d%d" % sys.version_info[:2]
    python, abi = (interpreter, interpreter + "t") if FREE_THREADED else ("cp311", "abi3")
    return "%s-%s-manylinux_%d_%d_%s" % (python, abi, major, minor, os.uname().machine)


# ---- packing ---------------------------------------------------------------------------------------------------------


def package_files():
    """The files of the package, relative to HERE, sorted."""
    found = []
    for folder, folders, names in os.walk(os.path.join(HERE, "rhumb")):
        folders[:] = [name for name in folders if name != "__pycache__"]
        found += [os.path.join(folder, name) for name in names if name.endswith((".py", ".pyi", ".typed"))]
    return sorted(os.path.relpath(path, HERE) for path in found)


class Wheel:
    """A wheel that is being written: each file goes into its record."""

    def __init__(self, path):
        self.zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self.record = []

    def add(self, name, data, mode=0o644):
        entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the same bytes each time
        entry.external_attr = (0o100000 | mode) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        self.zip.writestr(entry, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self.record.append("%s,sha256=%s,%d" % (name, digest, len(data)))

    def close(self, info):
        self.zip.writestr(info + "/RECORD", "\n".join(self.record + [info + "/RECORD,,", ""]))
        self.zip.close()


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with tempfile.TemporaryDirectory(prefix="rhumb-wheel-") as folder:
        module, sqlite_extension = compile_modules(folder)
        tag = wheel_tag([module, sqlite_extension])
        ending = sysconfig.get_config_var("EXT_SUFFIX") if FREE_THREADED else ".abi3.so"
        name = "rhumb-%s-%s.whl" % (version(), tag)
        info = "rhumb-%s.dist-info" % version()
        wheel = Wheel(os.path.join(wheel_directory, name))
        for path in package_files():
            wheel.add(path, read(HERE, path))
        wheel.add("rhumb/_native" + ending, read(module), 0o755)
        wheel.add("rhumb/rhumb0.so", read(sqlite_extension), 0o755)
        wheel.add(info + "/METADATA", metadata().encode())
        wheel.add(info + "/LICENSE", read(ROOT, "LICENSE"))
        about = "Wheel-Version: 1.0\nGenerator: rhumb build_backend\nRoot-Is-Purelib: false\nTag: %s\n" % tag
        wheel.add(info + "/WHEEL", about.encode())
        wheel.close(info)
    return name


def is_source(entry):
    """Keeps what a build needs of rhumb's folders: no tests, no Bazel, no tool."""
    name = os.path.basename(entry.name)
    wanted = entry.isdir() or name.endswith((".c", ".h", ".inc", ".map", ".txt")) or name == "LICENSE"
    return entry if wanted and name not in ("cli", "__pycache__") else None


def build_sdist(sdist_directory, config_settings=None):
    base = "rhumb-" + version()
    name = base + ".tar.gz"
    with tempfile.TemporaryDirectory() as folder, tarfile.open(os.path.join(sdist_directory, name), "w:gz") as archive:
        about = os.path.join(folder, "PKG-INFO")
        with open(about, "w") as file:
            file.write(metadata())
        archive.add(about, base + "/PKG-INFO")
        for path in ["README.md", "pyproject.toml", "build_backend.py", *package_files()]:
            archive.add(os.path.join(HERE, path), os.path.join(base, path))
        archive.add(os.path.join(HERE, "native"), base + "/native", filter=is_source)
        for part in LIBRARY:
            archive.add(os.path.join(ROOT, part), os.path.join(base, "librhumb", part), filter=is_source)
    return name
