"""PALM as the engine: what it is called with, what is made of its files, and PALM itself."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError, KetbidsError, ToolError, UsageError
from ketbids.interfaces.inference import GroupTest
from ketbids.interfaces.palm import PalmTest, assert_palm_can, palm_argv
from ketbids.interfaces.palmprogram import palm_command
from ketbids.io.cifti import read_maps
from ketbids.io.tables import read_table, write_table
from ketbids.stats.inference import TestOptions
from tests.interfaces.palm_programs import program
from tests.stats.small_brain import LEFT

SIDES = ('left', 'right')
STUB = Path(__file__).with_name('palm_stub.py')
N = 5


@pytest.fixture
def stub(tmp_path, monkeypatch):
    path = program(tmp_path / 'installed', STUB.read_text())
    monkeypatch.setenv('KETBIDS_PALM', str(path))
    return path


@pytest.fixture
def study(brain, tmp_path):
    """Maps of 5 people with an effect on the left, one grayordinate without data."""
    data = np.random.default_rng(3).normal(size=(N, len(brain.models)))
    data[:, brain.models.where(LEFT)] += 1.5
    data[2, 4] = np.nan
    left, right = brain.pair()
    rows = pd.DataFrame(
        {
            'participant_id': [f'sub-{n}' for n in range(N)],
            'path': [Path(brain.map(f'm{n}', values)).name for n, values in enumerate(data)],
            'Intercept': 1.0,
            'age': [-2.0, 0.5, 1.0, -1.5, 2.0],
            'a': [1.0, 1, 1, 0, 0],
            'b': [0.0, 0, 0, 1, 1],
        }
    )
    design = tmp_path / 'design.tsv'
    write_table(design, rows)

    def run(kind=PalmTest, folder=None, **options):
        given = {'scheme': 'flips', 'n_shuffles': 100, 'seed': 7, 'tails': 'two', 'tfce': '100'}
        folder = folder or tmp_path / f'{kind.__name__}_{len(list(tmp_path.iterdir()))}'
        folder.mkdir(exist_ok=True)
        given |= {'predictors': ['Intercept', 'age'], 'weights': [1.0, 0.0]}
        interface = kind(
            design_file=str(design),
            base_directory=str(tmp_path),
            left_midthickness=[left] * N,
            right_midthickness=[right] * N,
            **given | options,
        )
        outputs = interface.run(cwd=str(folder)).outputs
        maps = {k: read_maps(Path(path))[0][0] for k, path in outputs.maps.items()}
        return folder, maps, json.loads(Path(outputs.summary).read_text()), outputs

    return run


OPTIONS = TestOptions('flips', n_shuffles=5000, seed=3)


def test_argv_of_surfaces():
    argv = palm_argv(
        '/opt/palm',
        'cortex',
        OPTIONS,
        images=['l.nii', 'r.nii'],
        surfaces=[('l.srf', 'l.csv'), ('r.srf', 'r.csv')],
        n_contrasts=2,
    )
    expected = (
        '/opt/palm -i l.nii -i r.nii -s l.srf l.csv -s r.srf r.csv -d design.csv '
        '-t contrasts.csv -ise -n 5000 -seed 3 -T -tfce2D -corrmod -syncperms -savemax '
        '-noniiclass -quiet -o cortex'
    )
    assert argv == expected.split()


def test_argv_of_voxels():
    argv = palm_argv(
        'palm',
        'subcortex',
        TestOptions('permutations', n_shuffles=10, tails='positive'),
        images=['v.nii'],
        surfaces=[],
        n_contrasts=1,
        connectivity=18,
        variance_groups=True,
    )
    expected = (
        'palm -i v.nii -d design.csv -t contrasts.csv -vg variancegroups.csv -ee -n 10 -seed 0 '
        '-T -tfce_H 2 -tfce_E 0.5 -tfce_C 18 -savemax -noniiclass -quiet -o subcortex'
    )
    assert argv == expected.split()


@pytest.mark.parametrize('bad', ["x'); system('id", 'a b', 'a;b', '$HOME', 'ä', '', 'a\n', 'a%b'])
def test_words_that_could_be_code_are_refused(bad):
    with pytest.raises(ToolError, match='only letters, digits'):
        palm_argv('palm', bad, OPTIONS, images=['v.nii'], surfaces=[], n_contrasts=1)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'tfce': 'exact'}, 'no exact TFCE'),
        ({'within_structure': True}, 'leave --within-structure out'),
        ({'min_coverage': 0.9}, 'use --min-coverage 1'),
        ({'seed': 2**32}, 'seeds up to 4294967295, not 4294967296'),
    ],
)
def test_what_palm_cannot_do_is_refused(change, message):
    fine = {'tfce': '100', 'within_structure': False, 'min_coverage': 1.0, 'seed': 0}
    assert_palm_can(**fine)
    with pytest.raises(UsageError, match=message):
        assert_palm_can(**fine | change)


def test_meshes_that_do_not_fit_nifti_are_refused(brain):
    fine = {'tfce': '100', 'within_structure': False, 'min_coverage': 1.0, 'seed': 0}
    assert_palm_can(**fine, models=brain.models)
    brain.models.n_vertices[LEFT] = 32768
    with pytest.raises(InputError, match='32768 vertices; the files that PALM reads hold at most'):
        assert_palm_can(**fine, models=brain.models)


@pytest.mark.parametrize('tails', ['two', 'each', 'positive'])
def test_files_of_palm_become_results(stub, study, brain, tails):
    folder, maps, summary, outputs = study(tails=tails)
    native = study(GroupTest, tails=tails)[1]
    assert maps.keys() == native.keys()
    for name in maps:
        if not name.startswith(('tfce', 'puncorrected', 'pfwe', 'logpfwe')):
            np.testing.assert_array_equal(maps[name], native[name])
    # The stub enhances nothing, so that all of it can be written out.
    t, tested = native['t'], np.flatnonzero(np.isfinite(native['t']))
    cortex = brain.models.is_surface[tested]
    nulls = read_table(Path(outputs.nullmax))
    assert len(nulls) == 2**N
    for direction, sign in zip(('pos', 'neg'), (1, -1), strict=True):
        if f'tfce_{direction}' not in maps:
            assert tails == 'positive'
            continue
        enhanced = np.maximum(sign * t, 0)[tested]
        np.testing.assert_allclose(maps[f'tfce_{direction}'][tested], enhanced, rtol=1e-5)
        end = f'_{direction}' if tails == 'each' else ''
        largest = [nulls[name + end].to_numpy() for name in ('cortex', 'subcortex')]
        own = [np.mean(m[:, None] >= m * (1 - 1e-9), axis=0) for m in largest]
        smallest = np.minimum(*own)
        k = np.where(cortex, 0, 1)
        pairs = zip(k, enhanced, strict=True)
        reached = np.array([np.mean(largest[i] >= v * (1 - 1e-6)) for i, v in pairs])
        expected = np.array([np.mean(smallest <= p + 1e-9) for p in reached])
        np.testing.assert_allclose(maps[f'pfwe_{direction}'][tested], expected, rtol=1e-6)
    assert summary['Engine'] == 'palm'
    assert summary['TFCE'] == 'sum over 100 heights'
    assert summary['Shuffles'] == 2**N
    assert summary['Exhaustive']
    argv = json.loads((folder / 'cortex_argv.json').read_text())
    assert ('-syncperms' in argv) == (tails != 'positive')
    assert argv[argv.index('-seed') + 1] == '7'


def test_uncorrected_p_of_both_tails_is_doubled_where_each_shuffle_has_its_mirror(stub, study):
    both, each = (study(tails=tails)[1] for tails in ('two', 'each'))
    for direction in ('pos', 'neg'):
        positive = each[f'tfce_{direction}'] > 0
        p, one = both[f'puncorrected_{direction}'], each[f'puncorrected_{direction}']
        np.testing.assert_allclose(p[positive], 2 * one[positive])
        assert (p[each[f'tfce_{direction}'] == 0] == 1).all()


def test_uncorrected_p_of_both_tails_that_cannot_be_known_are_nan(stub, study):
    """Groups of 2 and 3: no shuffle is the mirror image of another."""
    stub.write_text(stub.read_text().replace('2**n_maps', '10'))
    design = {'predictors': ['a', 'b'], 'weights': [1.0, -1.0], 'scheme': 'permutations'}
    _, maps, summary, _ = study(**design)
    for direction in ('pos', 'neg'):
        there = np.isfinite(maps['t'])
        points = there & (maps[f'tfce_{direction}'] > 0)
        assert np.isnan(maps[f'puncorrected_{direction}'][points]).all()
        assert (maps[f'puncorrected_{direction}'][there & ~points] == 1).all()
        assert np.isfinite(maps[f'pfwe_{direction}'][there]).all()
    assert any('uncorrected p of both tails are not known' in w for w in summary['Warnings'])
    assert not any('not known' in w for w in study(**design, tails='each')[2]['Warnings'])


def test_program_that_fails_is_quoted(tmp_path, monkeypatch, study):
    text = '#!/bin/sh\necho ====\necho "Error using palm_core"\necho "no memory" >&2\nexit 1\n'
    monkeypatch.setenv('KETBIDS_PALM', str(program(tmp_path / 'broken', text)))
    with pytest.raises(
        KetbidsError, match=r'\(cortex\) ended with code 1: Error using palm_core \| no memory'
    ):
        study()


def test_missing_outputs_are_named(tmp_path, monkeypatch, study):
    text = '#!/bin/sh\ntouch cortex_elapsed.csv\n'
    monkeypatch.setenv('KETBIDS_PALM', str(program(tmp_path / 'idle', text)))
    with pytest.raises(KetbidsError, match=r'cortex_dpv_tstat_m1_c1\.nii\.gz is missing'):
        study()


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ("_tstat': t[0]", "_tstat': 2 * t[0]", 'has not tested this contrast'),
        ('tfce.max(axis=1)', 'tfce.max(axis=1)[:-1]', 'has 31 shuffles, not 32'),
        ("fmt='%.16g'", "fmt='x%.16g'", 'cannot be read'),
        ('whole.reshape(image.shape[:3])', 'whole[:-1].reshape(1, 1, -1)', 'has shape'),
    ],
)
def test_results_of_something_else_are_refused(tmp_path, monkeypatch, study, old, new, message):
    changed = STUB.read_text()
    assert old in changed
    path = program(tmp_path / 'changed', changed.replace(old, new))
    monkeypatch.setenv('KETBIDS_PALM', str(path))
    with pytest.raises(KetbidsError, match=message):
        study()


def test_files_of_an_earlier_run_do_not_count(tmp_path, monkeypatch, stub, study):
    """A run that ends early in a folder where another one, which was whole, has been."""
    folder = study()[0]
    old = sorted(folder.glob('*cortex_*'))
    assert len(old) > 10
    text = '#!/bin/sh\nls > seen\necho "error: out of patience"\n'
    monkeypatch.setenv('KETBIDS_PALM', str(program(tmp_path / 'idle', text)))
    with pytest.raises(KetbidsError, match=r'cortex_elapsed\.csv is missing\): error: out of pat'):
        study(folder=folder)
    seen = set((folder / 'seen').read_text().split())
    inputs = {f'cortex_{side}{end}' for side in SIDES for end in ('.nii', '.srf', '_area.csv')}
    assert {name for name in seen if name.startswith('cortex_')} == inputs


def test_the_box_of_voxels_keeps_their_place(stub, study, brain):
    import nibabel as nb

    folder = study()[0]
    image = nb.load(folder / 'subcortex.nii')
    voxels = brain.models.voxel[~brain.models.is_surface]
    filled = np.argwhere(image.get_fdata()[..., 0] != 0)
    found = nb.affines.apply_affine(image.affine, filled)
    wanted = nb.affines.apply_affine(brain.models.affine, voxels)
    assert sorted(map(tuple, found)) == sorted(map(tuple, wanted))
    assert image.get_data_dtype() == np.float64
    # An empty margin: neither a plane nor a line for PALM's connected components.
    assert filled.min() == 1
    assert (filled.max(axis=0) == np.array(image.shape[:3]) - 2).all()


@pytest.fixture
def real_palm(monkeypatch):
    if shutil.which('octave-cli') is None:
        pytest.skip('octave-cli is absent')
    try:
        return palm_command()
    except ToolError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ('tails', 'options'),
    [
        ('two', {}),
        ('each', {'connectivity': 26}),
        ('each', {'predictors': ['a', 'b'], 'weights': [1.0, -1.0], 'scheme': 'permutations'}),
        (
            'two',
            {'predictors': ['a', 'b'], 'weights': [1.0, -1.0], 'scheme': 'permutations'}
            | {'variance_columns': ['a', 'b'], 'n_shuffles': 30},
        ),
    ],
)
def test_palm_itself_agrees(real_palm, study, tails, options):
    """All shuffles; PALM's own program, if it is at hand."""
    found, native = (study(kind, tails=tails, **options) for kind in (PalmTest, GroupTest))
    assert found[2]['Engine'] == 'palm'
    assert native[2]['Engine'] == 'native'
    for name, values in native[1].items():
        if name.startswith('puncorrected'):
            # PALM loses ties that differ in the last bit: one count, or one in each tail.
            lost = np.round((values - found[1][name]) * native[2]['Shuffles'])
            lost = lost[np.isfinite(lost)]
            assert (lost >= 0).all(), name
            assert (lost <= (2 if tails == 'two' else 1)).all(), name
        else:
            np.testing.assert_allclose(found[1][name], values, rtol=1e-6, err_msg=name)
    pd.testing.assert_frame_equal(
        read_table(Path(found[3].nullmax)), read_table(Path(native[3].nullmax)), rtol=1e-6
    )
