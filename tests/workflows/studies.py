"""Settings, visits and plans to build graphs from; the files are empty."""

from pathlib import Path

from ketbids.io.bids import RunKey
from ketbids.io.inventory import RunFiles, Visit
from ketbids.io.preprocessed import Anatomy, PreprocessedRun
from ketbids.settings import (
    FirstLevelSettings,
    GroupSettings,
    HcpSettings,
    InputSettings,
    PathSettings,
    ResourceSettings,
    SelectionSettings,
    Settings,
)
from ketbids.workflows.group import AnalysisPlan


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def settings(root: Path, level: str = 'participant', **changes) -> Settings:
    """Settings with single fields changed, wherever they belong."""

    def section(kind, **values):
        return kind(**{name: changes.pop(name, value) for name, value in values.items()})

    made = Settings(
        level=level,
        paths=PathSettings(
            bids_dir=root / 'bids',
            output_dir=root / 'out',
            work_dir=root / 'work',
            model=root / 'model.json',
            derivatives=(root / 'hcp',),
        ),
        inputs=InputSettings(),
        hcp=HcpSettings(**changes.pop('hcp', {})),
        selection=SelectionSettings(),
        first_level=section(
            FirstLevelSettings,
            drop_volumes=0,
            smoothing_fwhm=5.0,
            hrf_model='spm',
            high_pass=0.005,
            smoothing_mode='added',
            smoother='native',
            noise_model='ar6',
        ),
        group=section(
            GroupSettings,
            analyses=(),
            permutations=100,
            seed=0,
            tails='two',
            min_coverage=1.0,
            engine='native',
            tfce='exact',
            joint='minp',
            connectivity=6,
            within_structure=False,
            atlases=(),
            leave_one_out=False,
        ),
        resources=section(ResourceSettings, nprocs=2, omp_nthreads=1, mem_mb=4000),
    )
    assert not changes, changes
    return made


def visit(
    root: Path, *, runs=('',), session='TP1', denoised=True, labels=True, participant='01'
) -> Visit:
    name = f'sub-{participant}' + (f'_ses-{session}' if session else '')
    folder = root / 'hcp' / name / 'MNINonLinear'

    def surfaces(kind):
        files = (f'fsaverage_LR32k/{name}.{h}.{kind}.32k_fs_LR.surf.gii' for h in 'LR')
        return tuple(touch(folder / file) for file in files)

    dlabel = touch(folder / f'fsaverage_LR32k/{name}.aparc.32k_fs_LR.dlabel.nii')
    anatomy = Anatomy(
        surfaces('midthickness'), surfaces('inflated'), dlabel if labels else None, '32k'
    )
    found = []
    for run in runs:
        key = RunKey(participant, session, 'carit', run)
        results = folder / 'Results' / str(key)
        preprocessed = PreprocessedRun(
            series=touch(
                results / f'{key}_Atlas{"_hp2000_clean" if denoised else ""}.dtseries.nii'
            ),
            confounds=touch(results / 'Movement_Regressors.txt'),
            anatomy=anatomy,
            origin='hcp',
            denoised=denoised,
            root=root / 'hcp',
        )
        levels = [f'sub-{participant}', *([f'ses-{session}'] if session else []), 'func']
        events = touch(root.joinpath('bids', *levels, f'{key}_events.tsv'))
        found.append(RunFiles(key, events, preprocessed))
    return Visit(participant, session, 'carit', tuple(found))


def plan(root: Path, name: str = 'meanHC', **changes):
    values = {
        'name': name,
        'contrast': 'nogoVsGo',
        'design_file': touch(root / 'plan' / f'{name}_design.tsv'),
        'excluded_file': touch(root / 'plan' / f'{name}_excluded.tsv'),
        'participants_file': touch(root / 'plan' / f'{name}_participants.tsv'),
        'maps_file': touch(root / 'plan' / 'maps_nogoVsGo.tsv'),
        'predictors': ('Intercept', 'age'),
        'weights': (1.0, 0.0),
        'scheme': 'flips',
        'midthickness': ((touch(root / 'l.surf.gii'), touch(root / 'r.surf.gii')),) * 3,
        'stamp': 'abc',
        'atlas': 'DesikanKilliany',
        'metadata': {'Analysis': 'words'},
    }
    return AnalysisPlan(**{**values, **changes})
