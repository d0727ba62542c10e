"""Runs in a study folder of the HCP pipelines."""

import re

import pytest

from ketbids.errors import InputError, UsageError
from ketbids.io.bids import RunKey
from ketbids.io.derivatives import Derivatives
from ketbids.io.filters import BidsFilter
from ketbids.io.hcp import HcpPattern, parse_pattern
from tests.io.trees import hcp_run as make_run
from tests.io.trees import hcp_surfaces as make_surfaces
from tests.io.trees import series, touch

KEY = RunKey('01', 'TP1', 'carit')
#: From the least to the most processed: each is preferred to those before it.
ENDINGS = (
    '_Atlas.dtseries.nii',
    '_Atlas_MSMAll.dtseries.nii',
    '_Atlas_hp2000_clean.dtseries.nii',
    '_Atlas_MSMAll_hp0_clean.dtseries.nii',
    '_Atlas_MSMAll_hp0_clean_rclean_tclean.dtseries.nii',
)


def find_preprocessed(roots, key, **options):
    return Derivatives(roots, **options).find(key)


@pytest.mark.parametrize('best', range(len(ENDINGS)))
def test_the_most_processed_series_wins(tmp_path, best):
    for registration in ('', '_MSMAll'):
        surfaces = make_surfaces(tmp_path, registration=registration)
    run = make_run(tmp_path, endings=ENDINGS[: best + 1])
    found = find_preprocessed([tmp_path], KEY)
    assert found.series == run / f'task-carit{ENDINGS[best]}'
    assert found.denoised == (best >= 2)
    assert found.origin == 'hcp'
    assert found.confounds == run / 'Movement_Regressors.txt'
    assert found.root == tmp_path
    msm = '_MSMAll' if 'MSMAll' in ENDINGS[best] else ''
    assert found.anatomy.midthickness == tuple(
        surfaces / f'sub-01_ses-TP1.{hemi}.midthickness{msm}.32k_fs_LR.surf.gii' for hemi in 'LR'
    )
    assert found.anatomy.inflated[1].name == f'sub-01_ses-TP1.R.inflated{msm}.32k_fs_LR.surf.gii'
    assert found.anatomy.labels is None


def test_labels_are_taken_where_there_are_any(tmp_path):
    folder = make_surfaces(tmp_path)
    labels = touch(folder / 'sub-01_ses-TP1.aparc.32k_fs_LR.dlabel.nii')
    make_run(tmp_path)
    anatomy = find_preprocessed([tmp_path], KEY).anatomy
    assert anatomy.labels == labels
    assert anatomy.files == (*anatomy.midthickness, *anatomy.inflated, labels)


@pytest.mark.parametrize(
    ('name', 'key'),
    [
        ('ses-TP1_task-carit_run-01_bold', RunKey('01', 'TP1', 'carit', '01')),
        ('task-carit_dir-PA_run-2', RunKey('01', 'TP1', 'carit', '2')),
        ('sub-01_ses-TP1_task-carit', RunKey('01', 'TP1', 'carit')),
    ],
)
def test_run_folders_are_known_by_their_entities(tmp_path, name, key):
    make_surfaces(tmp_path)
    make_run(tmp_path, 'task-caritLong')
    make_run(tmp_path, 'task-rest_run-01')
    make_run(tmp_path, 'rfMRI_REST1_AP')
    run = make_run(tmp_path, name)
    assert find_preprocessed([tmp_path], key).confounds.parent == run


@pytest.mark.parametrize(('folder', 'run'), [('1', '01'), ('01', '1'), ('002', '2')])
@pytest.mark.parametrize(
    'pattern', [None, 'sub-{participant}_ses-{session}/task-{task}_run-{run}']
)
def test_a_run_label_is_a_number(tmp_path, folder, run, pattern):
    """Older releases wrote run-1 for run-01; what is spelled alike counts first."""
    pattern = pattern and parse_pattern(pattern)
    make_surfaces(tmp_path)
    other = make_run(tmp_path, f'task-carit_run-{folder}')
    make_run(tmp_path, 'task-carit_run-10')
    key = RunKey('01', 'TP1', 'carit', run)
    assert find_preprocessed([tmp_path], key, pattern=pattern).series.parent == other
    own = make_run(tmp_path, f'task-carit_run-{run}')
    assert find_preprocessed([tmp_path], key, pattern=pattern).series.parent == own


def test_two_run_labels_of_one_number(tmp_path):
    make_surfaces(tmp_path)
    for run in ('001', '1'):
        make_run(tmp_path, f'task-carit_run-{run}')
    with pytest.raises(InputError, match=r'Two candidates.*run-001 and .*run-1'):
        find_preprocessed([tmp_path], RunKey('01', 'TP1', 'carit', '01'))


@pytest.mark.parametrize(
    'name', ['ses-TP2_task-carit', 'sub-02_task-carit', 'sub-01_ses-TP2_task-carit_bold']
)
def test_run_folders_of_others_are_not_taken(tmp_path, name):
    make_surfaces(tmp_path)
    make_run(tmp_path, name)
    with pytest.raises(InputError, match='sub-01_ses-TP1_task-carit: no preprocessed'):
        find_preprocessed([tmp_path], KEY)
    own = make_run(tmp_path, 'sub-01_ses-TP1_task-carit')
    assert find_preprocessed([tmp_path], KEY).series.parent == own


@pytest.mark.parametrize(
    ('pattern', 'session', 'found'),
    [
        ('{participant}*', '1001', True),
        ('{participant}*', '1001_3T', True),
        ('{participant}*', '10012', False),
        ('{participant}*', '1001b', False),
        ('{participant}**', '10012', False),
        ('*{participant}', 'study_1001', True),
        ('*{participant}', '21001', False),
        ('*{participant}*', '1001', True),
        ('*{participant}*', 'x_1001_y', True),
        ('*{participant}*', '210012', False),
        ('{participant}*{task}', '1001_a_carit', True),
        ('{participant}*{task}', '1001carit', True),
        ('{participant}*{task}', '1001_acarit', False),
        ('{participant}_*', '1001_2', True),
        ('{participant}*MR', '1001_V1_MR', True),
        ('S*_{participant}', 'Sx_1001', True),
    ],
)
def test_a_star_beside_a_label_does_not_make_another_of_it(tmp_path, pattern, session, found):
    make_surfaces(tmp_path, session)
    make_run(tmp_path, session=session)
    key, parsed = RunKey('1001', '', 'carit'), parse_pattern(pattern)
    if found:
        assert session in find_preprocessed([tmp_path], key, pattern=parsed).series.parts
    else:
        with pytest.raises(InputError, match='no preprocessed time series'):
            find_preprocessed([tmp_path], key, pattern=parsed)


def test_no_sessions(tmp_path):
    make_surfaces(tmp_path, 'sub-01')
    run = make_run(tmp_path, session='sub-01')
    assert find_preprocessed([tmp_path], RunKey('01', '', 'carit')).confounds.parent == run


@pytest.mark.parametrize('order', [1, -1])
def test_the_folder_that_has_the_run_is_found_among_others(tmp_path, order):
    """Wherever it stands in the list; of two that have it, the first counts."""
    empty, full = tmp_path / 'empty', tmp_path / 'full'
    empty.mkdir()
    make_surfaces(full)
    make_run(full)
    assert find_preprocessed([empty, full][::order], KEY).root == full
    make_surfaces(empty)
    make_run(empty)
    assert find_preprocessed([empty, full][::order], KEY).root == [empty, full][::order][0]


def test_nothing_there_says_where_it_looked(tmp_path):
    roots = [tmp_path / 'a', tmp_path / 'b']
    with pytest.raises(InputError, match=r'sub-01_ses-TP1_task-carit: no preproc') as caught:
        find_preprocessed(roots, KEY)
    for root in roots:
        assert f'{root}/sub-01_ses-TP1/MNINonLinear/Results' in str(caught.value)


def test_a_run_folder_without_series_is_no_run(tmp_path):
    make_surfaces(tmp_path)
    make_run(tmp_path, endings=())
    with pytest.raises(InputError, match='no preprocessed time series'):
        find_preprocessed([tmp_path], KEY)


def test_two_run_folders(tmp_path):
    make_surfaces(tmp_path)
    make_run(tmp_path, 'task-carit_dir-AP')
    make_run(tmp_path, 'task-carit_dir-PA')
    with pytest.raises(InputError, match=r'Two candidates.*dir-AP and .*dir-PA'):
        find_preprocessed([tmp_path], KEY)


def test_two_cleaned_series(tmp_path):
    make_surfaces(tmp_path)
    make_run(
        tmp_path, endings=('_Atlas_hp0_clean.dtseries.nii', '_Atlas_hp2000_clean.dtseries.nii')
    )
    with pytest.raises(InputError, match=r'Two candidates.*hp0_clean.*hp2000_clean'):
        find_preprocessed([tmp_path], KEY)


@pytest.mark.parametrize('ending', [ENDINGS[0], ENDINGS[2]])
def test_without_movement(tmp_path, ending):
    """Whether it is needed depends on the confounds that are asked for."""
    make_surfaces(tmp_path)
    (make_run(tmp_path, endings=[ending]) / 'Movement_Regressors.txt').unlink()
    assert find_preprocessed([tmp_path], KEY).confounds is None


def test_surfaces_of_the_series_registration_are_needed(tmp_path):
    make_surfaces(tmp_path)
    make_run(tmp_path, endings=ENDINGS)
    with pytest.raises(InputError, match=r'L\.midthickness_MSMAll\.32k_fs_LR.surf.gii is missing'):
        find_preprocessed([tmp_path], KEY)


def test_no_surfaces(tmp_path):
    make_run(tmp_path)
    with pytest.raises(InputError, match=r'fsaverage_LR32k.*is missing.*its 32k time series'):
        find_preprocessed([tmp_path], KEY)


def test_one_hemisphere(tmp_path):
    make_run(tmp_path)
    path = make_surfaces(tmp_path) / 'sub-01_ses-TP1.R.midthickness.32k_fs_LR.surf.gii'
    path.unlink()
    with pytest.raises(InputError, match=re.escape(f'{path} is missing')):
        find_preprocessed([tmp_path], KEY)


def test_without_inflated_surfaces_average_ones_are_drawn(tmp_path):
    make_run(tmp_path)
    for path in make_surfaces(tmp_path).glob('*.inflated.*'):
        path.unlink()
    anatomy = find_preprocessed([tmp_path], KEY).anatomy
    assert anatomy.template == ('inflated',)
    assert anatomy.inflated[1].name == 'S1200.R.inflated_MSMAll.32k_fs_LR.surf.gii'


@pytest.mark.parametrize('mesh', ['3k', '10k', '32k', '59k'])
def test_the_mesh_is_that_of_the_series(tmp_path, mesh):
    make_run(tmp_path, mesh=mesh)
    for other in ('10k', '32k', '59k', mesh):
        make_surfaces(tmp_path, mesh=other)
    anatomy = find_preprocessed([tmp_path], KEY).anatomy
    assert f'fsaverage_LR{mesh}/sub-01_ses-TP1.L.inflated.{mesh}_fs_LR' in str(anatomy.inflated[0])


def test_the_finest_mesh_lies_one_folder_up(tmp_path):
    make_run(tmp_path, mesh='164k')
    folder = make_surfaces(tmp_path, mesh='164k')
    for path in folder.iterdir():
        path.rename(folder.parent / path.name)
    found = find_preprocessed([tmp_path], KEY).anatomy.midthickness[0]
    assert found == folder.parent / 'sub-01_ses-TP1.L.midthickness.164k_fs_LR.surf.gii'


def test_high_resolution(tmp_path):
    """The 7 T release has both resolutions; their surfaces carry it in their names."""
    ending = '_Atlas_1.6mm_MSMAll_hp2000_clean.dtseries.nii'
    run = make_run(tmp_path, endings=[ending], mesh='59k')
    make_surfaces(tmp_path, mesh='59k', registration='_MSMAll')
    surfaces = make_surfaces(tmp_path, mesh='59k', registration='_1.6mm_MSMAll')
    found = find_preprocessed([tmp_path], KEY)
    name = 'sub-01_ses-TP1.L.midthickness_1.6mm_MSMAll.59k_fs_LR.surf.gii'
    assert found.anatomy.midthickness[0] == surfaces / name
    assert found.denoised
    make_surfaces(tmp_path, registration='_MSMAll')
    other = '_Atlas_MSMAll_hp2000_clean.dtseries.nii'
    series(run / f'task-carit{other}', n_grayordinates=2000)
    with pytest.raises(InputError, match=r'Two candidates for the time series.*"desc"'):
        find_preprocessed([tmp_path], KEY)
    for entities, expected in (
        ({'density': ('2k',)}, other),
        ({'density': ('0k',)}, ending),
        ({'desc': ('16mmMSMAllhp2000clean',)}, ending),
    ):
        chosen = find_preprocessed([tmp_path], KEY, filters=BidsFilter(entities))
        assert chosen.series.name == f'task-carit{expected}'


def test_a_filter_chooses_less_processed_series(tmp_path):
    make_run(tmp_path, endings=ENDINGS)
    for registration in ('', '_MSMAll'):
        make_surfaces(tmp_path, registration=registration)
    for value, expected in ((None, 0), ('MSMAll', 1), ('hp2000clean', 2)):
        found = find_preprocessed([tmp_path], KEY, filters=BidsFilter({'desc': (value,)}))
        assert found.series.name == f'task-carit{ENDINGS[expected]}'
    with pytest.raises(InputError, match='Only what --bids-filter-file admits counts'):
        find_preprocessed([tmp_path], KEY, filters=BidsFilter({'desc': ('other',)}))


def test_what_is_no_cifti(tmp_path):
    run = make_run(tmp_path)
    make_surfaces(tmp_path)
    path = run / 'task-carit_Atlas.dtseries.nii'
    for content in (b'', b'nonsense', path.read_bytes()[:600]):
        path.write_bytes(content)
        with pytest.raises(InputError, match='cannot be read as a CIFTI-2 file'):
            find_preprocessed([tmp_path], KEY)


@pytest.mark.parametrize(
    ('folder', 'key', 'expected'),
    [
        ('task-carit_dir-PA', RunKey('01', 'TP1', 'carit', direction='PA'), True),
        ('task-carit_dir-AP', RunKey('01', 'TP1', 'carit', direction='PA'), False),
        ('task-carit_acq-a', RunKey('01', 'TP1', 'carit', acquisition='b'), False),
        ('task-carit', RunKey('01', 'TP1', 'carit', acquisition='b'), True),
        ('task-carit_run-1', RunKey('01', 'TP1', 'carit'), False),
    ],
)
def test_acquisition_and_direction_must_agree(tmp_path, folder, key, expected):
    make_surfaces(tmp_path)
    make_run(tmp_path, folder)
    if expected:
        assert find_preprocessed([tmp_path], key).confounds.parent.name == folder
    else:
        with pytest.raises(InputError, match='no preprocessed time series'):
            find_preprocessed([tmp_path], key)


@pytest.mark.parametrize(
    ('pattern', 'session', 'run', 'key'),
    [
        ('{participant}', '100307', 'task-carit', RunKey('100307', '', 'carit')),
        (
            '{participant}_{session}_MR/tfMRI_{task}_{direction}',
            'HCA6002236_V1_MR',
            'tfMRI_CARIT_PA',
            RunKey('HCA6002236', 'V1', 'carit', direction='PA'),
        ),
        (
            '{participant}_*/tfMRI_{task}_run{run}_*',
            '100307_3T',
            'tfMRI_Carit_run2_PA',
            RunKey('100307', '', 'carit', '2'),
        ),
        (
            'sub-{participant}/task-{task}_acq-{acquisition}',
            'sub-01',
            'task-carit_acq-x',
            RunKey('01', '', 'carit', acquisition='x'),
        ),
    ],
)
def test_patterns(tmp_path, pattern, session, run, key):
    folder = make_surfaces(tmp_path, session)
    made = make_run(tmp_path, run, session=session)
    make_run(tmp_path, 'tfMRI_OTHER_PA', session=session)
    found = find_preprocessed([tmp_path], key, pattern=parse_pattern(pattern))
    assert found.series.parent == made
    name = f'{session}.L.midthickness.32k_fs_LR.surf.gii'
    assert found.anatomy.midthickness[0] == folder / name


def test_a_pattern_is_no_regular_expression_and_leaves_no_folder(tmp_path):
    make_surfaces(tmp_path, 'a.b')
    make_run(tmp_path, session='a.b')
    key = RunKey('b', '', 'carit')
    found = find_preprocessed([tmp_path], key, pattern=parse_pattern('a.{participant}'))
    assert found.root == tmp_path
    with pytest.raises(InputError, match=r'a\+b/MNINonLinear'):
        find_preprocessed([tmp_path], key, pattern=parse_pattern('a+{participant}'))
    with pytest.raises(InputError, match='no preprocessed time series'):
        find_preprocessed([tmp_path / 'a.b'], key, pattern=parse_pattern('*{participant}'))


def test_a_label_that_the_run_lacks_fits_nothing(tmp_path):
    make_surfaces(tmp_path, 'sub-01_')
    make_run(tmp_path, session='sub-01_')
    with pytest.raises(InputError, match='sub-01_<session>/MNINonLinear'):
        find_preprocessed(
            [tmp_path],
            RunKey('01', '', 'carit'),
            pattern=HcpPattern('sub-{participant}_{session}'),
        )


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('', 'a part of it is empty'),
        ('{participant}/', 'a part of it is empty'),
        ('/{participant}', 'a part of it is empty'),
        ('../{participant}', "'..' is no name"),
        ('{participant}/..', "'..' is no name"),
        ('a/{participant}/b', 'more than one "/"'),
        ('{participant}/{who}', '{who} is not known'),
        ('{participant}/{}', '{} is not known'),
        ('{participant}/{task', 'its braces do not fit'),
        ('{participant}/{task!r}', 'its braces do not fit'),
        ('{participant}/{{x}}', 'its braces do not fit'),
        ('{session}', 'must hold {participant}'),
        ('{participant.__class__}', '{participant.__class__} is not known'),
    ],
)
def test_patterns_that_cannot_be(text, reason):
    with pytest.raises(UsageError, match=re.escape(reason)):
        parse_pattern(text)


@pytest.mark.parametrize('ending', ['.json', '.dtseries.json'])
def test_a_json_file_beside_the_series(tmp_path, ending):
    make_surfaces(tmp_path)
    run = make_run(tmp_path)
    found = find_preprocessed([tmp_path], KEY)
    assert found.sidecars == ()
    path = found.series.with_name(found.series.name.removesuffix('.dtseries.nii') + ending)
    touch(path)
    touch(run / 'other.json')
    assert find_preprocessed([tmp_path], KEY).sidecars == (path,)
    assert path in find_preprocessed([tmp_path], KEY).files
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=re.escape(f'{path} is no file that can be read')):
        find_preprocessed([tmp_path], KEY)
