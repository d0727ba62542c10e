"""What is said of a statistic as a whole."""

from typing import Any

import pandas as pd

from ketbids.stats.clinical.results import Result
from ketbids.stats.clinical.rows import Sample
from ketbids.stats.clinical.specs import Outcome
from ketbids.stats.people import listing

__all__ = ['excluded_text', 'missing_summary', 'no_outcomes']


def missing_summary(sample: Sample, missing: pd.DataFrame) -> dict[str, Any]:
    """Count who is in the subset, who has all variables, and what was missing of how many.

    Parameters
    ----------
    sample : Sample
    missing : DataFrame
        From `missing_table`.
    """
    counts = {
        what: {
            'Participants': int(part['participant_id'].nunique()),
            'Visits': int(part['session_id'].notna().sum()),
        }
        for what, part in missing.drop_duplicates(
            ['missing', 'participant_id', 'session_id']
        ).groupby('missing')
    }
    return {
        'NParticipantsInSubset': len(sample.members),
        'NParticipantsWithAllVariables': len(sample.people),
        'Missing': {str(what): count for what, count in counts.items()},
    }


def excluded_text(missing: pd.DataFrame) -> str:
    """Name those who are excluded with all their visits; empty if nobody is.

    Parameters
    ----------
    missing : DataFrame
        From `missing_table`.
    """
    whole = missing[(missing['missing'] == 'excluded') & missing['session_id'].isna()]
    whole = whole.drop_duplicates('participant_id')
    if not len(whole):
        return ''
    told = ', '.join(
        f'{who} ({str(why).removeprefix("excluded: ")})'
        for who, why in zip(whole['participant_id'], whole['reason'], strict=True)
    )
    return f'Left out, as the exclusion list excludes all their visits: {told}.'


def no_outcomes(outcome: Outcome) -> Result:
    """Result where regions are asked for that no analysis found."""
    assert outcome.regions is not None
    names = listing(list(outcome.regions.selected_by))
    why = f'{names} selected no region (see the notes), so there is none to analyse.'
    return Result(tables={}, summary={'Outcomes': []}, methods='', warnings=(why,))
