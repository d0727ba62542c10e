"""Versions that the stages recorded."""

from ketbids.cli.versions import mixed_versions, recorded_versions
from ketbids.io.stages import write_record
from ketbids.workflows.stages import StageCommand
from tests.interfaces.hcp_checkout import Checkout


def record(folder, name, *, version='v5.0.0', **programs):
    write_record(
        folder / f'{name}.json',
        mark={},
        after={},
        version=version,
        command='script',
        outputs=[],
        programs=programs,
    )


def command(folder, session, name, *, todo):
    stage, _, label = name.partition('_')
    return StageCommand(
        session=session,
        stage=stage,
        label=label,
        command='script',
        todo=todo,
        why='',
        node=f'{session}.{name}',
        record=str(folder / f'{name}.json'),
    )


def test_versions_are_those_of_the_stages_that_count(tmp_path):
    record(tmp_path, 'PreFreeSurfer', FSL='6.0.7.1', FreeSurfer='6.0.1')
    record(tmp_path, 'fMRIVolume_task-a_run-1', FSL='6.0.7.1')
    record(tmp_path, 'ICAFIX_ICAFIX_ALL', FSL='6.0.9')
    (tmp_path / 'FreeSurfer.json').write_text('{')
    stages = {'PreFreeSurfer', 'FreeSurfer', 'fMRIVolume'}
    assert recorded_versions(tmp_path, stages) == {'FSL': '6.0.7.1', 'FreeSurfer': '6.0.1'}
    assert recorded_versions(tmp_path, {*stages, 'ICAFIX'})['FSL'] == ['6.0.7.1', '6.0.9']
    assert recorded_versions(tmp_path, set()) == {}
    assert recorded_versions(tmp_path / 'none', stages) == {}


def test_sessions_that_two_versions_would_make_are_told(tmp_path):
    hcp_dir = Checkout(tmp_path, 'v5.1.0').hcp_dir
    folders = {name: tmp_path / name for name in ('sub-01', 'sub-02', 'sub-03')}
    commands = []
    for name, folder in folders.items():
        version = 'v5.1.0' if name == 'sub-03' else 'v5.0.0'
        record(folder, 'PreFreeSurfer', version=version)
        record(folder, 'FreeSurfer', version='v4.8.0')  # to be done again: it does not count
        again = name != 'sub-02'
        commands += [
            command(folder, name, 'PreFreeSurfer', todo=False),
            command(folder, name, 'FreeSurfer', todo=again),
        ]
    (sentence,) = mixed_versions(commands, hcp_dir)
    assert sentence.startswith('sub-01 was begun with another version of the HCP pipelines')
    assert '(PreFreeSurfer with v5.0.0)' in sentence
    assert f'{hcp_dir} holds v5.1.0' in sentence
