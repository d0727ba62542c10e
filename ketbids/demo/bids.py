"""The tables of the synthetic study: participants, scores, trials, and their dictionaries."""

from typing import Any

import pandas as pd

from ketbids.demo.sample import Sample
from ketbids.demo.task import DURATION, WINDOW, draw_events
from ketbids.demo.tree import TASK, Tree
from ketbids.demo.truth import Planted
from ketbids.io.cifti import write_maps
from ketbids.io.files import write_json, write_text
from ketbids.io.tables import write_table

__all__ = ['write_tables']

_BIDS_VERSION = '1.10.0'

_README = """\
# A synthetic longitudinal Go/NoGo study

No person took part in this study: everything here was computed by `ketbids-demo`. It has the
shape of a study of treatment-resistant depression (TRD): patients were scanned before (TP1),
24 hours after the first (TP2) and after the last (TP3) of a series of treatments, healthy
controls (HC) at TP1 only. The Hamilton score (HDRS) of each visit is in the sessions tables, with
the times of the scan and of the infusion before it.

The task is a Go/NoGo task: a press within 0.8 s after the onset of a stimulus belongs to its
trial. Preprocessed runs are in `../derivatives/hcp` as the HCP pipelines leave them; there are
no raw images. What is planted in the data is in `../truth.json`; whom to leave out, and why, in
`../exclusions.tsv`.
"""

_PARTICIPANTS = {
    'group': {
        'Description': 'Group',
        'Levels': {'HC': 'healthy control', 'TRD': 'treatment-resistant depression'},
    },
    'age': {'Description': 'Age at the first visit', 'Units': 'year'},
    'sex': {'Description': 'Sex', 'Levels': {'F': 'female', 'M': 'male'}},
}

_SESSIONS = {
    'session_id': {
        'Description': 'Visit',
        'Levels': {
            'ses-TP1': 'before treatment',
            'ses-TP2': '24 hours after the first treatment',
            'ses-TP3': '24 to 72 hours after the last treatment',
        },
    },
    'acq_time': {'Description': 'Start of the scan; all dates of a participant are shifted'},
    'infusion_time': {
        'Description': 'Last infusion before the visit; n/a before treatment and for controls'
    },
    'hdrs': {
        'LongName': 'Hamilton Depression Rating Scale, 17 items',
        'Description': 'Sum score, 0 to 52; n/a for controls',
    },
}

_EVENTS = {
    'TaskName': TASK,
    'onset': {'Description': 'Onset of the stimulus after the first volume', 'Units': 's'},
    'duration': {'Description': f'Duration of the stimulus, {DURATION} s', 'Units': 's'},
    'trial_type': {
        'Description': 'What the stimulus asks for',
        'Levels': {'go': 'press the button', 'nogo': 'do not press the button'},
    },
    'response_time': {
        'Description': (
            'Time of the press after the onset; negative before the stimulus, n/a without a '
            f'press. A press belongs to the trial from 0 to {WINDOW} s.'
        ),
        'Units': 's',
    },
}


def write_tables(tree: Tree, planted: Planted, sample: Sample, n_volumes: int) -> None:
    """Write the BIDS dataset, the exclusions, and the planted maps."""
    write_json(
        tree.bids / 'dataset_description.json',
        {
            'Name': 'Synthetic longitudinal Go/NoGo study',
            'BIDSVersion': _BIDS_VERSION,
            'DatasetType': 'raw',
            'License': 'CC0',
            'Authors': ['ketbids-demo'],
            'GeneratedBy': [_generator()],
        },
    )
    write_text(tree.bids / 'README', _README)
    people = sample.participants
    table = pd.DataFrame(
        {
            'participant_id': [f'sub-{p.label}' for p in people],
            'group': [p.group for p in people],
            'age': pd.array([p.age for p in people], dtype='Int64'),
            'sex': [p.sex for p in people],
        }
    )
    write_table(tree.bids / 'participants.tsv', table)
    write_json(tree.bids / 'participants.json', _PARTICIPANTS)
    write_json(tree.bids / f'task-{TASK}_events.json', _EVENTS)
    for person in people:
        scores = pd.array([person.hdrs.get(s) for s in person.sessions], dtype='Int64')
        sessions = pd.DataFrame(
            {
                'session_id': [f'ses-{s}' for s in person.sessions],
                'acq_time': [person.scanned[s] for s in person.sessions],
                'infusion_time': [person.infused.get(s) for s in person.sessions],
                'hdrs': scores,
            }
        )
        write_table(tree.sessions(person.label), sessions)
        write_json(tree.sessions(person.label).with_suffix('.json'), _SESSIONS)
    for person, session in sample.runs:
        key = (person.label, session)
        regular = key == sample.without_incorrect_go
        write_table(tree.events(*key), draw_events(planted.seed, *key, n_volumes, regular))
    _write_beside(tree, planted, sample)


def _write_beside(tree: Tree, planted: Planted, sample: Sample) -> None:
    write_json(
        tree.hcp / 'dataset_description.json',
        {
            'Name': 'Synthetic runs as the HCP pipelines leave them',
            'BIDSVersion': _BIDS_VERSION,
            'DatasetType': 'derivative',
            'GeneratedBy': [_generator()],
        },
    )
    excluded = [] if sample.excluded is None else [sample.excluded]
    exclusions = pd.DataFrame(
        {
            'participant_id': [f'sub-{label}' for label in excluded],
            'session_id': [None] * len(excluded),
            'run': [None] * len(excluded),
            'reason': ['artefacts of head movement remain after cleaning'] * len(excluded),
        }
    )
    write_table(tree.exclusions, exclusions)
    write_maps(
        tree.truth_maps,
        {
            'NoGo - Go at TP1 (percent)': planted.network,
            'missing of it at TP3 (percent)': planted.decrease,
            'change with remission (profile)': planted.precentral,
        },
        planted.brain.models,
    )


def _generator() -> dict[str, Any]:
    return {
        'Name': 'ketbids-demo',
        'Description': 'Simulation; no person took part',
    }
