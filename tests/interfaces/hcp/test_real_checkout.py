"""Every command line against the option parser of real scripts of the HCP pipelines.

The scripts run without FSL, FreeSurfer and Workbench, in an environment of four variables, and
never as root: they show the options that they understood, then stop at the first program or
variable that they miss.
"""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from ketbids.errors import ToolError
from ketbids.interfaces.fix import IcaFix, IcaFixMultiRun
from ketbids.interfaces.hcp.checkout import pipelines_version
from ketbids.interfaces.hcp.functional import FMRISurface, FMRIVolume
from ketbids.interfaces.hcp.msmall import DeDriftAndResample, MSMAll
from ketbids.interfaces.hcp.structural import FreeSurfer, PostFreeSurfer, PreFreeSurfer
from ketbids.interfaces.hcp.tools import syntax_error
from ketbids.interfaces.refix import (
    ApplyHandReClassifications,
    PostFix,
    ReApplyFix,
    ReApplyFixMultiRun,
)
from tests.interfaces.hcp_inputs import LARGEST, REALISTIC, scripts_inputs

HCPPIPEDIR = os.environ.get('HCPPIPEDIR', '')

pytestmark = pytest.mark.skipif(
    not HCPPIPEDIR, reason='HCPPIPEDIR does not name a copy of the HCP pipelines'
)

CLASSES = (
    *(PreFreeSurfer, FreeSurfer, PostFreeSurfer, FMRIVolume, FMRISurface, IcaFixMultiRun),
    *(PostFix, ApplyHandReClassifications, ReApplyFix, ReApplyFixMultiRun, MSMAll),
    DeDriftAndResample,
)
#: What stands first in the log of a script that accepted its options.
STOPS = re.compile(r'ERROR: .*(?:environment variable|must be set|not set)', re.IGNORECASE)


def _words(text, start):
    """Split a shell command into words, up to a line's end that is not quoted."""
    words, word, quote, begun = [], '', '', False
    position = start
    while position < len(text):
        letter = text[position]
        if quote:
            if letter == quote:
                quote = ''
            else:
                word += letter
        elif letter in '\'"':
            quote, begun = letter, True
        elif letter == '\\' and text[position + 1] == '\n':
            position += 1
        elif letter in ' \t\n':
            if word or begun:
                words.append(word)
            word, begun = '', False
            if letter == '\n':
                break
        else:
            word += letter
        position += 1
    return words


def options_of(script):
    """Read a script's options: the variable of each spelling, and what is mandatory."""
    text = Path(script).read_text(errors='replace')
    variables, mandatory = {}, []
    # Aliases come after the default, which mandatory options do not have.
    before = {'opts_AddMandatory': 5, 'opts_AddOptional': 6, 'opts_AddConfigOptional': 7}
    for found in re.finditer(r'^[ \t]*(opts_Add\w+)', text, re.MULTILINE):
        words = _words(text, found.start())
        flags = [words[1], *words[before[words[0]] :]]
        variables |= dict.fromkeys(flags, words[2])
        if words[0] == 'opts_AddMandatory':
            mandatory.append(flags)
    return variables, mandatory


def _identity():
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam('nobody')
    return {'user': nobody.pw_uid, 'group': nobody.pw_gid, 'extra_groups': []}


class Real:
    """A copy of what the scripts need until they miss the first program."""

    def __init__(self, folder):
        self.hcp_dir = folder
        source = Path(HCPPIPEDIR)
        for kind in CLASSES:
            self._copy(source, Path(kind._script))
        self._copy(source, Path(IcaFix._script))
        self._copy(source, Path('show_version'))
        for path in (source / 'global' / 'scripts').rglob('*'):
            if path.is_file() and (path.suffix == '.shlib' or path.parent.name == 'versioning'):
                self._copy(source, path.relative_to(source))

    def _copy(self, source, name):
        target = self.hcp_dir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
        target.chmod(0o755)
        for folder in target.relative_to(self.hcp_dir).parents:
            (self.hcp_dir / folder).chmod(0o755)

    def run(self, argv):
        """Run a script, never as root; give exit code and log."""
        environment = {
            'PATH': '/usr/bin:/bin',
            'HOME': '/nonexistent',
            'TERM': 'dumb',
            'HCPPIPEDIR': str(self.hcp_dir),
        }
        # PostFreeSurfer and MSMAll show their options only after this one.
        environment['MSMCONFIGDIR'] = '/nonexistent'
        done = subprocess.run(
            ['/bin/bash', *argv],
            cwd='/',
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
            **_identity(),
        )
        return done.returncode, done.stdout

    @property
    def has_pyfix(self):
        """Whether FIX need not be the older one."""
        return '--enable-legacy-fix' in options_of(self.hcp_dir / IcaFixMultiRun._script)[0]

    def known(self, kind, inputs):
        """Leave out inputs whose options this release does not have."""
        variables, _ = options_of(self.hcp_dir / kind._script)
        spec = kind.input_spec()
        kept = {}
        for name, value in inputs.items():
            trait = spec.trait(name)
            flag = (trait.argstr or '').partition('=')[0]
            # Not of the parser: arguments by position, and one that FreeSurfer's script turns.
            free = not flag.startswith('--') or flag == '--no-conf2hires'
            if trait.mandatory or free or flag in variables:
                kept[name] = value
        return kept

    def make(self, kind, inputs):
        """Make an interface of this copy."""
        return kind(**{'hcp_dir': str(self.hcp_dir), **self.known(kind, inputs)})


@pytest.fixture(scope='module')
def real():
    with tempfile.TemporaryDirectory(prefix='hcp-checkout-') as folder:
        Path(folder).chmod(0o755)
        yield Real(Path(folder))


@pytest.fixture
def inputs(tmp_path, real):
    return scripts_inputs(tmp_path, real.hcp_dir)


def shown(log, script):
    """Read the values that a script shows, by variable."""
    name = re.escape(Path(script).name)
    found = re.findall(rf':\s?{name}: (\w+): ?(.*)$', log, re.MULTILINE)
    # What the script makes of a value comes later.
    return dict(reversed(found))


def arguments_shown(log):
    """Read the arguments that a script says it got."""
    # FreeSurfer's script rewrites some of them first.
    original = re.search(r'^original arguments: (.*)$', log, re.MULTILINE)
    found = original or re.search(r': arguments: (.*)$', log, re.MULTILINE)
    return found[1].split() if found else []


@pytest.mark.parametrize('kind', CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize('which', [REALISTIC, LARGEST])
def test_scripts_understand_every_option(real, inputs, kind, which):
    for given in inputs[which][kind.__name__]:
        if given.get('enable_legacy_fix') is False and not real.has_pyfix:
            continue
        interface = real.make(kind, given)
        argv = interface.argv
        code, log = real.run(argv)
        assert code == 1, log
        assert 'unrecognized option' not in log
        assert 'missing the following mandatory' not in log
        error = next(line for line in log.splitlines() if 'ERROR:' in line)
        assert STOPS.search(error) or 'DOES NOT EXIST' in error, log
        variables, _ = options_of(interface.script)
        values = shown(log, interface.script)
        assert arguments_shown(log) == argv[1:]
        if kind is DeDriftAndResample:
            # It stops before it shows its values.
            continue
        compared = 0
        for token in argv[1:]:
            flag, equals, value = token.partition('=')
            # FreeSurfer's script takes these before its parser does.
            if not equals or flag == '--extra-reconall-arg':
                continue
            assert values[variables[flag]] == value, (flag, log)
            compared += 1
        assert compared >= 2


@pytest.mark.parametrize('kind', CLASSES, ids=lambda kind: kind.__name__)
def test_unknown_options_are_refused(real, inputs, kind):
    argv = real.make(kind, inputs[REALISTIC][kind.__name__][0]).argv
    code, log = real.run([*argv, '--no-such-option=1'])
    assert code == 2, log
    assert "unrecognized option: '--no-such-option" in log


@pytest.mark.parametrize('kind', CLASSES, ids=lambda kind: kind.__name__)
def test_no_mandatory_option_may_be_left_out(real, inputs, kind):
    interface = real.make(kind, inputs[REALISTIC][kind.__name__][0])
    argv = interface.argv
    _, mandatory = options_of(interface.script)
    assert mandatory
    for flags in mandatory:
        fewer = [token for token in argv if token.partition('=')[0] not in flags]
        assert len(fewer) == len(argv) - 1, flags
        code, log = real.run(fewer)
        assert code == 1, log
        assert 'missing the following mandatory' in log
        assert flags[0] in log


@pytest.mark.parametrize('kind', CLASSES, ids=lambda kind: kind.__name__)
def test_every_option_of_the_scripts_has_an_input(real, inputs, kind):
    variables, _ = options_of(real.hcp_dir / kind._script)
    spec = kind.input_spec()
    flags = {trait.argstr.partition('=')[0] for trait in spec.traits().values() if trait.argstr}
    # Spellings may depend on the release.
    usual = real.make(kind, inputs[REALISTIC][kind.__name__][-1])
    flags |= {token.partition('=')[0] for token in usual.argv[1:]}
    known = {variables[flag] for flag in flags if flag in variables}
    # One that FreeSurfer's script turns.
    known |= {'conf2hiresString'} if '--no-conf2hires' in flags else set()
    assert set(variables.values()) - known == set()


@pytest.mark.parametrize('kind', CLASSES, ids=lambda kind: kind.__name__)
def test_the_largest_inputs_leave_nothing_out(inputs, kind):
    spec = kind.input_spec()
    options = {name for name, trait in spec.traits().items() if trait.argstr}
    given = {name for one in inputs[LARGEST][kind.__name__] for name in one}
    assert options - given == set()


def test_single_run_fix_takes_its_arguments_by_position(real, inputs):
    for given in (*inputs[REALISTIC]['IcaFix'], *inputs[LARGEST]['IcaFix']):
        argv = real.make(IcaFix, given).argv
        code, log = real.run(argv)
        assert code == 1, log
        assert 'FSLDIR' in log
        assert 'hcp_fix <4D_FMRI_data>' not in log
    code, log = real.run(argv[:3])
    assert code == 1
    assert 'hcp_fix <4D_FMRI_data>' in log


def test_pyfix_is_refused_where_the_scripts_cannot_use_it(real, inputs):
    given = {'hcp_dir': str(real.hcp_dir), **inputs[REALISTIC]['IcaFixMultiRun'][0]}
    interface = IcaFixMultiRun(**given)
    assert interface.inputs.enable_legacy_fix is False
    if real.has_pyfix:
        assert '--enable-legacy-fix=FALSE' in interface.argv
        assert '--matlab-run-mode=2' in interface.argv
        return
    with pytest.raises(ToolError, match='cannot use pyfix'):
        _ = interface.argv


#: Scripts of a release that bash cannot read, by stage.
UNREADABLE = {
    'v5.0.0': {
        stage: ['global/scripts/FieldMapPreprocessingAll.sh: line 170']
        for stage in ('PreFreeSurfer', 'fMRIVolume')
    }
}


def _called(script, by_name, source):
    """Find the scripts of the checkout that a script names outside of comments."""
    lines = (source / script).read_text(errors='replace').splitlines()
    text = '\n'.join(line for line in lines if not line.lstrip().startswith('#'))
    for name in set(re.findall(r'[\w.-]+\.(?:shlib|sh)\b|\bshow_version\b', text)):
        found = by_name.get(name, [])
        near = [path for path in found if path.parts[0] == script.parts[0]]
        shared = [path for path in found if path.parts[0] == 'global']
        yield from near or shared or found


def scripts_of_stages(source):
    """Find all scripts of a checkout that stages call, by stage."""
    by_name = {}
    for path in sorted(source.rglob('*')):
        name = path.relative_to(source)
        if path.is_file() and not {'Examples', '.git'} & set(name.parts):
            by_name.setdefault(path.name, []).append(name)
    found = {}
    for kind in (*CLASSES, IcaFix):
        left, called = [Path(kind._script)], found.setdefault(kind._stage, set())
        while left:
            script = left.pop()
            if script not in called:
                called.add(script)
                left += _called(script, by_name, source)
    return found


def test_bash_can_read_what_the_stages_call():
    source = Path(HCPPIPEDIR)
    found = scripts_of_stages(source)
    # Called by what the stage calls, and by several stages.
    assert Path('global/scripts/TopupPreprocessingAll.sh') in found['fMRIVolume']
    assert Path('global/scripts/log.shlib') in found['MSMAll']
    assert Path('ICAFIX/ReApplyFixMultiRunPipeline.sh') in found['DeDriftAndResample']
    environment = {'PATH': '/usr/bin:/bin', 'LC_ALL': 'C'}
    every = set().union(*found.values())
    says = {script: syntax_error(source / script, environment) for script in sorted(every)}
    failing = {}
    for stage, scripts in found.items():
        for script in sorted(scripts):
            if says[script]:
                place = re.search(r'line [0-9]+', says[script])
                failing.setdefault(stage, []).append(f'{script}: {place[0] if place else ""}')
    assert failing == UNREADABLE.get(pipelines_version(source), {}), says
