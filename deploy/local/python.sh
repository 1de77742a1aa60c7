#!/bin/sh
# Prints the Python that the environment is made with: $PYTHON if given, else the first that is new enough.
# One line on stderr, and exit code 1, if there is none.
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$candidate" -c "$new_enough" 2>/dev/null; then
        echo "$candidate"
        exit 0
    fi
done
first=${PYTHON:-python3}
version=$("$first" -c 'import sys; print("is Python %d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
echo "Shoal needs Python 3.11 or newer; $first ${version:-cannot be run}. Install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2
exit 1
