"""Checks of a run's design as the fields of a sidecar, so that they can be collected."""

from collections.abc import Mapping
from typing import Any

__all__ = ['checks_record']


def checks_record(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Give the checks of a design, named as the fields of sidecars are.

    Parameters
    ----------
    plan : mapping
        What `BuildRunDesign` writes: ``checks``, ``tests``.

    Returns
    -------
    dict
        ``Regressors``, ``Contrasts``, ``Messages``: lists of dicts; ``Span``: s, None without
        trials. Numbers that are not known are None.
    """
    checks = plan['checks']
    span = checks['span']
    return {
        'Regressors': [
            {
                'Name': check['name'],
                'Trials': check['trials'],
                'VIF': _plain(check['vif']),
                'LargestCorrelation': _plain(check['correlation']),
                'CorrelatedWith': check['partner'] or None,
                'Level': check['level'],
                'Mark': check['mark'] or None,
            }
            for check in checks['regressors']
        ],
        'Contrasts': [
            {
                'Name': check['name'],
                'Test': plan['tests'].get(check['name'], 't'),
                'VIF': _plain(check['vif']),
                'Efficiency': _plain(check['efficiency']),
                'Level': check['level'],
                'Mark': check['mark'] or None,
            }
            for check in checks['contrasts']
        ],
        'Messages': [
            {'Level': message['level'], 'Text': message['text']} for message in checks['messages']
        ],
        'Span': None
        if span is None
        else {
            'FirstOnset': _plain(span['first']),
            'LastOnset': _plain(span['last']),
            'LastEnd': _plain(span['end']),
            'RunLength': _plain(span['length']),
        },
    }


def _plain(value: float | None) -> float | None:
    return None if value is None else float(f'{value:.6g}')
