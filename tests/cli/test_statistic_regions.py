"""Which parcels are outcomes of a statistic beside the regions that an analysis found."""

from dataclasses import replace

import pytest

from ketbids.stats.clinical.specs import Outcome, RegionChoice
from tests.cli.test_statistics import FOUND, FRONT, PARCELS, REGIONS, Group

DEEP = [('L_putamen', 'parcel', 'Subcortex', 'L_putamen')]
OTHER = [(name, 'parcel', 'Other', name) for name in ('R_precentral', 'area4')]
PRECENTRAL = 'remitterChange:R_precentral'


@pytest.fixture
def group(tmp_path):
    made = Group(tmp_path)
    made.regions(*PARCELS, FRONT, *DEEP, *OTHER)
    return made


def test_all_parcels_that_were_searched_are_one_family(group):
    group.select(FOUND)
    assert group(REGIONS) == {}
    table = group.table('regions', 'correlations').set_index('outcome')
    searched = ['R_precentral', 'L_precentral', 'L_cuneus', 'R_cuneus', 'L_putamen']
    assert list(table.index) == [PRECENTRAL, 'R_precentral', 'front', *searched[1:]]
    assert set(table.loc[searched, 'family']) == {'parcels of DesikanKilliany and Subcortex'}
    assert table.loc['front', 'family'] == 'a-priori regions'
    least = table.loc[searched, 'p'].idxmin()
    assert table.loc[least, 'p_holm'] == pytest.approx(min(1, 5 * table.loc[least, 'p']))
    families = group.table('regions', 'families').set_index('outcome')
    assert families.loc['L_putamen', 'n_tests'] == 5
    assert set(group.table('regions', 'values')['outcome']) == {
        PRECENTRAL,
        'R_precentral',
        'front',
    }


def test_nothing_found_and_no_parcel_is_an_outcome(group):
    group.select()
    assert group(REGIONS) == {}
    assert group.table('regions', 'correlations')['outcome'].tolist() == ['front']


def test_parcels_of_two_atlases_with_one_name(group):
    group.select(FOUND)
    choice = RegionChoice('nogoVsGo', selected_by=('remitterChange',), atlas='Other')
    assert group(replace(REGIONS, outcome=Outcome(regions=choice))) == {}
    table = group.table('regions', 'correlations').set_index('outcome')
    assert table.loc[PRECENTRAL, 'companion'] == 'DesikanKilliany:R_precentral'
    assert table.loc['Other:R_precentral', 'family'] == 'parcels of Other'
    assert table.loc['area4', 'family'] == 'parcels of Other'
    assert set(group.table('regions', 'values')['outcome']) >= {'Other:R_precentral', 'area4'}
