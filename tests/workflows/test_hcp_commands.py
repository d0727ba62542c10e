"""The commands that raw datasets lead to, against lists that are kept.

``KETBIDS_GOLDEN=write python -m pytest tests/workflows/test_hcp_commands.py`` writes the lists
anew; look at what changed before you keep it.
"""

import difflib
import os
import shlex
from pathlib import Path

import pytest

from ketbids.workflows.stages import walk
from tests.hcp_options import SCRIPTS
from tests.io.rawtrees import CASES
from tests.workflows.hcpstudies import label_components, raw_study

GOLDEN = Path(__file__).parents[1] / 'data' / 'hcp_commands'
ONE = {'sessions': ('TP1',)}
TWO = ONE | CASES['two_runs']
LONG = TWO | {'volumes': 400}
RESULTS = 'sourcedata/hcp/sub-01_ses-TP1/MNINonLinear/Results'

#: Options of the preprocessing, beside those of the dataset.
HCP = {
    'no_t2w': {'processing_mode': 'legacy'},
    'no_map': {'processing_mode': 'legacy'},
    'gradients': {'gdcoeffs': 'bids/code/coeff_AS82.grad'},
}
#: Further cases: dataset, options of the preprocessing.
OTHERS = {
    'no_t2w_no_map': (
        ONE | CASES['no_t2w'] | CASES['no_map'],
        {'processing_mode': 'legacy'},
    ),
    'gradient_echo': (ONE | {'field_maps': ('phasediff',)}, {}),
    'fix_none': (ONE, {'fix': 'none'}),
    'fix_pyfix_single': (TWO, {'fix_runs': 'single', 'fix_high_pass': 'pd2'}),
    'fix_pyfix_options': (ONE, {'fix_threshold': 20, 'fix_motion_regression': True}),
    'fix_legacy_single': (ONE, {'fix': 'legacy'}),
    'fix_legacy_multi': (TWO, {'fix': 'legacy'}),
    'msmall_multi': (LONG, {'msmall': True}),
    'msmall_pyfix_single': (LONG, {'msmall': True, 'fix_runs': 'single'}),
    'msmall_legacy_single': (LONG, {'msmall': True, 'fix': 'legacy', 'fix_runs': 'single'}),
    'hand_labels_multi': (TWO, {}),
    'hand_labels_legacy_single': (ONE, {'fix': 'legacy'}),
}
ALL = {name: (options, HCP.get(name, {})) for name, options in CASES.items()} | OTHERS


def commands_of(root, name, **changes):
    options, hcp = ALL[name]
    hcp = hcp | changes
    if 'gdcoeffs' in hcp:
        hcp['gdcoeffs'] = root / hcp['gdcoeffs']
        hcp['gdcoeffs'].parent.mkdir(parents=True)
        hcp['gdcoeffs'].write_text('coefficients')
    if name.startswith('hand_labels'):
        stem = 'ICAFIX_ALL_hp0' if 'multi' in name else 'task-carit_dir-PA_run-1_hp2000'
        folder = root / 'out' / RESULTS / stem.rpartition('_')[0]
        label_components(folder / f'{stem}.ica')
    study = raw_study(root, options, environ={'FSL_FIXDIR': '/opt/fix'}, **hcp)
    return walk(study.workflow())


def listed(root, commands):
    places = {'bids': root / 'bids', 'out': root / 'out', 'hcp': root / 'HCPpipelines'}
    text = ''.join(f'{c.session}\t{c.stage}\t{c.command}\n' for c in commands)
    for name, folder in places.items():
        text = text.replace(str(folder), f'{{{name}}}')
    assert str(root) not in text
    return text


def by_option(text):
    """One option per line, so that a difference can be read."""
    lines = []
    for row in text.splitlines():
        session, stage, command = row.split('\t')
        first, *rest = shlex.split(command)
        lines += [f'{session}  {stage}  {first}', *(f'    {token}' for token in rest)]
    return lines


@pytest.fixture(scope='module')
def listings(tmp_path_factory):
    """The commands of all cases, and their folders; each is made when it is first asked for."""
    made = {}

    def get(name):
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            made[name] = (root, commands_of(root, name))
        return made[name]

    return get


@pytest.mark.parametrize('name', ALL)
def test_commands(listings, name):
    found = listed(*listings(name))
    path = GOLDEN / f'{name}.tsv'
    if os.environ.get('KETBIDS_GOLDEN') == 'write':
        path.write_text(found)
    kept = path.read_text() if path.exists() else ''
    if found != kept:
        difference = difflib.unified_diff(
            by_option(kept), by_option(found), f'{path.name} as kept', 'now', lineterm=''
        )
        pytest.fail('\n'.join(difference), pytrace=False)


def test_no_list_is_left_over():
    assert {path.stem for path in GOLDEN.glob('*.tsv')} == set(ALL)


@pytest.mark.parametrize('name', ALL)
def test_scripts_know_the_options(listings, name):
    for command in listings(name)[1]:
        script, *tokens = shlex.split(command.command)
        relative = script.partition('/HCPpipelines/')[2]
        assert relative in SCRIPTS
        flags = [token.partition('=')[0] for token in tokens if token.startswith('--')]
        assert len(flags) == len(set(flags))


def value(command, flag):
    tokens = [t for t in shlex.split(command.command) if t.partition('=')[0] == flag]
    return tokens[0].partition('=')[2] if tokens else None


def stages(commands):
    return [(c.stage, c.label) for c in commands]


def test_sessions_do_not_share_a_folder(listings):
    _, commands = listings('protocol')
    assert [c.session for c in commands[::7]] == [f'sub-01_ses-TP{n}' for n in (1, 2, 3)]
    for command in commands:
        others = {f'ses-TP{n}' for n in (1, 2, 3)} - {command.session[-7:]}
        assert not any(other in command.command for other in others)


def test_each_run_has_the_field_map_of_its_time(listings):
    _, commands = listings('several_maps')
    runs = [c for c in commands if c.stage == 'fMRIVolume' and c.session.endswith('TP1')]
    for number, run in enumerate(runs, start=1):
        assert f'_dir-AP_run-{number}_epi' in value(run, '--SEPhaseNeg')
        assert f'_dir-PA_run-{number}_epi' in value(run, '--SEPhasePos')


def test_directions_of_runs(listings):
    _, commands = listings('two_runs')
    runs = [c for c in commands if c.stage == 'fMRIVolume' and c.session.endswith('TP1')]
    assert [(c.label, value(c, '--unwarpdir')) for c in runs] == [
        ('task-carit_dir-AP_run-1', 'y-'),
        ('task-carit_dir-PA_run-2', 'y'),
    ]


def test_legacy_mode_is_for_what_lacks_something(listings):
    modes = {
        name: {c.stage for c in listings(name)[1] if 'LegacyStyleData' in c.command}
        for name in ('protocol', 'no_t2w', 'no_map')
    }
    assert modes == {
        'protocol': set(),
        'no_t2w': {'PreFreeSurfer', 'FreeSurfer', 'PostFreeSurfer'},
        'no_map': {'fMRIVolume'},
    }


def test_gradient_coefficients_are_for_all_images(listings):
    root, commands = listings('gradients')
    given = {c.stage: value(c, '--gdcoeffs') for c in commands if value(c, '--gdcoeffs')}
    coefficients = str(root / 'bids/code/coeff_AS82.grad')
    assert given == {'PreFreeSurfer': coefficients, 'fMRIVolume': coefficients}


def test_msmall_takes_what_has_a_noise_level(listings):
    """Series that pyfix cleaned one by one have it under the name of what was joined."""
    names = {}
    for name in ('msmall_multi', 'msmall_pyfix_single', 'msmall_legacy_single'):
        (msmall,) = (c for c in listings(name)[1] if c.stage == 'MSMAll')
        names[name] = (value(msmall, '--fmri-names-list'), value(msmall, '--multirun-fix-names'))
    runs = [run.split('/')[-1] for run in LONG['runs']]
    assert names == {
        'msmall_multi': ('', '@'.join(runs)),
        'msmall_pyfix_single': (
            'ICAFIX_taskcarit_dirAP_run1@ICAFIX_taskcarit_dirPA_run2',
            '',
        ),
        'msmall_legacy_single': ('@'.join(runs), ''),
    }


def test_labels_by_hand_come_last(listings):
    _, commands = listings('hand_labels_multi')
    assert stages(commands)[-4:] == [
        ('ICAFIX', 'ICAFIX_ALL'),
        ('PostFix', 'ICAFIX_ALL'),
        ('ReApplyFix', 'ICAFIX_ALL'),
        ('ReApplyFix', 'ICAFIX_ALL'),
    ]
    assert 'ApplyHandReClassifications.sh' in commands[-2].command
