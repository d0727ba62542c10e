import numpy as np
import pytest

from ketbids.io.cifti import write_series
from ketbids.io.fixcount import removed_components
from ketbids.io.hcp import find_run
from tests.io.fixtrees import ica_folder
from tests.io.trees import touch
from tests.stats.small_brain import SmallBrain

MODELS = SmallBrain(1, volume=False).models


def run(results, name, n_volumes, ending='_Atlas_hp0_clean'):
    path = touch(results / name / f'{name}{ending}.dtseries.nii')
    write_series(path, np.ones((n_volumes, len(MODELS))), MODELS, 0.8)
    return path


def group(results, name, n_volumes, noise, high_pass='hp0', **options):
    folder = ica_folder(results / name / f'{name}_{high_pass}.ica', noise=noise, **options)
    mixing = folder / 'filtered_func_data.ica' / 'melodic_mix'
    mixing.write_text(('  0.5' * 4 + '\n') * n_volumes)
    return folder


def test_a_single_run(tmp_path):
    series = run(tmp_path, 'carit', 30, '_Atlas_MSMAll_hp2000_clean')
    assert removed_components(series) is None
    folder = group(tmp_path, 'carit', 30, (1, 3), 'hp2000')
    assert removed_components(series) == 2
    # Lists made by hand are those that were applied last.
    (folder / 'HandNoise.txt').write_text('1 2 3\n')
    assert removed_components(series) == 3
    for name in ('HandNoise.txt', '.fix', 'Noise.txt'):
        (folder / name).unlink()
    assert removed_components(series) == 2
    (folder / 'fix4melview_HCP_Style_thr10.txt').unlink()
    assert removed_components(series) is None


def test_runs_of_a_group_share_its_components(tmp_path):
    one, two = run(tmp_path, 'one', 30), run(tmp_path, 'two', 90)
    group(tmp_path, 'both', 120, (1, 2, 3, 4))
    run(tmp_path, 'both', 120)
    assert (removed_components(one), removed_components(two)) == (1, 3)


def test_a_run_that_was_cleaned_alone_is_not_of_the_group(tmp_path):
    one, two = run(tmp_path, 'one', 30), run(tmp_path, 'two', 90)
    alone = run(tmp_path, 'alone', 50)
    group(tmp_path, 'alone', 50, (2,))
    group(tmp_path, 'both', 120, (1, 2, 3, 4))
    assert [removed_components(path) for path in (one, two, alone)] == [1, 3, 1]


def test_not_known_whose_group_it_is(tmp_path):
    series = run(tmp_path, 'one', 30)
    run(tmp_path, 'two', 90)
    group(tmp_path, 'both', 100, (1, 2))
    assert removed_components(series) is None
    group(tmp_path, 'again', 120, (1, 2, 3, 4))
    assert removed_components(series) == 1
    group(tmp_path, 'still', 120, (1, 2))
    assert removed_components(series) is None


@pytest.mark.parametrize('ending', ['_Atlas', '_Atlas_hp0', '_Atlas_hp0_clean_tclean'])
def test_series_of_other_processing(tmp_path, ending):
    group(tmp_path, 'carit', 30, (1, 3))
    assert removed_components(run(tmp_path, 'carit', 30, ending)) is None


def test_a_damaged_list_is_told(tmp_path, caplog):
    series = run(tmp_path, 'carit', 30)
    folder = group(tmp_path, 'carit', 30, (1, 3))
    (folder / '.fix').write_text('one\n')
    assert removed_components(series) is None
    assert str(folder / '.fix') in caplog.text


def test_found_runs_know_it(tmp_path):
    from ketbids.io.bids import RunKey
    from ketbids.io.filters import BidsFilter
    from ketbids.io.folders import Folders
    from tests.io.trees import hcp_run, hcp_surfaces

    hcp_surfaces(tmp_path)
    folder = hcp_run(tmp_path, endings=('_Atlas_hp0_clean.dtseries.nii',))
    ica_folder(folder / f'{folder.name}_hp0.ica', noise=(1, 2, 4))
    key = RunKey('01', 'TP1', 'carit', '')
    found = find_run(tmp_path, key, pattern=None, filters=BidsFilter(), folders=Folders())
    assert found.denoised
    assert found.removed_components == 3
