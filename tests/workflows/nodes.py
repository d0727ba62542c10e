"""Interfaces that go wrong in several ways; in a module, so that workers can import them."""

import os
import signal
import sys
import time

from nipype.interfaces.base import BaseInterfaceInputSpec, SimpleInterface, TraitedSpec, traits

from ketbids.errors import InputError


class _ActInputSpec(BaseInterfaceInputSpec):
    how = traits.Str(mandatory=True)
    value = traits.Int(0, usedefault=True)


class _ActOutputSpec(TraitedSpec):
    out = traits.Int()


class Act(SimpleInterface):
    """Do well, or go wrong as told."""

    input_spec = _ActInputSpec
    output_spec = _ActOutputSpec

    def _run_interface(self, runtime):
        how = self.inputs.how
        if how == 'killed':
            os.kill(os.getpid(), signal.SIGKILL)
        if how == 'interrupts':  # as Ctrl-C does, which workers leave to the main process
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(60)
        if how == 'input':
            raise InputError('events.tsv, line 3: no onset. Correct the row.')
        if how == 'other':
            raise ZeroDivisionError('by zero')
        if how == 'exit':
            sys.exit(3)
        self._results['out'] = self.inputs.value + 1
        return runtime
