"""In which folder a run is found."""

import pytest

from ketbids.errors import InputError
from ketbids.io.bids import RunKey
from ketbids.io.derivatives import Derivatives
from tests.io.trees import fmriprep_run, hcp_run, hcp_surfaces, touch

KEY = RunKey('01', 'TP1', 'carit')


@pytest.fixture
def two(tmp_path):
    hcp_run(tmp_path / 'hcp')
    hcp_surfaces(tmp_path / 'hcp')
    fmriprep_run(tmp_path / 'fmriprep')
    touch(tmp_path / 'freesurfer' / 'sub-01' / 'surf' / 'lh.white')
    return tmp_path


def test_the_first_that_has_it_wins_among_those_that_were_given(two):
    roots = [two / name for name in ('freesurfer', 'fmriprep', 'hcp')]
    assert Derivatives(roots).find(KEY).root == two / 'fmriprep'
    assert Derivatives(roots[::-1]).find(KEY).root == two / 'hcp'


def test_two_that_were_not_given_are_an_error(two):
    roots = [two / name for name in ('fmriprep', 'freesurfer', 'hcp')]
    with pytest.raises(InputError, match='Two candidates for sub-01_ses-TP1_task-carit') as caught:
        Derivatives(roots, given=False).find(KEY)
    for name in ('fmriprep', 'hcp'):
        assert f'--derivatives {two / name}' in str(caught.value)
    assert Derivatives(roots[:2], given=False).find(KEY).origin == 'fmriprep'


def test_nothing_says_where_and_for_what_it_looked(two):
    with pytest.raises(InputError, match='sub-02_task-carit: no preprocessed') as caught:
        Derivatives([two / 'hcp', two / 'absent']).find(RunKey('02', '', 'carit'))
    message = str(caught.value)
    assert f'There is no folder {two / "absent"}' in message
    assert f'{two / "hcp"}/sub-02/MNINonLinear/Results/*task-carit*/*_Atlas*.dtseries' in message
    assert f'{two}/hcp/sub-02/func/sub-02_task-carit_space-fsLR_den-*_bold.dtseries' in message


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match='No folder was given'):
        Derivatives([]).find(KEY)
