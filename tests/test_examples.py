"""The model files of docs/examples are models, and the page beside them explains them."""

from pathlib import Path

import pytest

from ketbids.model import load_model

EXAMPLES = Path(__file__).parents[1] / 'docs' / 'examples'


@pytest.mark.parametrize('path', sorted(EXAMPLES.glob('*.json')), ids=lambda path: path.name)
def test_examples_load_and_are_explained(path):
    model = load_model(path)
    page = (EXAMPLES / 'README.md').read_text(encoding='utf-8')
    assert path.name in page
    for analysis in model.analyses:
        assert f'`{analysis.name}`' in page
    for contrast in model.run.contrasts:
        assert f'`{contrast.name}`' in page


def test_the_stop_signal_study_asks_for_what_the_data_have():
    model = load_model(EXAMPLES / 'stopsignal.json')
    assert model.tasks == ('stopsignal',)
    assert [condition.where['trial_type'] for condition in model.run.conditions] == [
        ('go',),
        ('succesful_stop',),
        ('unsuccesful_stop',),
    ]
    assert model.run.contrasts[0].weights == {'succesfulStop': 1.0, 'go': -1.0}
    assert all(a.session is None and a.difference is None for a in model.analyses)


def test_trial_types_of_the_model_occur_in_the_data(shared):
    from ketbids.demo.source import read_events

    model = load_model(EXAMPLES / 'stopsignal.json')
    folder = shared / 'data' / 'ds002790_piop2'
    found: set[str] = set()
    for path in sorted(folder.glob('sub-000*/func/*_events.tsv')):
        found |= set(read_events(path)[0]['trial_type'])
    assert found == {name for c in model.run.conditions for name in c.where['trial_type']}
