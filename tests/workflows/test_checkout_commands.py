"""The commands of all datasets against the parsers of real scripts, and what they understood.

``HCPPIPEDIR`` names a copy of the HCP pipelines; nothing runs as root, or beyond the parser.
"""

import shlex
import tempfile
from pathlib import Path

import pytest

from tests.interfaces.hcp.test_real_checkout import (
    HCPPIPEDIR,
    STOPS,
    Real,
    arguments_shown,
    options_of,
    shown,
)
from tests.workflows.test_hcp_commands import ALL, commands_of

pytestmark = pytest.mark.skipif(
    not HCPPIPEDIR, reason='HCPPIPEDIR does not name a copy of the HCP pipelines'
)

#: It stops before it shows what it understood.
SILENT = ('DeDriftAndResample',)


@pytest.fixture(scope='module')
def real():
    with tempfile.TemporaryDirectory(prefix='hcp-commands-') as folder:
        Path(folder).chmod(0o755)
        yield Real(Path(folder))


@pytest.mark.parametrize('name', ALL)
def test_scripts_understand_the_commands(tmp_path, real, name):
    refused = ALL[name][1].get('fix', 'pyfix') == 'pyfix' and not real.has_pyfix
    sessions = set()
    for command in commands_of(tmp_path, name, hcp_dir=real.hcp_dir):
        # Those of further sessions differ by name only.
        sessions.add(command.session)
        if len(sessions) > 1:
            break
        assert bool(command.lacking) == (refused and command.stage == 'ICAFIX')
        if command.lacking:
            assert 'cannot use pyfix' in command.lacking
            continue
        argv = shlex.split(command.command)
        code, log = real.run(argv)
        assert code == 1, log
        error = next(line for line in log.splitlines() if 'ERROR:' in line)
        assert STOPS.search(error) or 'DOES NOT EXIST' in error, log
        if command.stage in SILENT or not argv[1].startswith('--'):
            continue
        assert arguments_shown(log) == argv[1:]
        values, (variables, _) = shown(log, argv[0]), options_of(argv[0])
        for token in argv[1:]:
            flag, _, value = token.partition('=')
            assert values[variables[flag]] == value, (flag, log)
