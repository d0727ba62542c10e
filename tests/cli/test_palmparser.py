"""The options of ketbids-palm."""

import re
from pathlib import Path

import pytest

from ketbids.cli.palmoptions import Surface
from ketbids.cli.palmparser import GROUPS, help_text, parse_options
from ketbids.errors import UsageError


def parse(text):
    return parse_options(text.split())


def test_defaults_are_those_of_palm():
    found = parse('-i a.nii')
    assert (found.n_shuffles, found.seed, found.prefix) == (None, 0, 'palm')
    assert (found.permute, found.flip) == (True, False)
    assert (found.tfce, found.two_tailed, found.fdr, found.quiet) == (False, False, '', False)
    assert found.save_uncorrected


def test_a_call_of_palm():
    found = parse(
        '-i L.gii -i R.gii -s L.surf.gii L.area.gii -s R.surf.gii -d d.mat -t c.con -f c.fts '
        '-n 500 -seed 7 -ise -twotail -T -tfce2D -corrmod -fdr -logp -o out/x -C 2.3 -Cstat mass '
        '-accel tail -eb b.csv -whole -vg auto -savemax'
    )
    assert found.inputs == ('L.gii', 'R.gii')
    assert found.surfaces == (Surface('L.surf.gii', 'L.area.gii'), Surface('R.surf.gii', ''))
    assert (found.designs, found.t_contrasts, found.f_contrasts) == (
        ('d.mat',),
        ('c.con',),
        ('c.fts',),
    )
    assert (found.n_shuffles, found.seed, found.prefix) == (500, 7, 'out/x')
    assert (found.permute, found.flip) == (False, True)
    assert (found.cluster_threshold, found.cluster_statistic) == (2.3, 'mass')
    assert (found.fdr, found.tail, found.variance_groups) == ('BKY', True, 'auto')
    assert found.whole
    assert found.words[:2] == ('-i', 'L.gii')


def test_both_kinds_of_shuffles():
    found = parse('-i a.nii -ee -ise')
    assert found.permute
    assert found.flip


def test_f_contrasts_belong_to_the_t_contrasts_before_them():
    found = parse('-i a -d 1 -d 2 -t 1.con -t 2.con -f 2.fts')
    assert found.f_contrasts == ('', '2.fts')


def test_names_in_either_case_and_old_names():
    found = parse('-i a -T -tfce2d -tfce_h 3 -tfce_e .7 -tfce_c 18 -savecdf -approx TAIL -fdr bh')
    assert (found.height, found.extent, found.connectivity) == (3, 0.7, 18)
    assert found.one_minus_p
    assert found.tail
    assert found.fdr == 'BH'


def test_of_parameters_of_tfce_the_last_word_holds():
    assert parse('-i a -T -tfce_E .7 -tfce2D').extent is None
    assert parse('-i a -T -tfce2D -tfce_E .7').extent == 0.7


def test_negative_numbers_are_no_options():
    with pytest.raises(UsageError, match=r'^-n: -3 must be a whole number'):
        parse('-i a -n -3')


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('', 'no input'),
        ('a.nii', "'a.nii' belongs to no option"),
        ('-i a.nii b.nii', '-i takes FILE; given: a.nii b.nii'),
        ('-i', '-i takes FILE; given: none'),
        ('-i a -twotail yes', '-twotail takes no argument; given: yes'),
        ('-i a -f c.fts', '-f: must come after the -t'),
        ('-i a -d d -t t -f f -f f', '-f: was given for this -t already'),
        ('-i a -n many', "-n: 'many' is not a number"),
        ('-i a -n 2.5', '-n: 2.5 must be a whole number'),
        ('-i a -n inf', '-n: inf is not a finite number'),
        ('-i a -seed twist', '-seed: .* another result each time'),
        ('-i a -accel gamma', '-accel: gamma is not supported by ketbids-palm'),
        ('-i a -accel negbin 2', '-accel: negbin is not supported by ketbids-palm'),
        ('-i a -accel tail .05', '-accel: tail .05 is not supported'),
        ('-i a -accel tail out', '-accel: tail out is not supported'),
        ('-i a -Cstat density -C 2', "-Cstat: 'density' is not one of extent, mass"),
        ('-i a -T -tfce_C 8', '-tfce_C: 8 is not one of 6, 18, 26'),
        ('-i a -T -tfce_dh 0', '-tfce_dh: 0 must be above 0'),
        ('-i a -fdr BY', "-fdr: 'BY' is not one of BH, BKY"),
        ('-i a -joint fisher', "-joint: 'fisher' is not one of minp, bonferroni, sidak"),
        ('-i a -threads 0', '-threads: must be at least 1'),
        ('-i a -logp -save1-p', 'exclude each other'),
        ('-i a -fdr -nouncorrected', 'leave -nouncorrected out'),
        ('-i a -i b -i c -m x -m y', '2 masks for 3 inputs'),
        ('-i a -d x -t y -t z', '2 files of contrasts .* 1 designs'),
        ('-i a -t y', 'need a design'),
        ('-i a -within', 'need blocks'),
        ('-i a -tfce2D', 'need -T'),
        ('-i a -T -tfce_exact -tfce_dh .1', 'exclude each other'),
        ('-i a -Cstat mass', '-Cstat needs -C'),
    ],
)
def test_refusals(words, message):
    with pytest.raises(UsageError, match=message):
        parse(words)


#: Options of PALM that ketbids-palm has not.
OTHERS = """
-evperdat -imiss -dmiss -mcar -con -tonly -fonly -swe -Cuni -Cnpc -Cmv -Tuni -Tnpc -Tmv
-tfce1D -tableasvolume -cmcp -cmcx -concordant -reversemasks -rmethod -npc -npcmethod -npcmod
-npccon -mv -savemetrics -inormal -probit -vgdemean -ev4vg -removevgbysize -pearson -noranktest
-transposedata -inputmv -verbosefilenames -designperinput -erie -subjidx -nounivariate
-saveuncorrected -pmethodp -pmethodr -precision
"""


@pytest.mark.parametrize('name', OTHERS.split())
def test_what_palm_has_and_we_have_not_is_refused_by_name(name):
    with pytest.raises(
        UsageError, match=rf'^{name} is not supported by ketbids-palm.*run PALM it'
    ):
        parse(f'-i a {name} x')


def test_unknown_option():
    with pytest.raises(UsageError, match=r'^-nonsense is not an option of ketbids-palm'):
        parse('-i a -nonsense')


def test_the_documentation_names_every_option():
    text = (Path(__file__).parents[2] / 'docs' / 'ketbids-palm.md').read_text(encoding='utf-8')
    for group in GROUPS.values():
        for option in group:
            assert re.search(rf'`{re.escape(option.names[0])}[ `]', text), option.names


def test_help_describes_every_option():
    text = help_text()
    for group in GROUPS.values():
        for option in group:
            assert re.search(rf'^  {re.escape(", ".join(option.names))}( |$)', text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 100
