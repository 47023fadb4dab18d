#!/bin/bash
# Runs the notebooks with the package as pip builds it: not a part of ./test, because it needs PyPI.
#
#   bindings/python/check_notebooks.sh FOLDER [PYTHON]
#
# FOLDER, which must not exist yet, receives a virtual environment and the notebooks with what their cells showed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?the folder to create}
mkdir "$folder"
cd "$folder" # away from the sources, which have no extension module
folder=$PWD
"${2:-python3}" -m venv "$folder/environment"
"$folder/environment/bin/pip" install -q "$here[graph]" ipykernel matplotlib nbclient
for notebook in "$here"/notebooks/*.ipynb; do
    echo "$notebook"
    "$folder/environment/bin/python" - "$notebook" "$folder/$(basename "$notebook")" <<'END'
import sys

import nbclient
import nbformat

notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, timeout=300).execute()
nbformat.write(notebook, sys.argv[2])
END
done
echo "all passed"
