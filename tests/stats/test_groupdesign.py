"""Group designs of a small made-up study, worked out by hand."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.groupdesign import (
    GroupDesign,
    build_group_design,
    build_people,
    describe,
    formula_names,
)

DERIVED = {'remitter': 'hdrs_TP3 <= 7', 'hdrs_change': '100 * (hdrs_TP1 - hdrs_TP3) / hdrs_TP1'}
TWO_GROUPS = {'group[TRD]': 1.0, 'group[HC]': -1.0}
#      id    group  age     sex  HDRS at TP1, TP2, TP3 (None: no visit)
STUDY = [
    ('c1', 'HC', 30.0, 'F', ()),
    ('c2', 'HC', 34.0, 'M', ()),
    ('c3', 'HC', None, 'F', ()),  # no age
    ('c4', 'HC', 38.0, 'M', ()),
    ('c5', 'HC', 42.0, 'F', ()),
    ('c6', 'HC', 36.0, 'F', ()),
    ('p1', 'TRD', 20.0, 'F', (20, 12, 5)),
    ('p2', 'TRD', 40.0, 'M', (22, 20, 15)),
    ('p3', 'TRD', 50.0, 'F', (18, 14, None)),  # left before TP3
    ('p4', 'TRD', 30.0, 'M', (25, 10, 7)),
    ('p5', 'TRD', 60.0, 'F', (24, 20, 18)),  # on the exclusion list
    ('p6', 'TRD', 35.0, 'F', (20, 18, 12)),
    ('p7', 'TRD', 45.0, 'M', (21, 15, 6)),
    ('p8', 'TRD', 25.0, 'M', (19, 19, 8)),
    ('p9', None, 33.0, 'M', (19, 19, 8)),  # no group
]


@pytest.fixture
def participants() -> pd.DataFrame:
    rows = [(f'sub-{who}', group, age, sex) for who, group, age, sex, _ in STUDY]
    return pd.DataFrame(rows, columns=['participant_id', 'group', 'age', 'sex'])


@pytest.fixture
def sessions() -> pd.DataFrame:
    rows = [
        (f'sub-{who}', f'ses-TP{visit}', score)
        for who, *_, scores in STUDY
        for visit, score in enumerate(scores, start=1)
        if score is not None
    ]
    return pd.DataFrame(rows, columns=['participant_id', 'session_id', 'hdrs'])


@pytest.fixture
def maps() -> pd.DataFrame:
    rows = [
        (f'sub-{who}', f'ses-TP{visit}', f'/out/{who}_TP{visit}.nii')
        for who, *_, scores in STUDY
        for visit in ((1, 2, 3) if scores else (1,))
        if not scores or scores[visit - 1] is not None
    ]
    return pd.DataFrame(rows, columns=['participant_id', 'session_id', 'path'])


@pytest.fixture
def people(participants: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    return build_people(participants, sessions, ['hdrs'], {'group': ['HC', 'TRD']})


@pytest.fixture
def excluded() -> pd.DataFrame:
    return pd.DataFrame(
        [('sub-p5', None, None, 'artefacts left after FIX')],
        columns=['participant_id', 'session_id', 'run', 'reason'],
    )


Build = Callable[..., GroupDesign]


@pytest.fixture
def build(maps: pd.DataFrame, people: pd.DataFrame, excluded: pd.DataFrame) -> Build:
    def call(**options: Any) -> GroupDesign:
        given = {
            'maps': maps,
            'people': people,
            'derived': DERIVED,
            'excluded': excluded,
            'contrast': {'1': 1.0},
        }
        given |= options
        return build_group_design(given.pop('maps'), given.pop('people'), **given)

    return call


def test_people_have_scores_by_session(people: pd.DataFrame) -> None:
    assert list(people.columns) == ['group', 'age', 'sex', 'hdrs_TP1', 'hdrs_TP2', 'hdrs_TP3']
    assert people.loc['p2', ['hdrs_TP1', 'hdrs_TP2', 'hdrs_TP3']].tolist() == [22, 20, 15]
    assert pd.isna(people.loc['p3', 'hdrs_TP3'])
    assert people.loc['c1', ['hdrs_TP1', 'hdrs_TP3']].isna().all()


def test_people_reads_texts_for_missing(participants: pd.DataFrame) -> None:
    people = build_people(participants.fillna({'group': 'n/a'}), levels={'group': ['HC', 'TRD']})
    assert people['group'].isna().tolist() == [who == 'p9' for who in people.index]
    assert people['age'].dtype == 'float64'


def test_people_refuses_what_is_ambiguous(
    participants: pd.DataFrame, sessions: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match='more than one row of c1'):
        build_people(pd.concat([participants, participants.iloc[:1]]))
    with pytest.raises(InputError, match='more than one row of p1, TP1'):
        build_people(participants, pd.concat([sessions, sessions.iloc[:1]]), ['hdrs'])
    with pytest.raises(InputError, match="group of sub-p1 is 'TRD', which is not one of HC, trd"):
        build_people(participants, levels={'group': ['HC', 'trd']})
    with pytest.raises(InputError, match='has a column hdrs_TP1'):
        build_people(participants.assign(hdrs_TP1=1), sessions, ['hdrs'])
    with pytest.raises(InputError, match='no column session_id'):
        build_people(participants, sessions.drop(columns='session_id'), ['hdrs'])


def test_absent_score_matters_only_where_it_is_needed(
    participants: pd.DataFrame, sessions: pd.DataFrame, build: Build
) -> None:
    people = build_people(participants, sessions.drop(columns='hdrs'), ['hdrs'])
    assert len(build(people=people, formula='1', session='TP1', subset="group == 'HC'").rows) == 6
    with pytest.raises(InputError, match='no column hdrs_TP3'):
        build(
            people=people,
            formula='0 + remitter',
            contrast={'remitter[yes]': 1},
            difference=('TP1', 'TP3'),
        )


def test_one_sample_with_covariates(build: Build) -> None:
    design = build(formula='1 + age + sex', session='TP1', subset="group == 'HC'")
    assert design.names == ('Intercept', 'age', 'sex[T.M]')
    # Ages 30, 34, 38, 42, 36 (mean 36); two of five are M; c3 has no age.
    expected = [[1, -6, -0.4], [1, -2, 0.6], [1, 2, 0.6], [1, 6, -0.4], [1, 0, -0.4]]
    np.testing.assert_allclose(design.matrix.to_numpy(), expected, atol=1e-12)
    assert design.rows['participant_id'].tolist() == [f'sub-c{i}' for i in (1, 2, 4, 5, 6)]
    assert design.rows['path'].tolist() == [f'/out/c{i}_TP1.nii' for i in (1, 2, 4, 5, 6)]
    assert list(design.rows.columns) == [
        'participant_id',
        'session_id',
        'path',
        'Intercept',
        'age',
        'sex[T.M]',
    ]
    assert design.contrast.tolist() == [1, 0, 0]
    assert design.scheme == 'flips'
    assert design.exclusions.fillna('').to_numpy().tolist() == [
        ['sub-c3', '', 'age is missing'],
        ['sub-p9', '', 'not known whether in the subset: group is missing'],
    ]
    assert describe(design, 'nogoVsGo') == (
        'One-sample t-test on 5 participants: mean of nogoVsGo at TP1, adjusted for age and sex.'
    )
    assert design.notes == (
        'age and sex are demeaned over the 5 participants of this analysis: '
        'the mean is that of a participant with their average.',
    )


def test_two_samples(build: Build) -> None:
    design = build(
        formula='0 + group + age + sex',
        contrast=TWO_GROUPS,
        session='TP1',
        subset="group in ['HC', 'TRD']",
        center=['age', 'sex'],
    )
    assert design.names == ('group[HC]', 'group[TRD]', 'age', 'sex[T.M]')
    assert design.contrast.tolist() == [-1, 1, 0, 0]
    assert design.scheme == 'permutations'
    assert design.counts == {'HC': 5, 'TRD': 7}
    ages = np.array([30, 34, 38, 42, 36, 20, 40, 50, 30, 35, 45, 25.0])
    male = np.array([0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 1.0])
    hc = np.repeat([1.0, 0.0], [5, 7])
    # Over all rows of the analysis, never within a group.
    expected = np.column_stack([hc, 1 - hc, ages - ages.mean(), male - male.mean()])
    np.testing.assert_allclose(design.matrix.to_numpy(), expected, atol=1e-12)
    assert 'excluded: artefacts left after FIX' in design.exclusions['reason'].tolist()
    assert describe(design, 'nogoVsGo') == (
        'Two-sample t-test on 12 participants (5 with group HC, 7 with group TRD): nogoVsGo at '
        'TP1, group TRD minus HC, adjusted for age and sex.'
    )


def test_paired(build: Build) -> None:
    design = build(formula='1', difference=('TP1', 'TP3'), subset="group == 'TRD'")
    assert design.rows['participant_id'].tolist() == [f'sub-p{i}' for i in (1, 2, 4, 6, 7, 8)]
    assert design.rows.loc[
        0, ['session_id', 'path', 'minus_session_id', 'minus_path']
    ].tolist() == [
        'ses-TP1',
        '/out/p1_TP1.nii',
        'ses-TP3',
        '/out/p1_TP3.nii',
    ]
    assert (design.matrix == 1).all(axis=None)
    assert design.matrix.shape == (6, 1)
    assert design.exclusions.fillna('').to_numpy().tolist() == [
        ['sub-p3', 'ses-TP3', 'no map'],
        ['sub-p5', '', 'excluded: artefacts left after FIX'],
        ['sub-p9', '', 'not known whether in the subset: group is missing'],
    ]
    assert describe(design, 'nogoVsGo') == (
        'Paired t-test on 6 participants: nogoVsGo at TP1 minus TP3.'
    )


def test_change_by_derived_factor(build: Build) -> None:
    design = build(
        formula='0 + remitter + age',
        contrast={'remitter[yes]': 1, 'remitter[no]': -1},
        difference=('TP1', 'TP3'),
        subset="group == 'TRD'",
        center=['age'],
    )
    # p1 (5), p4 (7) and p7 (6) remit; ages 20, 40, 30, 35, 45, 25 have mean 32.5.
    yes = np.array([1, 0, 1, 0, 1, 0.0])
    age = np.array([-12.5, 7.5, -2.5, 2.5, 12.5, -7.5])
    np.testing.assert_allclose(
        design.matrix.to_numpy(), np.column_stack([1 - yes, yes, age]), atol=1e-12
    )
    assert design.names == ('remitter[no]', 'remitter[yes]', 'age')
    assert design.contrast.tolist() == [-1, 1, 0]
    assert ['sub-p3', '', 'remitter is unknown (hdrs_TP3 missing)'] in (
        design.exclusions.fillna('').to_numpy().tolist()
    )
    assert describe(design, 'nogoVsGo') == (
        'Two-sample t-test on 6 participants (3 with remitter no, 3 with remitter yes): nogoVsGo '
        'at TP1 minus TP3, remitter yes minus no, adjusted for age.'
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_the_tables_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [(f'sub-{who}', group, age, sex) for who, group, age, sex, _ in STUDY]
    table = pd.DataFrame(rows, columns=['participant_id', 'group', 'age', 'sex'])
    maps = pd.DataFrame(
        {'participant_id': table['participant_id'], 'session_id': 'TP1'}
        | {'path': '/out/' + table['participant_id']}
    )
    options: dict[str, Any] = {
        'formula': '0 + group + age + sex',
        'contrast': TWO_GROUPS,
        'session': 'TP1',
    }
    plain = build_group_design(maps, build_people(table), **options)
    shuffled = build_group_design(
        maps.iloc[rng.permutation(len(maps))],
        build_people(table.iloc[rng.permutation(len(table))]),
        **options,
    )
    pd.testing.assert_frame_equal(plain.rows, shuffled.rows)
    pd.testing.assert_frame_equal(plain.exclusions, shuffled.exclusions)
    assert (plain.rows['path'] == '/out/' + plain.rows['participant_id']).all()


def test_labels_with_and_without_prefix(maps: pd.DataFrame, build: Build) -> None:
    plain = build(formula='1', session='TP1', subset="group == 'HC'")
    bare = maps.assign(
        participant_id=maps['participant_id'].str.removeprefix('sub-'),
        session_id=maps['session_id'].str.removeprefix('ses-'),
    )
    other = build(maps=bare, formula='1', session='ses-TP1', subset="group == 'HC'")
    pd.testing.assert_frame_equal(plain.rows, other.rows)
    assert other.sessions == ('TP1',)


def test_exclusion_lines(build: Build) -> None:
    lines = pd.DataFrame(
        [
            ('p1', 'ses-TP3', 'n/a', 'moved'),
            ('p2', 'ses-TP2', 'n/a', 'another session'),
            ('p3', 'n/a', 'run-1', 'no response box'),
            ('p4', 'n/a', '2', 'a run that has a map all the same'),
        ],
        columns=['participant_id', 'session_id', 'run', 'reason'],
    )
    design = build(excluded=lines, formula='1', difference=('TP1', 'TP3'), subset="group == 'TRD'")
    assert design.exclusions.fillna('').to_numpy().tolist()[:2] == [
        ['sub-p1', 'ses-TP3', 'excluded: moved'],
        ['sub-p3', 'ses-TP3', 'no map; run 1 excluded: no response box'],
    ]
    assert {'sub-p2', 'sub-p4'} <= set(design.rows['participant_id'])


def test_exclusion_is_the_only_reason_where_the_map_is_gone_too(
    maps: pd.DataFrame, build: Build
) -> None:
    design = build(
        maps=maps[maps['participant_id'] != 'sub-p5'],
        formula='1',
        difference=('TP1', 'TP3'),
        subset="group == 'TRD'",
    )
    reasons = design.exclusions.set_index('participant_id')['reason']
    assert reasons['sub-p5'] == 'excluded: artefacts left after FIX'


def test_maps_of_unknown_people_are_reported(maps: pd.DataFrame, build: Build) -> None:
    more = pd.DataFrame(
        [('sub-x', 'ses-TP1', 'x'), ('sub-y', 'ses-TP9', 'y')], columns=maps.columns
    )
    design = build(maps=pd.concat([maps, more]), formula='1', session='TP1')
    assert ['sub-x', '', 'not in participants.tsv'] in (
        design.exclusions.fillna('').to_numpy().tolist()
    )
    assert 'sub-y' not in set(design.exclusions['participant_id'])


def test_study_without_sessions(maps: pd.DataFrame, build: Build) -> None:
    single = maps[maps['session_id'] == 'ses-TP1'].assign(session_id=None)
    design = build(maps=single, formula='1', subset="group == 'HC'")
    assert len(design.rows) == 6
    assert design.rows['session_id'].isna().all()
    assert describe(design, 'go') == 'One-sample t-test on 6 participants: mean of go.'
    with pytest.raises(InputError, match='sub-p1 has maps of 3 sessions'):
        build(formula='1')


def test_the_only_map_of_those_in_the_subset(maps: pd.DataFrame, build: Build) -> None:
    """Controls came once, patients three times: only an analysis of these must say when."""
    design = build(formula='1', subset="group == 'HC'")
    assert set(design.rows['session_id']) == {'ses-TP1'}
    assert design.sessions == ()
    gone = maps[maps['participant_id'] != 'sub-c1']
    found = build(maps=gone, formula='1', subset="group == 'HC'").exclusions
    assert found.loc[found['participant_id'] == 'sub-c1', 'reason'].tolist() == ['no map']
    with pytest.raises(InputError, match=r'sub-p1 .*Session or Difference of the analysis'):
        build(formula='1', subset="group == 'TRD'")


def test_codes_are_levels(people: pd.DataFrame, build: Build) -> None:
    """Texts such as 01 are no numbers, also where nothing says that they are a factor."""
    site = [('01', '02')[row % 2] for row in range(len(people))]
    design = build(
        people=people.assign(site=site),
        formula='0 + site',
        contrast={'site[02]': 1, 'site[01]': -1},
        session='TP1',
    )
    assert design.names == ('site[01]', 'site[02]')


def test_map_twice(maps: pd.DataFrame, build: Build) -> None:
    again = maps.iloc[:1].assign(path='/other.nii')
    with pytest.raises(InputError, match=r'sub-c1 ses-TP1: /out/c1_TP1.nii and /other.nii'):
        build(maps=pd.concat([maps, again]), formula='1', session='TP1')


def test_slope(build: Build) -> None:
    design = build(formula='1 + age + sex', contrast={'age': 1}, session='TP1')
    assert design.scheme == 'permutations'
    # What is tested stays as it is; the nuisance is demeaned.
    assert design.matrix['age'].tolist()[:3] == [30, 34, 38]
    assert design.matrix['sex[T.M]'].sum() == pytest.approx(0)
    assert describe(design, 'go') == (
        'Linear regression on 13 participants: slope of go at TP1 on age, adjusted for sex.'
    )


def test_products_use_demeaned_numbers(build: Build) -> None:
    design = build(
        formula='0 + group + age + age:group',
        contrast=TWO_GROUPS,
        session='TP1',
        subset="group in ['HC', 'TRD']",
    )
    assert design.names == ('group[HC]', 'group[TRD]', 'age', 'age:group[T.TRD]')
    assert design.matrix['age'].sum() == pytest.approx(0)
    np.testing.assert_allclose(
        design.matrix['age:group[T.TRD]'], design.matrix['age'] * design.matrix['group[TRD]']
    )


def test_sum_coding_levels_and_numeric_factors(people: pd.DataFrame, build: Build) -> None:
    coded = people.assign(sex=people['sex'].map({'F': 2, 'M': 1}))
    design = build(
        people=coded, formula='1 + C(sex, contr.sum)', session='TP1', subset="group == 'HC'"
    )
    assert design.names == ('Intercept', 'sex[S.1]')
    raw = np.array([-1, 1, -1, 1, -1, -1.0])
    np.testing.assert_allclose(design.matrix['sex[S.1]'], raw - raw.mean(), atol=1e-12)
    ordered = build(
        people=coded,
        formula='1 + sex',
        session='TP1',
        subset="group == 'HC'",
        levels={'sex': ['2', '1']},
        center=[],
    )
    assert ordered.matrix['sex[T.1]'].tolist() == [0, 1, 0, 1, 0, 0]
    assert 'sex not demeaned' in ordered.notes[0]


@pytest.mark.parametrize(
    ('formula', 'contrast', 'scheme'),
    [
        ('1 + age', {'Intercept': 1}, 'flips'),
        ('0 + group', {'group[HC]': 1}, 'flips'),
        ('0 + group', {'group[HC]': 0.5, 'group[TRD]': 0.5}, 'flips'),
        ('0 + group', {'group[HC]': 1, 'group[TRD]': -1}, 'permutations'),
        ('1 + group', {'group[T.TRD]': 1}, 'permutations'),
        ('1 + group', {'1': 1}, 'flips'),
        ('1 + group + age:group', {'age:group[TRD]': 1, 'age:group[HC]': -1}, 'permutations'),
    ],
)
@pytest.mark.parametrize('center', [None, []])
def test_scheme_follows_from_the_contrast(
    build: Build, formula: str, contrast: dict, scheme: str, center: list | None
) -> None:
    design = build(formula=formula, contrast=contrast, session='TP1', center=center)
    assert design.scheme == scheme
    flips = build(formula=formula, contrast=contrast, session='TP1', center=center, scheme='flips')
    assert flips.scheme == 'flips'
    if scheme == 'flips':
        with pytest.raises(InputError, match='use flips'):
            build(formula=formula, contrast=contrast, session='TP1', scheme='permutations')


@pytest.mark.parametrize(
    ('contrast', 'words'),
    [
        ({'group[T.TRD]': 1}, 'group TRD minus HC'),
        ({'group[T.TRD]': -2}, 'group HC minus TRD'),
    ],
)
def test_description_of_treatment_coding(build: Build, contrast: dict, words: str) -> None:
    design = build(formula='1 + group', contrast=contrast, session='TP1')
    assert words in describe(design, 'go')


def test_description_of_anything_else(build: Build) -> None:
    design = build(formula='1 + age', contrast={'1': 1, 'age': -2}, session='TP1')
    assert describe(design, 'go') == (
        'General linear model on 13 participants: go at TP1, contrast +1 Intercept -2 age.'
    )


def test_nuisance_with_one_value_is_left_out(people: pd.DataFrame, build: Build) -> None:
    same = people.assign(sex='F', age=40.0)
    design = build(people=same, formula='1 + age*sex', session='TP1', subset="group == 'HC'")
    assert design.names == ('Intercept',)
    assert design.nuisance == ()
    assert design.notes == (
        'age is 40.0 for all 6 participants and was left out.',
        'sex is F for all 6 participants and was left out.',
    )
    # A factor that stood for the intercept leaves the intercept behind.
    design = build(
        people=same.assign(age=people['age']),
        formula='0 + sex + age',
        contrast={'age': 1},
        session='TP1',
    )
    assert design.names == ('Intercept', 'age')


def test_tested_variable_with_one_value(build: Build) -> None:
    with pytest.raises(InputError, match='group, which is tested, is HC for all 5'):
        build(
            formula='0 + group + age',
            contrast=TWO_GROUPS,
            session='TP1',
            subset="group == 'HC'",
        )


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'formula': '1 + weight'}, 'no column weight; columns at hand: group, age'),
        ({'formula': '1 + age', 'contrast': {'sex[F]': 1}}, 'tests sex, which is not in'),
        ({'formula': '1 + sex', 'contrast': {'sex[F]': 1}}, r'needs sex\[F\].*sex\[T.M\]'),
        ({'formula': '0 + sex', 'contrast': {'sex[X]': 1}}, r'needs sex\[X\].*sex\[F\], sex\[M\]'),
        ({'formula': '0 + sex', 'contrast': {'1': 1}}, 'needs Intercept'),
        ({'formula': '1 + age', 'contrast': {'1': 0}}, 'not all 0'),
        ({'formula': '1 + age', 'contrast': {'1': float('nan')}}, 'finite'),
        ({'formula': '1 + age', 'center': ['sex']}, 'Center has sex'),
        ({'formula': '1', 'subset': 'age + 1'}, 'not a condition'),
        ({'formula': '1', 'subset': 'age > 99'}, '0 participants are left'),
        ({'formula': '1', 'minimum_n': 20}, '14 participants are left, at least 20 .*artefacts'),
        ({'formula': '1', 'session': 'TP7'}, '0 participants are left.*14 x no map'),
        ({'formula': '1 + age + hdrs_TP1 + hdrs_TP2 + hdrs_TP3 + sex'}, r'are too few .* 6 col'),
        ({'formula': '1 + twice + age'}, 'columns twice, age of the design are collinear: '),
        (
            {'formula': '1 + twice + age', 'contrast': {'age': 1}},
            'collinear, so that the contrast cannot be estimated',
        ),
        ({'formula': '1 + sex:age', 'center': ['sex']}, 'sex, which cannot be demeaned'),
        ({'formula': '0 + sex + age', 'center': ['sex'], 'contrast': {'age': 1}}, 'place of the'),
        ({'formula': '1 + mixed'}, "mixed of sub-p8 is 'n.a.' where others have a number"),
        ({'formula': '1 + sex', 'levels': {'sex': ['f', 'm']}}, "sex has 'F', which is not in"),
    ],
)
def test_refusals(people: pd.DataFrame, build: Build, options: dict, message: str) -> None:
    mixed = pd.Series(range(len(people)), index=people.index).astype(object)
    mixed['p8'] = 'n.a.'
    more = people.assign(twice=2 * people['age'] + 3, mixed=mixed)
    with pytest.raises(InputError) as error:
        build(people=more, **({'session': 'TP1'} | options))
    assert re.search(message, str(error.value)), str(error.value)


HOSTILE = [
    '1 + np.log(age)',
    "1 + __import__('os')",
    '1 + `age`',
    '1 + {age}',
    "1 + C(sex, contr.treatment('M'))",
    "1 + C(sex, contr.sum, levels=['M', 'F'])",
    '1 + C(sex, levels)',
    '1 + C(age + sex)',
    '1 + C(sex).x',
    '1 + C',
    '1 + contr.sum',
    '1 + age.mean()',
    '1 + age()',
    '1 + age(sex)',
    '1 + center(age)',
    '1 + I(age)',
    '1 + age**2',
    '1 + age * * sex',
    '1 + age ^ 2',
    '1 + age / sex',
    '1 + age %in% sex',
    '1 + .',
    '1 + age[0]',
    '1 + 2',
    '1 + 1',
    '1.5 + age',
    '10 + age',
    '1 + "age"',
    '1 + age @ sex',
    '1 + age; 2',
    '1 + age\n',
    '1 +\tage',
    '1 + lambda: age',
    '1 + age if age else sex',
    '1 + a\u0301ge',
    'y ~ 1 + age',
    '1 ~ age',
    '~ ~ 1 + age',
    '1 | age',
    'age',
    '',
    '1 +',
    '1 + (age',
    '1 + age)',
    '1 : age',
    '1 * age',
    '- 1 + age',
    '1 + age sex',
    '1 + ' + '*'.join(['age'] * 9),
    '1' + ' + age' * 25,
    '1 + ' + 'a' * 300,
]


@pytest.mark.parametrize('formula', HOSTILE)
def test_formula_is_never_python(build: Build, formula: str) -> None:
    with pytest.raises(InputError, match=r'(?s)^Formula .*a formula holds column names'):
        formula_names(formula)
    with pytest.raises(InputError):
        build(formula=formula, session='TP1')


@given(st.text(alphabet="1 0+-*:()~ageC.,'`{}[]", max_size=30))
def test_any_formula_is_read_or_refused(text: str) -> None:
    try:
        found = formula_names(text)
    except InputError:
        return
    assert all(name.isidentifier() for name in found)


@pytest.mark.parametrize(
    ('formula', 'expected'),
    [
        ('1', ()),
        ('~1+age', ('age',)),
        ('0 + group*age - age', ('group', 'age')),
        ('1 + (age + C(sex, contr.treatment)):group', ('age', 'sex', 'group')),
        ('1 + C( sex,contr.sum ) + sex', ('sex',)),
    ],
)
def test_formula_names(formula: str, expected: tuple) -> None:
    assert formula_names(formula) == expected
