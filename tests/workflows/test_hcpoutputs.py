"""Results of the HCP pipelines under BIDS names, from a small study folder."""

import json
from pathlib import Path

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.io.bids import RunKey
from ketbids.io.cifti import write_series
from ketbids.io.files import write_text
from ketbids.io.hcpinputs import AnatInputs, BoldInputs, HcpSession
from ketbids.io.hcpnames import SessionFolders
from ketbids.io.published import published, unpublish
from ketbids.workflows.hcpoutputs import (
    hcp_outputs_wf_name,
    init_hcp_outputs_wf,
    init_publishing_wf,
)
from ketbids.workflows.outputs import sink
from tests.interfaces.files import write_movement
from tests.io.fixtrees import ica_folder, metric
from tests.stats.small_brain import SmallBrain
from tests.workflows.studies import settings, touch

N = 5
ANATOMY = ('PreFreeSurfer', 'FreeSurfer', 'PostFreeSurfer')
SURFACE = (*ANATOMY, 'fMRIVolume', 'fMRISurface')
FIX = (*SURFACE, 'ICAFIX', 'PostFix')
MSMALL = (*FIX, 'MSMAll', 'DeDriftAndResample')
KINDS = ('white', 'midthickness', 'pial', 'inflated', 'very_inflated')
VERSIONS = {'FSL': '6.0.7.1'}


class Study:
    """A session with two runs, after all stages; settings fit."""

    def __init__(self, root: Path, session: str = 'TP1', **hcp) -> None:
        self.settings = settings(root, hcp=hcp)
        self.out = self.settings.paths.output_dir
        self.models, rng = SmallBrain(1).models, np.random.default_rng(0)
        keys = [RunKey('01', session, 'carit', str(n), direction='PA') for n in (1, 2)]
        levels = ['sub-01', *([f'ses-{session}'] if session else [])]
        raw = root.joinpath('bids', *levels, 'func')
        runs = tuple(BoldInputs(k, raw / f'{k}_bold.nii.gz', None, N, 0.8) for k in keys)
        self.session = HcpSession('01', session, AnatInputs((), (), '0.8'), runs)
        self.folders = SessionFolders(self.out / 'sourcedata' / 'hcp', self.session.name)
        name, mesh = self.session.name, self.folders.mesh32
        for hemi in 'LR':
            for kind in (*KINDS, 'sphere', *(f'{kind}_MSMAll' for kind in KINDS)):
                write_text(mesh / f'{name}.{hemi}.{kind}.32k_fs_LR.surf.gii', f'{hemi} {kind}')
        for kind in ('sulc', 'thickness', 'MyelinMap_BC', 'sulc_MSMAll'):
            write_text(mesh / f'{name}.{kind}.32k_fs_LR.dscalar.nii', kind)
        for kind in ('aparc', 'aparc.a2009s'):
            write_text(mesh / f'{name}.{kind}.32k_fs_LR.dlabel.nii', kind)
        for run in runs:
            folder = self.folders.results(run.name)
            touch(folder / 'Movement_Regressors.txt')
            write_movement(folder / 'Movement_Regressors.txt', N)
            for ending in ('', '_hp0_clean', '_MSMAll_hp0_clean'):
                data = rng.normal(1e4, 50, (N, len(self.models)))
                path = folder / f'{run.name}_Atlas{ending}.dtseries.nii'
                write_series(path, data, self.models, 0.8)
            for hemi in 'LR':
                ribbon = folder / 'RibbonVolumeToSurfaceMapping'
                metric(ribbon / f'{hemi}.goodvoxels.32k_fs_LR.func.gii', np.ones(42))
        group = self.folders.results('ICAFIX_ALL')
        ica_folder(group / 'ICAFIX_ALL_hp0.ica', n=4, noise=(1, 3))
        touch(group / f'{name}_ICAFIX_ALL_hp0_ICA_Classification_singlescreen.scene')

    def publish(self, done=FIX):
        workflow = init_hcp_outputs_wf(self.settings, self.session, done=done, versions=VERSIONS)
        workflow.config['execution'] = {'create_report': 'false', 'hash_method': 'timestamp'}
        workflow.run()
        return self.files()

    def files(self):
        found = (p for p in (self.out / 'sub-01').rglob('*') if p.is_symlink() or p.is_file())
        return sorted(path.relative_to(self.out).as_posix() for path in found)

    def json(self, ending):
        (path,) = (self.out / 'sub-01').rglob(f'*{ending}.json')
        return json.loads(path.read_text())

    def links(self):
        """Name of the source of each link, by the end of the link's name."""
        links = (p for p in (self.out / 'sub-01').rglob('*') if p.is_symlink())
        start = f'{self.session.name}_'
        return {path.name.removeprefix(start): path.resolve().name for path in links}


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def golden():
    return (Path(__file__).parents[1] / 'data' / 'hcp_outputs.txt').read_text().split()


def test_all_files(study):
    assert study.publish() == golden()
    tables = [name for name in golden() if '_desc-confounds_' in name or '_metrics.' in name]
    links = {name for name in golden() if not name.endswith('.json')} - set(tables)
    for name in links:
        link = study.out / name
        assert link.is_symlink()
        assert link.readlink().as_posix().startswith('../../../sourcedata/hcp/sub-01_ses-TP1/')
        sidecar = link.with_name(link.name.split('.')[0] + '.json')
        assert json.loads(sidecar.read_text())['Storage'] == 'link'
    listed = published(study.out, study.session.name)
    assert {path.relative_to(study.out).as_posix() for path in listed} == {
        *links, *(name for name in tables if not name.endswith('timeseries.json'))
    }  # fmt: skip


def test_links_lead_to_what_they_are_named_after(study):
    study.publish()
    links, start = study.links(), 'sub-01_ses-TP1.'
    names = {'white': 'white', 'veryinflated': 'very_inflated', 'sphere': 'sphere'}
    for suffix, kind in names.items():
        for hemi in 'LR':
            link = links[f'hemi-{hemi}_space-fsLR_den-32k_{suffix}.surf.gii']
            assert link == f'{start}{hemi}.{kind}.32k_fs_LR.surf.gii'
    stem = 'space-fsLR_den-32k'
    assert links[f'{stem}_myelinmap.dscalar.nii'] == f'{start}MyelinMap_BC.32k_fs_LR.dscalar.nii'
    assert links[f'{stem}_atlas-Destrieux_dseg.dlabel.nii'] == (
        f'{start}aparc.a2009s.32k_fs_LR.dlabel.nii'
    )
    run = 'task-carit_dir-PA_run-2'
    assert links[f'{run}_space-fsLR_den-0k_desc-fix_bold.dtseries.nii'] == (
        f'{run}_Atlas_hp0_clean.dtseries.nii'
    )


def test_a_series_says_what_was_done_with_it(study):
    study.publish()
    said = study.json('run-1_space-fsLR_den-0k_desc-fix_bold')
    assert said['RepetitionTime'] == 0.8
    assert said['TaskName'] == 'carit'
    assert said['SurfaceRegistration'] == 'MSMSulc'
    assert said['RawSources'] == [
        'bids:raw:sub-01/ses-TP1/func/sub-01_ses-TP1_task-carit_dir-PA_run-1_bold.nii.gz'
    ]
    top = 'bids::sourcedata/hcp/sub-01_ses-TP1/MNINonLinear/Results'
    run = 'task-carit_dir-PA_run-1'
    assert said['Sources'] == [f'{top}/{run}/{run}_Atlas_hp0_clean.dtseries.nii']
    assert said['SoftwareVersions']['FSL'] == '6.0.7.1'
    assert said['FIX'] == {
        'Method': 'pyfix',
        'Group': 'ICAFIX_ALL',
        'Runs': [run, 'task-carit_dir-PA_run-2'],
        'HighPass': '0',
        'Threshold': 10,
        'MotionRegression': False,
        'Components': f'{top}/ICAFIX_ALL/ICAFIX_ALL_hp0.ica',
        'Scene': f'{top}/ICAFIX_ALL/sub-01_ses-TP1_ICAFIX_ALL_hp0'
        '_ICA_Classification_singlescreen.scene',
    }


def test_metrics_of_a_run_are_of_its_group(study):
    study.publish()
    found = study.json('run-2_desc-quality_metrics')
    assert found['NumberOfVolumes'] == N
    assert found['FIX']['NumberOfNoiseComponents'] == 2
    assert found['FIX']['Group'] == 'ICAFIX_ALL'
    assert found['FIX']['Runs'] == ['task-carit_dir-PA_run-1', 'task-carit_dir-PA_run-2']
    assert found['GoodVoxelsCoverage'] == {'L': 1.0, 'R': 1.0}
    assert [Path(uri).name for uri in found['Sources']] == [
        'task-carit_dir-PA_run-2_Atlas.dtseries.nii',
        'task-carit_dir-PA_run-2_Atlas_hp0_clean.dtseries.nii',
        'Movement_Regressors.txt',
    ]
    columns = study.json('run-2_desc-confounds_timeseries')
    assert columns['rot_x']['Units'] == 'rad'
    assert columns['dvars_fix']['Units'] == 'arbitrary'


def test_without_fix(tmp_path):
    study = Study(tmp_path, fix='none')
    found = study.publish(SURFACE)
    assert not [name for name in found if 'desc-fix' in name]
    links = study.links()
    run = 'task-carit_dir-PA_run-1'
    name = f'{run}_space-fsLR_den-0k_bold.dtseries.nii'
    assert links[name] == f'{run}_Atlas.dtseries.nii'
    metrics = study.json('run-1_desc-quality_metrics')
    assert metrics['FIX'] is None
    assert metrics['NotAvailable']['FIX'] == 'FIX was not asked for (--fix none).'
    assert 'dvars_fix' not in study.json('run-1_desc-confounds_timeseries')


def test_fix_that_is_not_done_yet(study):
    study.publish(SURFACE)
    assert 'task-carit_dir-PA_run-1_space-fsLR_den-0k_bold.dtseries.nii' in study.links()
    metrics = study.json('run-1_desc-quality_metrics')
    assert metrics['NotAvailable']['FIX'] == 'The stage ICAFIX is not done.'


def test_msmall(tmp_path):
    study = Study(tmp_path, msmall=True)
    study.publish(MSMALL)
    links, run = study.links(), 'task-carit_dir-PA_run-1'
    assert links[f'{run}_space-fsLR_den-0k_desc-fixMSMAll_bold.dtseries.nii'] == (
        f'{run}_Atlas_MSMAll_hp0_clean.dtseries.nii'
    )
    stem = 'hemi-L_space-fsLR_den-32k'
    start = 'sub-01_ses-TP1.'
    assert links[f'{stem}_white.surf.gii'] == f'{start}L.white_MSMAll.32k_fs_LR.surf.gii'
    assert links[f'{stem}_sphere.surf.gii'] == f'{start}L.sphere.32k_fs_LR.surf.gii'
    # Maps on other surfaces are not shown beside these.
    assert links['space-fsLR_den-32k_sulc.dscalar.nii'].startswith(f'{start}sulc_MSMAll.')
    assert 'space-fsLR_den-32k_thickness.dscalar.nii' not in links
    assert study.json(f'{stem}_white')['SurfaceRegistration'] == 'MSMAll'
    series = study.json('run-1_space-fsLR_den-0k_desc-fixMSMAll_bold')
    assert series['SurfaceRegistration'] == 'MSMAll'


def test_anatomy_alone(study):
    found = study.publish(ANATOMY)
    assert found == [name for name in golden() if '/anat/' in name]


def test_without_sessions_and_t2w(tmp_path):
    study = Study(tmp_path, session='')
    (study.folders.mesh32 / 'sub-01.MyelinMap_BC.32k_fs_LR.dscalar.nii').unlink()
    found = study.publish()
    expected = [name.replace('ses-TP1/', '').replace('_ses-TP1', '') for name in golden()]
    assert found == [name for name in expected if 'myelinmap' not in name]
    link = study.out / 'sub-01/anat/sub-01_hemi-L_space-fsLR_den-32k_pial.surf.gii'
    assert link.readlink().as_posix().startswith('../../sourcedata/hcp/sub-01/')


@pytest.mark.parametrize(
    ('name', 'done', 'stage'),
    [
        ('fsaverage_LR32k/{s}.R.pial.32k_fs_LR.surf.gii', FIX, 'PostFreeSurfer'),
        ('fsaverage_LR32k/{s}.R.pial_MSMAll.32k_fs_LR.surf.gii', MSMALL, 'DeDriftAndResample'),
        ('Results/{r}/{r}_Atlas.dtseries.nii', FIX, 'fMRISurface'),
        ('Results/{r}/{r}_Atlas_hp0_clean.dtseries.nii', FIX, 'ICAFIX'),
        ('Results/{r}/Movement_Regressors.txt', FIX, 'fMRIVolume'),
    ],
)
def test_what_a_stage_should_have_made(study, name, done, stage):
    name = name.format(s=study.session.name, r=study.session.runs[1].name)
    (study.folders.atlas / name).unlink()
    with pytest.raises(InputError, match=f'is missing, although the stage {stage} is done') as e:
        study.publish(done)
    assert str(study.folders.atlas / name) in str(e.value)
    assert study.files() == []


def test_publishing_again_changes_nothing_and_files_of_others_stay(study, tmp_path):
    study.publish()
    before = {name: (study.out / name).read_bytes() for name in study.files()}
    # The participant level puts a surface of its own there.
    own = write_text(tmp_path / 'own.surf.gii', 'own')
    name = 'sub-01/ses-TP1/anat/sub-01_ses-TP1_hemi-L_space-fsLR_den-32k_midthickness'
    node = sink(
        'ds_own',
        str(study.out),
        str(tmp_path / 'sub-01' / 'ses-TP1' / 'func' / 'sub-01_ses-TP1_task-carit_events.tsv'),
        **{'in_file': str(own), 'hemi': 'L', 'space': 'fsLR', 'den': '32k', 'datatype': 'anat'},
        suffix='midthickness',
        extension='.surf.gii',
        dismiss_entities=['task'],
        meta_dict={'Sources': ['own']},
    )
    node.base_dir = str(tmp_path / 'work')
    node.run()
    midthickness, sidecar = study.out / f'{name}.surf.gii', study.out / f'{name}.json'
    source = study.folders.mesh32 / 'sub-01_ses-TP1.L.midthickness.32k_fs_LR.surf.gii'
    assert source.read_text() == 'L midthickness'
    assert not midthickness.is_symlink()
    study.publish()
    assert midthickness.read_text() == 'own'
    assert json.loads(sidecar.read_text()) == {'Sources': ['own']}
    changed = {f'{name}.surf.gii', f'{name}.json'}
    assert {n for n in before if (study.out / n).read_bytes() != before[n]} == changed
    unpublish(study.out, study.session.name)
    assert study.files() == sorted(changed)


def test_sessions_do_not_depend_on_each_other(study):
    workflow = init_publishing_wf(
        study.settings,
        [study.session],
        done={study.session.name: ANATOMY},
        versions={study.session.name: VERSIONS},
    )
    nodes = workflow.list_node_names()
    start = hcp_outputs_wf_name(study.session)
    assert start == 'sub_01_ses_TP1_outputs_wf'
    assert {name.split('.')[0] for name in nodes} == {start}
    assert f'{start}.anat_outputs_wf.ds_pial' in nodes
