"""Which of the maps that are there a group may use."""

import json
from dataclasses import replace

import pytest

from ketbids.cli.planning import available_maps, scanned_visits
from ketbids.errors import InputError
from ketbids.io.files import write_json
from ketbids.model import load_model
from tests.io.trees import touch
from tests.workflows.studies import settings

END = 'space-fsLR_den-{}_contrast-nogoVsGo_stat-effect_statmap.dscalar.nii'


@pytest.fixture
def group(dataset):
    """Put maps into the output folder; gives those that a filter leaves."""

    def run(*maps, filters=None):
        for visit, density in maps:
            path = dataset / 'out' / 'sub-01' / 'func' / f'{visit}_{END.format(density)}'
            touch(path)
            record = dataset / 'out' / 'logs' / 'records' / f'{visit}.json'
            write_json(record, {'Fingerprint': 'x', 'Outputs': {'y': 1}})
        made = settings(dataset, 'group')
        if filters is not None:
            path = dataset / 'filter.json'
            path.write_text(json.dumps({'bold': filters}))
            made = replace(made, paths=replace(made.paths, bids_filter_file=path))
        return available_maps(made, load_model(), [])

    return run


def test_an_acquisition_is_part_of_the_visit(group):
    maps = group(('sub-01_task-carit_acq-seq', '91k'))
    assert maps[['participant_id', 'acquisition']].values.tolist() == [['01', 'seq']]


def test_two_acquisitions_of_a_session(group):
    two = [(f'sub-01_task-carit_acq-{acq}', '91k') for acq in ('mb3', 'seq')]
    with pytest.raises(
        InputError, match=r'acq-mb3.* and .*acq-seq.* are maps of one contrast'
    ) as c:
        group(*two)
    assert '--bids-filter-file and {"bold": {"acquisition": "mb3"}}' in str(c.value)
    for value in ('mb3', 'seq'):
        assert group(*two, filters={'acquisition': value})['acquisition'].tolist() == [value]


def test_two_densities_of_a_session(group):
    two = [('sub-01_task-carit', density) for density in ('91k', '170k')]
    with pytest.raises(InputError, match=r'"density": "170k"'):
        group(*two)
    assert group(*two, filters={'density': '91k'})['density'].tolist() == ['91k']


def test_the_filter_leaves_nothing(group):
    with pytest.raises(InputError, match='No contrast map is left'):
        group(('sub-01_task-carit', '91k'), filters={'subject': '02'})
    # What tells runs apart says nothing of maps of a whole visit.
    assert len(group(filters={'run': '2', 'direction': 'LR'})) == 1


def test_visits_were_scanned_if_there_are_events_images_or_maps(dataset, group):
    group(('sub-01_task-carit', '91k'))
    for who, name in (('02', 'events.tsv'), ('03', 'bold.nii.gz'), ('04', 'sbref.nii.gz')):
        touch(dataset / 'bids' / f'sub-{who}' / 'func' / f'sub-{who}_task-carit_{name}')
    (dataset / 'bids' / 'sub-05').mkdir()
    touch(dataset / 'out' / 'sub-05' / 'func' / f'sub-05_task-carit_{END.format("91k")}')
    made, model = settings(dataset, 'group'), load_model()
    maps = available_maps(made, model, [])
    found = scanned_visits(made, model, maps)
    # sub-05 has a map of a visit that the participant level did not finish.
    assert found.to_dict('split')['data'] == [
        ['01', '', 'yes'],
        ['02', '', 'no'],
        ['03', '', 'no'],
        ['05', '', 'no'],
    ]
    some = replace(made, selection=replace(made.selection, participants=('02', '05')))
    assert scanned_visits(some, model, maps)['participant_id'].tolist() == ['02', '05']
