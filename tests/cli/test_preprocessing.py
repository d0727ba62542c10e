"""``--preproc hcp``: from raw data to contrast maps, with stand-ins for the HCP pipelines."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ketbids.cli.main import main
from tests.cli.hcpstudy import NAME, RUN, STAGES, tree
from tests.io import rawtrees


def test_a_dry_run_lists_the_very_commands_that_run(finished):
    _, listed, calls = finished
    lines = [line.split('\t') for line in listed.splitlines()]
    assert all(len(line) == 3 and line[0] == 'sub-01_ses-TP1' for line in lines)
    assert tuple(line[1] for line in lines if line[1] != 'FirstLevel') == STAGES
    commands = [shlex.split(line[2]) for line in lines if line[1] != 'FirstLevel']
    assert [(name, argv) for name, argv in calls] == [(Path(c[0]).name, c[1:]) for c in commands]
    assert all(Path(command[0]).is_file() for command in commands)
    if shutil.which('wb_command'):
        smoothing = [line[2] for line in lines if line[1] == 'FirstLevel']
        assert len(smoothing) == 1
        assert smoothing[0].startswith('wb_command -cifti-smoothing ')
        assert f'{RUN}_Atlas_hp0_clean.dtseries.nii' in smoothing[0]


def test_raw_data_become_a_contrast_map(finished, demo_study):
    out = finished[0]
    (path,) = out.glob('sub-01/ses-TP1/func/*_contrast-nogoVsGo_stat-effect_statmap.dscalar.nii')
    found = np.asarray(nib.load(path).dataobj)[0]
    assert np.isfinite(found).any()
    reference = subprocess.run(  # the same visit, as preprocessed data
        [
            *(sys.executable, '-m', 'ketbids', str(demo_study.bids), str(out / '../direct')),
            *('participant', '--derivatives', str(demo_study.hcp)),
            *('--participant-label', '01', '--session-label', 'TP1'),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert reference.returncode == 0, reference.stderr
    (path,) = (
        (out / '../direct')
        .resolve()
        .glob('sub-01/ses-TP1/func/*_contrast-nogoVsGo_stat-effect_statmap.dscalar.nii')
    )
    direct = np.asarray(nib.load(path).dataobj)[0]
    np.testing.assert_allclose(found, direct, rtol=1e-5, atol=1e-5)


def test_outputs_have_bids_names(finished):
    out = finished[0]
    func, anat = out / 'sub-01/ses-TP1/func', out / 'sub-01/ses-TP1/anat'
    cleaned = func / f'{NAME}_space-fsLR_den-91k_desc-fix_bold.dtseries.nii'
    found = [path for path in func.iterdir() if path.name.endswith('_bold.dtseries.nii')]
    assert len(found) == 1, found
    assert found[0].is_symlink()
    assert not os.path.isabs(os.readlink(found[0]))
    assert found[0].resolve().name == f'{RUN}_Atlas_hp0_clean.dtseries.nii', cleaned
    confounds = (func / f'{NAME}_desc-confounds_timeseries.tsv').read_text().splitlines()
    assert {'trans_x', 'rot_z', 'framewise_displacement', 'dvars'} <= set(confounds[0].split('\t'))
    assert list(anat.glob('*_hemi-L_*_pial.surf.gii'))


def test_without_tools_the_commands_are_listed_and_the_code_is_4(study, tmp_path):
    done = study.ketbids(tmp_path / 'out', '--dry-run', check=0)
    listed = done.stdout
    # The designs are for people, so they are in the log: what is printed are commands.
    assert 'What the first level will model:' in done.stderr
    assert 'Designs of 1 run: ' in done.stderr
    assert re.search(r'nogoVsGo +t +\d', done.stderr)
    bare = {'FSLDIR': '', 'FREESURFER_HOME': '', 'MSMBINDIR': '', 'FS_LICENSE': ''}
    bare['PATH'] = os.environ['PATH']
    done = study.ketbids(tmp_path / 'out', '--dry-run', check=4, **bare)
    lines = [line for line in done.stdout.splitlines() if '\tFirstLevel\t' not in line]
    assert lines == [line for line in listed.splitlines() if '\tFirstLevel\t' not in line]
    for word in ('FSL', 'FreeSurfer', 'license.txt'):
        assert word in done.stderr
    assert not (tmp_path / 'out').exists()
    assert study.ketbids(tmp_path / 'out', check=4, **bare).stdout.count('\t') == 0
    assert not (tmp_path / 'out').exists()


def test_all_problems_are_listed_at_once_and_nothing_is_written(study, tmp_path, demo_study):
    bids = rawtrees.study(tmp_path / 'bids', ('01', '02'), sessions=('TP1', 'TP2'))
    func = bids / 'sub-01/ses-TP1/func'
    rawtrees.change(func / f'{NAME}_bold.json', PhaseEncodingDirection=None)
    for path in (bids / 'sub-02/ses-TP1/anat').glob('*_T1w.*'):
        path.unlink()
    for path in (bids / 'sub-02/ses-TP2/fmap').glob('*dir-AP*'):
        path.unlink()
    before = tree(tmp_path)
    study = study._replace(bids=bids)
    for options in ((), ('--dry-run',)):
        done = study.ketbids(tmp_path / 'out', *options, '-w', tmp_path / 'work', check=3)
        assert 'PhaseEncodingDirection' in done.stderr
        assert f'{NAME}_bold' in done.stderr
        assert 'sub-02_ses-TP1' in done.stderr
        assert 'T1w' in done.stderr
        assert 'sub-02_ses-TP2_dir-PA_epi' in done.stderr
        assert 'sub-01_ses-TP2' not in done.stderr
        assert not any(line.count('\t') == 2 for line in done.stdout.splitlines())
    assert tree(tmp_path) == before
    assert not (tmp_path / 'out').exists()


def test_input_and_tools_are_refused_together(study, tmp_path):
    bids = rawtrees.study(tmp_path / 'bids', sessions=('TP1',), t1w=())
    licence = ('--fs-license-file', tmp_path / 'none.txt')
    done = study._replace(bids=bids).ketbids(tmp_path / 'out', '--dry-run', *licence, check=3)
    assert 'T1w' in done.stderr
    assert 'none.txt' in done.stderr


def test_a_run_without_events_is_preprocessed_but_not_fitted(study, tmp_path):
    bids = shutil.copytree(study.bids, tmp_path / 'bids')
    (bids / f'sub-01/ses-TP1/func/{NAME}_events.tsv').unlink()
    study = study._replace(bids=bids)
    listed = study.ketbids(tmp_path / 'out', '--dry-run', check=0)
    assert f'{NAME}_bold.nii.gz has no events' in listed.stderr
    assert '\tFirstLevel\t' not in listed.stdout
    study.ketbids(tmp_path / 'out', check=0)
    assert len(study.calls()) == len(STAGES)
    assert not list((tmp_path / 'out').rglob('*statmap*'))
    assert (tmp_path / 'out/sub-01.html').is_file()


def test_events_that_cannot_be_used_are_told_at_once(study, tmp_path):
    bids = shutil.copytree(study.bids, tmp_path / 'bids')
    path = bids / f'sub-01/ses-TP1/func/{NAME}_events.tsv'
    path.write_text(path.read_text().replace('duration', 'length'))
    listed = study._replace(bids=bids).ketbids(tmp_path / 'out', '--dry-run', check=0)
    assert f'{NAME}_events.tsv' in listed.stderr
    assert 'duration' in listed.stderr


@pytest.mark.parametrize('options', [('--session-disk-gb', '1e9'), ('--mem-mb', '2000')])
def test_too_little_room_is_refused(study, tmp_path, options):
    done = study.ketbids(tmp_path / 'out', *options, check=4)
    assert ('disk' if 'disk' in options[0] else 'memory') in done.stderr.lower()
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--preproc', 'hcp', '--longitudinal'], '--longitudinal is not yet supported'),
        (['--gdcoeffs', 'a.grad'], '--gdcoeffs: only with --preproc hcp'),
        (['--preproc', 'hcp', '--stages', 'Nothing'], 'invalid choice'),
        (['--preproc', 'hcp', '--fix-threshold', '0'], 'at least 1'),
        (['--preproc', 'hcp', '--fix-high-pass', 'pd9'], 'neither'),
    ],
)
def test_wrong_usage(tmp_path, capsys, options, words):
    assert main([str(tmp_path), str(tmp_path / 'out'), 'participant', *options]) == 2
    assert words in capsys.readouterr().err


def test_excluded_runs_are_not_among_the_commands_of_the_first_level(study, tmp_path):
    if shutil.which('wb_command') is None:
        pytest.skip('without wb_command the first level calls no program')
    table = tmp_path / 'exclusions.tsv'
    table.write_text('participant\tsession\trun\treason\nsub-01\tTP1\t1\tmovement\n')
    rawtrees.study(tmp_path / 'bids', sessions=('TP1',), runs=(RUN, RUN.replace('-1', '-2')))
    study = study._replace(bids=tmp_path / 'bids')
    for options, n in (((), 2), (('--exclusions', table), 1)):
        listed = study.ketbids(tmp_path / 'out', '--dry-run', *options, check=0).stdout
        assert listed.count('\tFirstLevel\t') == n
        assert listed.count('\tfMRIVolume\t') == 2


def test_what_an_old_release_cannot_do_leaves_the_other_commands(study, tmp_path):
    hcp_dir = shutil.copytree(study.programs.hcp_dir, tmp_path / 'hcp')
    script = hcp_dir / 'ICAFIX/hcp_fix_multi_run'
    script.write_text(script.read_text().replace('--enable-legacy-fix', '--something-else'))
    options = ('--dry-run', '--hcp-dir', hcp_dir)
    done = study.ketbids(tmp_path / 'out', *options, check=4)
    stages = [line.split('\t')[1] for line in done.stdout.splitlines()]
    assert [s for s in stages if s != 'FirstLevel'] == [s for s in STAGES if s != 'ICAFIX']
    assert 'pyfix' in done.stderr
