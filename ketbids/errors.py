"""Errors that a person can act on, each with the exit code of its kind."""

__all__ = ['InputError', 'KetbidsError', 'ModelError', 'ToolError', 'UsageError']


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
