"""What PALM calls its files."""

import itertools
import os
from pathlib import Path

import pytest

from ketbids.errors import InputError, UsageError
from ketbids.io.palmnames import (
    PalmNames,
    check_writable,
    is_output_of,
    map_kind,
    output_name,
)


@pytest.mark.parametrize(
    ('source', 'surface', 'kind'),
    [
        ('nifti', False, 'vox'),
        ('nifti', True, 'dpv'),
        ('gifti', False, 'dpv'),
        ('gifti', True, 'dpv'),
        ('csv', False, 'dat'),
        ('csv', True, 'dpv'),
        ('cifti', False, 'dat'),
        ('cifti', True, 'dat'),
    ],
)
def test_kinds(source, surface, kind):
    assert map_kind(source, surface=surface) == kind


@pytest.mark.parametrize(
    ('parts', 'numbers', 'name'),
    [
        (('vox', 'tstat'), {}, 'o_vox_tstat'),
        (('vox', 'tstat', 'uncp'), {'contrast': 2}, 'o_vox_tstat_uncp_c2'),
        (('dpv', 'fstat', 'mfwep'), {'modality': 1, 'contrast': 12}, 'o_dpv_fstat_mfwep_m1_c12'),
        (
            ('tfce', 'ztstat', 'mcfwep'),
            {'modality': 3, 'design': 2, 'contrast': 1},
            'o_tfce_ztstat_mcfwep_m3_d2_c1',
        ),
        (('clustere', 'vstat', 'max'), {'contrast': 1}, 'o_clustere_vstat_max_c1'),
        (('dat', 'gstat', 'cfdrp'), {}, 'o_dat_gstat_cfdrp'),
        (('vox', 'cope'), {'modality': 2, 'tail': 'perm000010'}, 'o_vox_cope_m2_perm000010'),
        (('vox', 'tstat'), {'contrast': 1, 'tail': 'dof'}, 'o_vox_tstat_c1_dof'),
    ],
)
def test_names(parts, numbers, name):
    assert output_name('o', *parts, **numbers) == name


@pytest.mark.parametrize(
    ('kind', 'statistic', 'result', 'tail'),
    [
        ('voxel', 'tstat', '', ''),
        ('vox', 'rstat', '', ''),
        ('vox', 'tstat', 'fwe', ''),
        ('vox', 'tstat', 'muncp', ''),
        ('vox', 'tstat', '', 'perm1'),
    ],
)
def test_names_that_palm_does_not_have(kind, statistic, result, tail):
    with pytest.raises(ValueError, match='PALM has no file'):
        output_name('o', kind, statistic, result, tail=tail)


def test_numbers_stand_only_where_there_are_several():
    one, many = PalmNames('o'), PalmNames('o_', 2, 3, 4)
    assert one.map('vox', 'tstat', 'fwep') == 'o_vox_tstat_fwep'
    assert many.map('vox', 'tstat', modality=2, design=3, contrast=4) == 'o__vox_tstat_m2_d3_c4'
    assert (one.shuffles(), many.shuffles(design=2)) == ('o_permidx.csv', 'o__d2_c1_permidx.csv')
    assert (one.mask(), many.mask(modality=2)) == ('omask', 'o_mask_m2')
    assert one.configuration() == 'o_palmconfig.txt'
    assert many.configuration() == 'o_palmconfig.txt'
    assert (one.elapsed(), many.elapsed()) == ('o_elapsed.csv', 'o__elapsed.csv')


#: Runs of the reference of options that ketbids-palm refuses.
REFUSED = ('noperm', 'negbin', 'gamma')


def possible_names(prefix, sizes):
    """Every name that can be made for a call of these sizes, without extension."""
    names = PalmNames(prefix, *sizes)
    kinds = ('vox', 'dpv', 'dat', 'tfce', 'clustere', 'clusterm')
    statistics = [f'{z}{s}stat' for z in ('', 'z') for s in 'tfvg']
    statistics += ['cope', 'varcope', 'cohen', 'cfvar']
    corrected = [f'{over}{p}' for over in ('', 'm', 'c', 'mc') for p in ('fwep', 'fdrp')]
    results = ['', 'uncp', 'uncparap', 'fdrparap', 'max', *corrected]
    numbers = [
        {'modality': m, 'design': d, 'contrast': c}
        for m, d, c in itertools.product(*(range(1, size + 1) for size in sizes))
    ]
    found = {names.configuration(), names.elapsed()}
    for kind, statistic, number in itertools.product(kinds, statistics, numbers):
        found |= {names.map(kind, statistic, result, **number) for result in results}
        found.add(names.map(kind, statistic, tail='dof', **number) + '.txt')
    return found


def test_every_reference_output_has_a_name_that_can_be_made(shared):
    made = {
        sizes: possible_names('palm', sizes)
        for sizes in itertools.product((1, 2, 3), (1,), (1, 2))
    }
    n = 0
    for run in sorted(shared.glob('reference/palm/*/out/*')):
        if run.name == 'permidx' or any(word in run.name for word in REFUSED):
            continue
        n_inputs = 3 if 'uni' in run.name else 2 if 'LR_' in run.name else 1
        files = sorted(path.name for path in run.iterdir())
        n_contrasts = 2 if any('_c2' in name for name in files) else 1
        for name in files:
            stem = name.removesuffix('.nii.gz').removesuffix('.csv')
            assert stem in made[n_inputs, 1, n_contrasts], name
            assert is_output_of(str(run / 'palm'), run / name), name
            n += 1
    assert n > 800


OUTPUTS = [
    'x_vox_tstat.nii.gz',
    'x_tfce_ztstat_mcfwep_m1_d2_c3.nii',
    'x_dat_cope_perm000001.dscalar.nii',
    'x_dpv_fstat_fdrparap.gii',
    'x_vox_tstat_max_m1_c2.csv',
    'x_vox_tstat_m1_c1_dof.txt',
    'xmask.nii',
    'xmask_m2.csv',
    'x_c1_permidx.csv',
    'x_d1_c1_permidx.csv',
    'x_palmconfig.txt',
    'x_elapsed.csv',
]
OTHERS = [
    'x.nii',
    'x_vox.nii',
    'x_vox_tstat.mat',
    'x_vox_rstat.nii',
    'x_design.csv',
    'xmasks.nii',
    'y_vox_tstat.nii',
    'ax_vox_tstat.nii',
    'x_permidx2.csv',
]


def test_an_input_with_the_name_of_an_output_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prefix = str(tmp_path / 'x')
    for name in OUTPUTS:
        assert is_output_of(prefix, tmp_path / name), name
        assert is_output_of('x', Path(name)), name
        assert not is_output_of(prefix, tmp_path / 'other' / name), name
        with pytest.raises(UsageError, match='has the name of an output'):
            check_writable('x', [tmp_path / 'data.nii', Path(name)])
    for name in OTHERS:
        assert not is_output_of(prefix, tmp_path / name), name
    check_writable('x', [Path(name) for name in OTHERS])


def test_an_input_behind_a_link_is_refused(tmp_path):
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in' / 'x_vox_tstat.nii').write_bytes(b'data')
    (tmp_path / 'link.nii').symlink_to(tmp_path / 'in' / 'x_vox_tstat.nii')
    (tmp_path / 'folder').symlink_to(tmp_path / 'in')
    with pytest.raises(UsageError, match='could be overwritten'):
        check_writable(str(tmp_path / 'in' / 'x'), [tmp_path / 'link.nii'])
    with pytest.raises(UsageError, match='could be overwritten'):
        check_writable(str(tmp_path / 'folder' / 'x'), [tmp_path / 'in' / 'x_vox_tstat.nii'])


@pytest.mark.parametrize('prefix', ['x', 'x_', 'new/deep/x', 'new/', './x.y'])
def test_trying_to_write_leaves_nothing(tmp_path, monkeypatch, prefix):
    monkeypatch.chdir(tmp_path)
    check_writable(prefix)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(InputError, match='file is not a folder'):
        check_writable(str(tmp_path / 'file' / 'x'))
    with pytest.raises(InputError, match='file is not a folder'):
        check_writable(str(tmp_path / 'file' / 'deep' / 'x'))
    (tmp_path / 'link').symlink_to(tmp_path / 'nowhere')
    with pytest.raises(InputError, match='link is not a folder'):
        check_writable(str(tmp_path / 'link' / 'x'))
    with pytest.raises(InputError, match='nothing can be written in /proc'):
        check_writable('/proc/x')


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match=r'nothing can be written in .*: Permission denied'):
            check_writable(str(tmp_path / 'x'))
    finally:
        tmp_path.chmod(0o700)
