"""The sink: entities in, paths out, with sidecars, whole or not at all."""

import json
from pathlib import Path

import pytest

from ketbids.interfaces.bids import DerivativesDataSink
from ketbids.io.surfaces import write_surface
from ketbids.workflows.outputs import RUN_ENTITIES, figure_sink, group_sink
from tests.stats.small_brain import LEFT, icosphere

SOURCE = '/data/bids/sub-01/ses-TP1/func/sub-01_ses-TP1_task-carit_run-2_events.tsv'
FUNC = 'sub-01/ses-TP1/func/sub-01_ses-TP1_task-carit_run-2'
MAP = {'space': 'fsLR', 'den': '91k', 'contrast': 'nogoVsGo', 'datatype': 'func'}
ANAT = {'space': 'fsLR', 'den': '32k', 'datatype': 'anat'}
ANAT |= {'dismiss_entities': [*RUN_ENTITIES, 'acquisition', 'task', 'suffix']}


def put_content(path, text):
    if path.name.endswith('.surf.gii'):  # niworkflows looks into surfaces
        write_surface(path, icosphere(0), LEFT)
    else:
        path.write_text(text)


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Sink one file or several; gives the paths below the output folder."""
    work, out = tmp_path / 'work', tmp_path / 'out'
    work.mkdir()
    out.mkdir()
    monkeypatch.chdir(work)

    def run(in_file, source=SOURCE, **inputs):
        names = in_file if isinstance(in_file, list) else [in_file]
        for number, name in enumerate(names):
            put_content(work / name, f'content {number}')
        files = [str(work / name) for name in names]
        interface = DerivativesDataSink(
            base_directory=str(out),
            source_file=source,
            in_file=files if isinstance(in_file, list) else files[0],
            **{'check_hdr': False, **inputs},
        )
        found = interface.run().outputs.out_file
        found = found if isinstance(found, list) else [found]
        return [str(Path(path).relative_to(out)) for path in found]

    run.out, run.work = out, work
    return run


TABLE = [
    (
        'x.dscalar.nii',
        {**MAP, 'stat': 'effect', 'suffix': 'statmap'},
        f'{FUNC}_space-fsLR_den-91k_contrast-nogoVsGo_stat-effect_statmap.dscalar.nii',
    ),
    (
        'x.dscalar.nii',
        {**MAP, 'stat': 'z', 'suffix': 'statmap', 'dismiss_entities': ['run']},
        'sub-01/ses-TP1/func/sub-01_ses-TP1_task-carit_space-fsLR_den-91k_contrast-nogoVsGo'
        '_stat-z_statmap.dscalar.nii',
    ),
    (
        'trials.tsv',
        {'datatype': 'func', 'desc': 'trials', 'suffix': 'events', 'extension': '.tsv'},
        f'{FUNC}_desc-trials_events.tsv',
    ),
    (
        'design.tsv',
        {'datatype': 'func', 'desc': 'design', 'suffix': 'timeseries', 'extension': '.tsv'},
        f'{FUNC}_desc-design_timeseries.tsv',
    ),
    (
        'any.L.midthickness.32k_fs_LR.surf.gii',
        {**ANAT, 'hemi': 'L', 'suffix': 'midthickness', 'extension': '.surf.gii'},
        'sub-01/ses-TP1/anat/sub-01_ses-TP1_hemi-L_space-fsLR_den-32k_midthickness.surf.gii',
    ),
    (
        'any.aparc.32k_fs_LR.dlabel.nii',
        {**ANAT, 'atlas': 'DesikanKilliany', 'suffix': 'dseg', 'extension': '.dlabel.nii'},
        'sub-01/ses-TP1/anat/sub-01_ses-TP1_space-fsLR_den-32k_atlas-DesikanKilliany'
        '_dseg.dlabel.nii',
    ),
    (
        'any_Atlas_hp0_clean.dtseries.nii',
        {'datatype': 'func', 'space': 'fsLR', 'den': '91k', 'desc': 'fix', 'suffix': 'bold'},
        f'{FUNC}_space-fsLR_den-91k_desc-fix_bold.dtseries.nii',
    ),
    (
        'metrics.json',
        {'datatype': 'func', 'desc': 'quality', 'suffix': 'metrics'},
        f'{FUNC}_desc-quality_metrics.json',
    ),
    (
        'motion.png',
        {'datatype': 'figures', 'desc': 'motion', 'suffix': 'timeseries', 'extension': '.png'},
        'sub-01/figures/sub-01_ses-TP1_task-carit_run-2_desc-motion_timeseries.png',
    ),
    (
        'run.json',
        {'datatype': 'figures', 'suffix': 'section', 'extension': '.json'},
        'sub-01/figures/sub-01_ses-TP1_task-carit_run-2_section.json',
    ),
]


@pytest.mark.parametrize(('name', 'entities', 'expected'), TABLE)
def test_paths(put, name, entities, expected):
    assert put(name, **entities) == [expected]
    assert (put.out / expected).read_bytes() == (put.work / name).read_bytes()


def test_without_sessions(put):
    source = '/data/bids/sub-01/func/sub-01_task-carit_events.tsv'
    assert put('x.dscalar.nii', source, **MAP, stat='t', suffix='statmap') == [
        'sub-01/func/sub-01_task-carit_space-fsLR_den-91k_contrast-nogoVsGo_stat-t_statmap'
        '.dscalar.nii'
    ]


STEM = 'sub-01_ses-TP1_task-carit_acq-seq'


@pytest.mark.parametrize(
    ('entities', 'expected'),
    [
        (
            {**MAP, 'stat': 'z', 'suffix': 'statmap'},
            f'func/{STEM}_rec-r_dir-LR_run-2_space-fsLR_den-91k_contrast-nogoVsGo_stat-z_statmap',
        ),
        (
            {**MAP, 'stat': 'z', 'suffix': 'statmap', 'dismiss_entities': [*RUN_ENTITIES]},
            f'func/{STEM}_space-fsLR_den-91k_contrast-nogoVsGo_stat-z_statmap',
        ),
    ],
)
def test_acquisition_direction_and_reconstruction(put, entities, expected):
    """Runs keep what tells them apart; the maps of a visit keep the acquisition."""
    source = f'/data/bids/sub-01/ses-TP1/func/{STEM}_rec-r_dir-LR_run-2_events.tsv'
    expected = f'sub-01/ses-TP1/{expected}.dscalar.nii'
    assert put('x.dscalar.nii', source, **entities) == [expected]


@pytest.mark.parametrize(
    ('name', 'entities'),
    [
        # A kind of file without a pattern, a wrong place, a forbidden combination.
        ('x.dscalar.nii', {**MAP, 'stat': 'z', 'suffix': 'unknown'}),
        ('x.dscalar.nii', {**MAP, 'stat': 'z', 'suffix': 'statmap', 'datatype': 'dwi'}),
        ('x.surf.gii', {**ANAT, 'hemi': 'L', 'suffix': 'smoothwm', 'extension': '.surf.gii'}),
        ('x.txt', {**MAP, 'stat': 'z', 'suffix': 'statmap', 'extension': '.txt'}),
    ],
)
def test_what_has_no_pattern_is_refused(put, name, entities):
    with pytest.raises(ValueError, match='Could not build path'):
        put(name, **entities)
    assert list(put.out.rglob('*')) == []


def test_lists_go_with_lists(put):
    found = put(
        ['a.dscalar.nii', 'b.dscalar.nii'],
        **{**MAP, 'contrast': ['correctGo', 'nogoVsGo']},
        stat='z',
        suffix='statmap',
        meta_dict={'Sources': ['bids:raw:x']},
        sidecars=[{'Contrast': 'correctGo'}, {'Contrast': 'nogoVsGo', 'Sources': ['other']}],
    )
    assert found == [
        f'{FUNC}_space-fsLR_den-91k_contrast-{name}_stat-z_statmap.dscalar.nii'
        for name in ('correctGo', 'nogoVsGo')
    ]
    for number, expected in enumerate(
        [
            {'Sources': ['bids:raw:x'], 'Contrast': 'correctGo'},
            {'Sources': ['other'], 'Contrast': 'nogoVsGo'},
        ]
    ):
        path = put.out / found[number]
        assert path.read_text() == f'content {number}'
        sidecar = path.with_name(path.name.replace('.dscalar.nii', '.json'))
        assert json.loads(sidecar.read_text()) == expected


def test_only_files_with_metadata_have_sidecars(put):
    entities = {'datatype': 'figures', 'suffix': 'section', 'extension': '.json'}
    put('run.json', **entities, meta_dict={'a': 1})
    put('motion.png', datatype='figures', desc='motion', suffix='timeseries', extension='.png')
    assert sorted(path.suffix for path in put.out.rglob('sub-01_*')) == ['.json', '.png']


def test_nothing_is_left_over(put):
    put('x.dscalar.nii', **MAP, stat='z', suffix='statmap', meta_dict={'a': 1})
    assert [path for path in (put.work / 'stage').rglob('*') if path.is_file()] == []
    assert sorted(p.name.split('_')[-1] for p in put.out.rglob('*') if p.is_file()) == [
        'statmap.dscalar.nii',
        'statmap.json',
    ]


def test_a_repeat_replaces(put):
    entities = {**MAP, 'stat': 'z', 'suffix': 'statmap'}
    (path,) = put('x.dscalar.nii', **entities)
    (put.out / path).write_text('old')
    assert put('x.dscalar.nii', **entities) == [path]
    assert (put.out / path).read_text() == 'content 0'


LINK = {'link': True, **ANAT, 'hemi': 'L', 'suffix': 'pial', 'extension': '.surf.gii'}


def test_links(put):
    (path,) = put('x.surf.gii', **LINK, meta_dict={'a': 1}, sidecars=[{'b': 2}])
    assert path == 'sub-01/ses-TP1/anat/sub-01_ses-TP1_hemi-L_space-fsLR_den-32k_pial.surf.gii'
    assert (put.out / path).readlink() == Path('../../../..', put.work.name, 'x.surf.gii')
    sidecar = put.out / path.replace('.surf.gii', '.json')
    assert json.loads(sidecar.read_text()) == {'a': 1, 'b': 2, 'Storage': 'link'}


def test_links_replace_links_and_files_replace_links(put):
    (path,) = put('x.surf.gii', **LINK)
    assert put('y.surf.gii', **LINK) == [path]
    assert (put.out / path).readlink().name == 'y.surf.gii'
    before = (put.work / 'y.surf.gii').read_bytes()
    put('z.surf.gii', **{**LINK, 'link': False}, meta_dict={'Sources': ['z']})
    assert not (put.out / path).is_symlink()
    assert (put.work / 'y.surf.gii').read_bytes() == before


def test_a_link_replaces_no_file_and_leaves_its_sidecar(put):
    (path,) = put('x.surf.gii', **{**LINK, 'link': False}, meta_dict={'Sources': ['x']})
    assert put('y.surf.gii', **LINK, meta_dict={'Sources': ['y']}) == [path]
    assert not (put.out / path).is_symlink()
    sidecar = put.out / path.replace('.surf.gii', '.json')
    assert json.loads(sidecar.read_text()) == {'Sources': ['x']}


GROUP = [
    (
        'x.dscalar.nii',
        {'node': 'hcVsTrd', 'contrast': 'nogoVsGo', 'desc': 'pos', 'space': 'fsLR', 'den': '91k'}
        | {'stat': 'pfwe', 'suffix': 'statmap'},
        'group/node-hcVsTrd/node-hcVsTrd_contrast-nogoVsGo_desc-pos_space-fsLR_den-91k_stat-pfwe'
        '_statmap.dscalar.nii',
    ),
    (
        'x.dscalar.nii',
        {'node': 'hcVsTrd', 'contrast': 'nogoVsGo', 'space': 'fsLR', 'den': '91k'}
        | {'stat': 'coverage', 'suffix': 'statmap'},
        'group/node-hcVsTrd/node-hcVsTrd_contrast-nogoVsGo_space-fsLR_den-91k_stat-coverage'
        '_statmap.dscalar.nii',
    ),
    (
        'x.tsv',
        {'node': 'hcVsTrd', 'contrast': 'nogoVsGo', 'suffix': 'clusters'},
        'group/node-hcVsTrd/node-hcVsTrd_contrast-nogoVsGo_clusters.tsv',
    ),
    (
        'x.png',
        {'node': 'hcVsTrd', 'contrast': 'nogoVsGo', 'suffix': 'figure'},
        'group/node-hcVsTrd/node-hcVsTrd_contrast-nogoVsGo_figure.png',
    ),
    (
        'x.dlabel.nii',
        {'space': 'fsLR', 'den': '91k', 'atlas': 'Yeo7', 'suffix': 'dseg'},
        'group/group_space-fsLR_den-91k_atlas-Yeo7_dseg.dlabel.nii',
    ),
    (
        'x.surf.gii',
        {'space': 'fsLR', 'den': '91k', 'hemi': 'R', 'suffix': 'inflated'},
        'group/group_hemi-R_space-fsLR_den-91k_inflated.surf.gii',
    ),
    (
        'x.tsv',
        {'contrast': 'nogoVsGo', 'suffix': 'parcels'},
        'group/group_contrast-nogoVsGo_parcels.tsv',
    ),
]


@pytest.mark.parametrize(('name', 'entities', 'expected'), GROUP)
def test_paths_of_the_group(tmp_path, monkeypatch, name, entities, expected):
    monkeypatch.chdir(tmp_path)
    put_content(tmp_path / name, 'content')
    node = group_sink('ds', str(tmp_path / 'out'), in_file=str(tmp_path / name), **entities)
    assert node.interface.run().outputs.out_file == str(tmp_path / 'out' / expected)
    assert (tmp_path / 'out' / expected).is_file()


def test_as_a_node(tmp_path):
    """A node that runs again (sinks always do) gives the same path, and its inputs are kept."""
    out, source = tmp_path / 'out', tmp_path / 'motion.png'
    source.write_text('picture')
    expected = out / 'sub-01/figures/sub-01_ses-TP1_task-carit_run-2_desc-motion_timeseries.png'
    for _ in range(2):
        node = figure_sink('ds', str(out), SOURCE, desc='motion', suffix='timeseries')
        node.base_dir = str(tmp_path / 'work')
        node.inputs.in_file = str(source)
        assert node.run().outputs.out_file == str(expected)
        assert expected.read_text() == 'picture'
        assert node.inputs.base_directory == str(out)
        expected.unlink()
    assert source.is_file()
