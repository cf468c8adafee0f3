#!/usr/bin/env python3
"""forget_pages.py FOLDER - write the files below FOLDER out and have the kernel drop their pages (POSIX_FADV_DONTNEED)."""
import os
import sys

for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        try:
            file = os.open(os.path.join(folder, name), os.O_RDONLY)
        except FileNotFoundError:
            continue
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)
