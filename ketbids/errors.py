"""Errors that a person can act on, each with the exit code of its kind."""

import errno

__all__ = ['InputError', 'KetbidsError', 'ModelError', 'ToolError', 'UsageError']
__all__ += ['DISK_FULL', 'cannot_use', 'disk_full']

#: The disk is full, or the share of it that one may use.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class KetbidsError(Exception):
    """Something went wrong while computing; the message says what and where."""

    exit_code = 1


class UsageError(KetbidsError):
    """The command line (or configuration file) asks for something that cannot be."""

    exit_code = 2


class InputError(KetbidsError, ValueError):
    """The data are invalid or not enough; the message names the file, row or key."""

    exit_code = 3


class ModelError(InputError):
    """The model file is invalid; the message names the node and the key."""


class ToolError(KetbidsError):
    """A needed external tool or licence is missing."""

    exit_code = 4


def disk_full(error: OSError, path: object = None) -> str:
    """Say that there is no room for a file, and what to do."""
    what = path or error.filename or 'A file'
    return (
        f'{what} cannot be written: {error.strerror}. Make room and repeat the command; what is '
        'finished stays.'
    )


def cannot_use(error: OSError) -> str:
    """Say which file or folder cannot be used, and why."""
    return (
        f'{error.filename} cannot be used: {error.strerror}. Correct it or its permissions; if it '
        'is a link of DataLad or git-annex, fetch its content.'
    )
