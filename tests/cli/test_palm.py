"""The command ketbids-palm: formats, families of corrections, bad input, interrupts."""

import itertools
import os
import signal
import subprocess
import sys
import time

import nibabel as nb
import numpy as np
import pytest

from ketbids.cli.palm import main
from ketbids.io.cifti import read_maps, write_maps
from ketbids.io.surfaces import write_surface
from ketbids.stats.brainmodels import CORTEX
from ketbids.stats.inference import permutation_test
from ketbids.stats.testoptions import TestOptions
from tests.stats.small_brain import LEFT, RIGHT, SmallBrain, slow_t

N = 8


def save_csv(path, rows):
    np.savetxt(path, np.atleast_2d(rows), delimiter=',', fmt='%.17g')


@pytest.fixture(scope='module')
def brain():
    return SmallBrain()


@pytest.fixture
def study(tmp_path, brain, monkeypatch):
    """8 maps of grayordinates with an effect, their two surfaces, and designs."""
    rng = np.random.default_rng(4)
    data = rng.standard_normal((N, len(brain))) + rng.standard_normal((N, 1))
    data[:, :20] += 1.5
    data[:, 100] = 0
    names = [f'map{i}' for i in range(N)]
    write_maps(tmp_path / 'y.dscalar.nii', dict(zip(names, data, strict=True)), brain.models)
    for name, side in ((LEFT, 'L'), (RIGHT, 'R')):
        write_surface(tmp_path / f'{side}.surf.gii', brain.surfaces[name], name)
    age = rng.standard_normal(N)
    save_csv(tmp_path / 'one.csv', np.column_stack([np.ones(N), age - age.mean()]))
    save_csv(tmp_path / 'c10.csv', [[1, 0]])
    save_csv(tmp_path / 'c01.csv', [[0, 1]])
    save_csv(tmp_path / 'table.csv', data[:, :6])
    (tmp_path / 'out').mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(words):
    return main([*words.split(), '-quiet', '-o', 'out/x'])


def refused(capsys, words, message, code=3):
    assert run(words) == code
    found = capsys.readouterr().err
    assert message in found, found
    assert found.startswith('ketbids-palm: ')
    assert 'Traceback' not in found
    assert list(os.scandir('out')) == []


def outputs():
    return {entry.name for entry in os.scandir('out')}


def the_map(name):
    return read_maps(f'out/{name}.dscalar.nii')[0][0].astype(float)


GRAYORDINATES = '-i y.dscalar.nii -s L.surf.gii -s R.surf.gii -d one.csv -t c10.csv -ise'


class TestGrayordinates:
    def test_agree_with_the_pipeline(self, study, brain):
        """One direction, exact, all flips: what `permutation_test` gives."""
        assert run(f'{GRAYORDINATES} -T -tfce_exact -n 0 -logp -savemax') == 0
        data, models = read_maps(study / 'y.dscalar.nii')
        design = np.loadtxt(study / 'one.csv', delimiter=',')
        options = TestOptions('flips', 1 << N, tails='positive')
        result = permutation_test(data, design, [1, 0], models, brain.graph, brain.extent, options)
        inside = result.mask
        assert inside.sum() == len(brain) - 1
        for name, expected in (
            ('dat_tstat', result.t),
            ('tfce_tstat', result.tfce['pos']),
            ('tfce_tstat_uncp', -np.log10(result.puncorrected['pos'])),
            ('tfce_tstat_fwep', -np.log10(result.pfwe['pos'])),
        ):
            found = the_map(f'x_{name}')
            np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-5, atol=1e-6)
            assert (found[~inside] == 0).all()
        maxima = np.loadtxt('out/x_tfce_tstat_max.csv', delimiter=',')
        np.testing.assert_allclose(maxima, result.null_max.iloc[:, 1:], rtol=1e-6)  # float32 areas

    def test_partitions_are_joined_as_asked(self, study, brain):
        found = {}
        for rule in ('minp', 'bonferroni', 'sidak'):
            assert run(f'{GRAYORDINATES} -T -n 0 -joint {rule}') == 0
            found[rule] = the_map('x_tfce_tstat_fwep')
        assert (found['minp'] <= found['bonferroni'] + 1e-6).all()
        assert (found['sidak'] <= found['bonferroni'] + 1e-6).all()
        own = 1 - np.sqrt(1 - found['sidak'][:100])
        np.testing.assert_allclose(np.minimum(2 * own, 1), found['bonferroni'][:100], atol=1e-5)

    def test_surfaces_in_another_order_find_their_own(self, study):
        assert run(f'{GRAYORDINATES} -T -n 20') == 0
        before = the_map('x_tfce_tstat')
        other = GRAYORDINATES.replace('L.surf', 'X.surf').replace('R.surf', 'L.surf')
        assert run(other.replace('X.surf', 'R.surf') + ' -T -n 20') == 0
        np.testing.assert_array_equal(the_map('x_tfce_tstat'), before)

    def test_parameters_of_vertices_and_voxels(self, study, brain):
        """-tfce2D says nothing new about vertices, and nothing about voxels; -tfce_E both."""
        assert run(f'{GRAYORDINATES} -T -tfce_exact -n 2') == 0
        before = the_map('x_tfce_tstat')
        assert run(f'{GRAYORDINATES} -T -tfce_exact -tfce2D -n 2') == 0
        np.testing.assert_array_equal(the_map('x_tfce_tstat'), before)
        assert run(f'{GRAYORDINATES} -T -tfce_exact -tfce_E 0.5 -n 2') == 0
        changed = the_map('x_tfce_tstat') != before
        cortex = brain.models.partition == CORTEX
        assert changed[cortex].any()
        assert not changed[~cortex].any()

    def test_clusters_have_a_maximum_each(self, study, brain):
        assert run(f'{GRAYORDINATES} -C 1 -n 30 -savemax') == 0
        found, z = the_map('x_clustere_tstat'), np.loadtxt('out/x_dat_tstat_max.csv')
        maxima = np.loadtxt('out/x_clustere_tstat_max.csv', delimiter=',')
        cortex = brain.models.partition == CORTEX
        assert maxima.shape == (30, 2)
        np.testing.assert_allclose(maxima[0], [found[cortex].max(), found[~cortex].max()], 1e-6)
        assert len(z) == 30

    def test_tail_needs_a_rule_without_ranks(self, study, capsys):
        refused(capsys, f'{GRAYORDINATES} -T -accel tail', '-joint bonferroni', 2)
        assert run(f'{GRAYORDINATES} -T -n 100 -accel tail -joint sidak') == 0

    def test_surfaces_are_needed_for_tfce(self, study, capsys):
        words = GRAYORDINATES.replace('-s L.surf.gii -s R.surf.gii', '')
        refused(capsys, f'{words} -T', 'give one -s for each')
        assert run(words + ' -n 10') == 0


def test_statistic_by_the_matrices_written_out(study):
    assert run('-i table.csv -d one.csv -t c10.csv -ise -n 0 -savemax -saveperms') == 0
    data = np.loadtxt('table.csv', delimiter=',')
    design = np.loadtxt('one.csv', delimiter=',')
    signed = np.loadtxt('out/x_permidx.csv', delimiter=',').astype(int)
    assert signed.shape == (256, N)
    assert len(np.unique(signed, axis=0)) == 256
    all_t = [slow_t(data, design, [1, 0], np.abs(s) - 1, np.sign(s))[0] for s in signed]
    found = np.loadtxt('out/x_dat_tstat.csv', delimiter=',')
    np.testing.assert_allclose(found, all_t[0], atol=5.1e-5)  # CSV has four decimals
    p = np.mean(np.array(all_t) >= all_t[0] - 1e-9, axis=0)
    np.testing.assert_allclose(np.loadtxt('out/x_dat_tstat_uncp.csv', delimiter=','), p, atol=1e-4)
    image = np.loadtxt('out/x_dat_tstat_perm000100.csv', delimiter=',')
    np.testing.assert_allclose(image, all_t[99], atol=5.1e-5)


def test_given_shuffles(study, capsys):
    words = '-i table.csv -d one.csv -t c10.csv -savemax'
    assert run(f'{words} -ise -n 40 -seed 9 -saveperms') == 0
    maxima = np.loadtxt('out/x_dat_tstat_max.csv')
    os.rename('out/x_permidx.csv', 'given.csv')
    assert run(f'{words} -permidx given.csv') == 0
    np.testing.assert_array_equal(np.loadtxt('out/x_dat_tstat_max.csv'), maxima)
    assert run(f'{words} -permidx given.csv -n 25') == 0
    np.testing.assert_array_equal(np.loadtxt('out/x_dat_tstat_max.csv'), maxima[:25])
    for entry in os.scandir('out'):
        os.unlink(entry)
    refused(
        capsys,
        f'{words} -permidx given.csv -n 41',
        'given.csv: 41 shuffles are asked for, but the table has 40',
    )
    two = f'{words} -permidx given.csv -permidx given.csv'
    refused(capsys, two, '2 -permidx for 1 contrasts', 2)


def test_seeds(study):
    found = []
    for seed in (1, 1, 2):
        assert run(f'-i table.csv -d one.csv -t c10.csv -ise -n 50 -seed {seed} -savemax') == 0
        found.append(np.loadtxt('out/x_dat_tstat_max.csv'))
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_contrasts_have_shuffles_of_their_own_unless_synchronised(study):
    save_csv(study / 'c.csv', [[1, 0], [-1, 0]])
    words = '-i table.csv -d one.csv -t c.csv -ise -n 50 -saveperms'
    tables = []
    for more in ('', ' -syncperms', ' -corrcon'):
        assert run(words + more) == 0
        tables.append([np.loadtxt(f'out/x_c{c}_permidx.csv', delimiter=',') for c in (1, 2)])
    assert (tables[0][0] != tables[0][1]).any()
    for first, second in tables[1:]:
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, tables[0][0])


def test_contrasts_that_are_corrected_together_need_the_same_given_shuffles(study, capsys):
    save_csv(study / 'c.csv', [[1, 0], [-1, 0]])
    words = '-i table.csv -d one.csv -t c.csv -ise -n 30'
    assert run(f'{words} -saveperms') == 0
    os.rename('out/x_c1_permidx.csv', 'a.csv')
    os.rename('out/x_c2_permidx.csv', 'b.csv')
    for entry in os.scandir('out'):
        os.unlink(entry)
    capsys.readouterr()
    both = f'{words} -corrcon -permidx a.csv'
    refused(capsys, f'{both} -permidx b.csv', 'need the same shuffles')
    assert run(f'{both} -permidx a.csv') == 0
    assert 'The shuffles are given: -ise have no effect' in capsys.readouterr().out


def test_f_and_t_corrected_together_become_z(study, capsys):
    save_csv(study / 'three.csv', np.eye(3)[[0, 0, 0, 1, 1, 1, 2, 2]])
    save_csv(study / 't.csv', [[1, -1, 0], [0, 1, -1]])
    save_csv(study / 'f.csv', [[1, 1]])
    assert run('-i table.csv -d three.csv -t t.csv -f f.csv -n 50 -corrcon') == 0
    assert {'x_dat_ztstat_c1.csv', 'x_dat_zfstat_cfwep_c3.csv'} <= outputs()
    assert not {'x_dat_tstat_c1.csv', 'x_dat_fstat_c3.csv'} & outputs()
    assert '(-zstat)' in capsys.readouterr().out


def test_surfaces_of_the_other_hemisphere_are_refused(study, capsys, brain):
    array = nb.gifti.GiftiDataArray(np.ones(42, np.float32), 'NIFTI_INTENT_NONE')
    rng = np.random.default_rng(0)
    arrays = [
        nb.gifti.GiftiDataArray(rng.standard_normal(42).astype('f4'), 'NIFTI_INTENT_NONE')
        for _ in range(N)
    ]
    meta = nb.gifti.GiftiMetaData({'AnatomicalStructurePrimary': 'CortexLeft'})
    nb.save(nb.GiftiImage(darrays=[array, *arrays[1:]], meta=meta), study / 'L.func.gii')
    refused(capsys, '-i L.func.gii -s R.surf.gii -T -n 10', 'says that it is of the left')
    assert run('-i L.func.gii -s L.surf.gii -T -n 10') == 0


def test_what_corrmod_leaves_out_is_said(study, capsys, brain):
    data, models = read_maps(study / 'y.dscalar.nii')
    cortex = models.partition == CORTEX
    kept = models.select(cortex)
    maps = {f'map{i}': row[cortex] for i, row in enumerate(data)}
    write_maps(study / 'cortex.dscalar.nii', maps, kept)
    assert run(f'{GRAYORDINATES} -i cortex.dscalar.nii -T -tfce2D -corrmod -n 20') == 0
    said = capsys.readouterr().out
    assert '-corrmod does not go over TFCE and clusters here' in said
    assert '-tfce2D changes nothing for grayordinates' in said
    assert 'x_dat_tstat_mfwep_m1.dscalar.nii' in outputs()
    assert 'x_tfce_tstat_mfwep_m1.dscalar.nii' not in outputs()


def test_seeds_keep_all_their_digits(study):
    tables = []
    for seed in (9007199254740993, 9007199254740992):
        words = f'-i table.csv -d one.csv -t c10.csv -ise -n 50 -saveperms -seed {seed}'
        assert run(words) == 0
        tables.append(np.loadtxt('out/x_permidx.csv', delimiter=','))
    assert (tables[0] != tables[1]).any()


def test_no_design_is_the_mean_in_both_directions(study):
    assert run('-i table.csv -n 0') == 0
    first, second = (np.loadtxt(f'out/x_dat_tstat_c{c}.csv', delimiter=',') for c in (1, 2))
    np.testing.assert_array_equal(first, -second)
    data = np.loadtxt('table.csv', delimiter=',')
    t = data.mean(axis=0) / (data.std(axis=0, ddof=1) / np.sqrt(N))
    np.testing.assert_allclose(first, t, atol=5.1e-5)


def test_two_tailed_f_keeps_its_one_tail(study):
    """PALM takes the absolute z of F too, which turns p = .85 into .28."""
    save_csv(study / 'three.csv', np.eye(3)[[0, 0, 0, 1, 1, 1, 2, 2]])
    save_csv(study / 't.csv', [[1, -1, 0], [0, 1, -1]])
    save_csv(study / 'f.csv', [[1, 1]])
    words = '-i table.csv -d three.csv -t t.csv -f f.csv -n 200'
    assert run(words) == 0
    one = np.loadtxt('out/x_dat_fstat_uncp_c3.csv', delimiter=',')
    assert run(f'{words} -twotail') == 0
    np.testing.assert_array_equal(np.loadtxt('out/x_dat_fstat_uncp_c3.csv', delimiter=','), one)


def test_giftis_come_out_as_their_hemisphere(study, wb_command, brain):
    data, _ = read_maps(study / 'y.dscalar.nii')
    whole = np.zeros((N, 42), np.float32)
    whole[:, brain.models.vertex[brain.models.where(LEFT)]] = data[:, brain.models.where(LEFT)]
    arrays = [nb.gifti.GiftiDataArray(row, 'NIFTI_INTENT_NONE') for row in whole]
    meta = nb.gifti.GiftiMetaData({'AnatomicalStructurePrimary': 'CortexLeft'})
    nb.save(nb.GiftiImage(darrays=arrays, meta=meta), study / 'L.func.gii')
    assert run('-i L.func.gii -s L.surf.gii -T -tfce2D -n 30') == 0
    os.rename('out/x_tfce_tstat_fwep_c1.gii', 'p.func.gii')
    done = subprocess.run(
        [wb_command, '-metric-math', '1 - p', 'q.func.gii', '-var', 'p', 'p.func.gii'],
        capture_output=True,
        check=True,
    )
    assert done.returncode == 0
    p = nb.load('p.func.gii').darrays[0].data
    np.testing.assert_allclose(nb.load('q.func.gii').darrays[0].data, 1 - p, atol=1e-6)
    assert 'x_dpv_tstat_c1.gii' in outputs()


class TestBadInput:
    @pytest.mark.parametrize(
        ('words', 'message', 'code'),
        [
            ('-i none.csv', 'none.csv', 3),
            ('-i table.csv -d short.csv -t c10.csv', 'has 5 rows, but the data have 8', 3),
            ('-i table.csv -i short.csv', 'All inputs must have the same', 3),
            ('-i table.csv -d one.csv -t c1.csv', 'contrasts have 1 weights', 3),
            ('-i table.csv -d one.csv -d double.csv -t c10.csv -ise', 'double.csv, contrast 1', 3),
            ('-i table.csv -d double.csv -t c10.csv', 'rank deficient', 3),
            ('-i table.csv -joint sidak', 'nothing to join here', 2),
            ('-i table.csv -s none.gii', 'none.gii', 3),
            ('-i table.csv -permidx still.csv', 'every p would be 1', 3),
            ('-i table.csv -d one.csv -t c00.csv', 'all contrasts are 0', 3),
            ('-i table.csv -d one.csv -t c10.csv', '-ise', 3),
            (
                '-i table.csv -d one.csv -t c10.csv -ise -demean',
                'tests the mean, which -demean removes',
                3,
            ),
            ('-i table.csv -d one.csv -t c01.csv -eb blocks.csv', 'blocks', 3),
            ('-i table.csv -d one.csv -t c01.csv -n 0 -ee -ise', 'too many', 3),
            ('-i table.csv -T', 'give the surface with -s', 2),
            ('-i table.csv -s L.surf.gii -T', '42 vertices, but table.csv has 6', 3),
            ('-i y.dscalar.nii -s L.surf.gii -T', 'give one -s for each', 3),
            ('-i y.dscalar.nii -i table.csv -s L.surf.gii -T', 'calls of their own', 2),
            ('-i cut.dscalar.nii', 'truncated', 3),
            ('-i constant.csv', 'no location can be tested', 3),
            ('-i table.csv -m c10.csv', 'has 2 locations', 3),
            ('-i table.csv -npc', '-npc is not supported by ketbids-palm', 2),
            ('-i table.csv -d one.csv -t c10.csv -ise -vg short.csv', 'variance groups', 3),
        ],
    )
    def test_refused(self, study, capsys, words, message, code):
        save_csv(study / 'short.csv', np.arange(10).reshape(5, 2))
        save_csv(study / 'c1.csv', [[1]])
        still = np.arange(N) + 1
        save_csv(study / 'still.csv', [still, still[::-1]])
        save_csv(study / 'c00.csv', [[0, 0]])
        save_csv(study / 'double.csv', np.ones((N, 2)))
        save_csv(study / 'blocks.csv', np.arange(N)[:, None] + 1)
        save_csv(study / 'constant.csv', np.ones((N, 3)))
        whole = (study / 'y.dscalar.nii').read_bytes()
        (study / 'cut.dscalar.nii').write_bytes(whole[:-500])
        refused(capsys, words, message, code)

    def test_locations_without_data_are_counted(self, study, capsys):
        data = np.loadtxt('table.csv', delimiter=',')
        data[2, 1] = np.nan
        data[:, 3] = 4.0
        data[:, 4] = 0.0
        save_csv(study / 'holes.csv', data)
        assert run('-i holes.csv -n 20 -savemask') == 0
        said = capsys.readouterr().out
        assert '3 of 6 locations are left out: 1 with NaN or Inf, 1 constant, 1 zero' in said
        mask = np.loadtxt('out/xmask.csv', delimiter=',')
        np.testing.assert_array_equal(mask, [1, 0, 1, 0, 0, 1])
        p = np.loadtxt('out/x_dat_tstat_uncp_c1.csv', delimiter=',')
        np.testing.assert_array_equal(p[mask == 0], 0)  # PALM's
        assert (p[mask == 1] > 0).all()

    def test_output_that_cannot_be_written(self, study, capsys):
        (study / 'file').write_text('x')
        assert main(['-i', 'table.csv', '-n', '10', '-quiet', '-o', 'file/x']) == 3
        assert 'is not a folder' in capsys.readouterr().err

    def test_input_is_not_overwritten(self, study, capsys):
        os.rename('table.csv', 'out/x_dat_tstat_c1.csv')
        before = (study / 'out' / 'x_dat_tstat_c1.csv').read_bytes()
        assert run('-i out/x_dat_tstat_c1.csv -n 10') == 2
        assert 'could be overwritten' in capsys.readouterr().err
        assert (study / 'out' / 'x_dat_tstat_c1.csv').read_bytes() == before


def test_help_and_version(capsys):
    assert main(['-help']) == 0
    assert '-permidx' in capsys.readouterr().out
    assert main(['-version']) == 0
    assert capsys.readouterr().out.startswith('ketbids-palm ')
    assert main([]) == 2


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize('threads', [1, 2])
def test_interrupted_writes_nothing(study, number, code, threads):
    command = 'import sys; from ketbids.cli.palm import main; sys.exit(main(sys.argv[1:]))'
    of_age = GRAYORDINATES.replace('c10', 'c01')
    words = f'{of_age} -ee -T -n 2000000 -threads {threads} -o out/x'.split()
    with subprocess.Popen(
        [sys.executable, '-c', command, *words], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            time.sleep(4)
            assert process.poll() is None
            process.send_signal(number)
            _, said = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == code, said
    assert 'interrupted; results appear all together' in said
    assert 'Traceback' not in said
    assert outputs() == set()


def test_failing_while_writing_leaves_nothing(study, monkeypatch, capsys):
    calls = itertools.count()

    def full(*args, **options):
        if next(calls) == 3:
            raise OSError(28, 'No space left on device')
        return real(*args, **options)

    from ketbids.cli import palmresults

    real = palmresults.write_map
    monkeypatch.setattr(palmresults, 'write_map', full)
    assert run('-i table.csv -n 20') == 1
    assert 'No space left on device' in capsys.readouterr().err
    assert outputs() == set()
