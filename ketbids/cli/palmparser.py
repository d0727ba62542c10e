"""The command line of ketbids-palm: PALM's options, and some of its own."""

import itertools
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ketbids.cli.palmoptions import PalmOptions, Surface, checked
from ketbids.errors import UsageError

__all__ = ['GROUPS', 'Option', 'help_text', 'parse_options']


class Option(NamedTuple):
    """An option: its names, the field it sets, how many arguments it takes, and its help."""

    names: tuple[str, ...]
    target: str
    convert: Callable[[PalmOptions, Sequence[str]], Any]
    arguments: tuple[int, int]
    metavar: str
    help: str


def _flag(names: str, target: str, text: str, value: Any = True) -> Option:
    return Option(tuple(names.split()), target, lambda options, words: value, (0, 0), '', text)


def _one(
    names: str, target: str, metavar: str, text: str, convert: Callable[[str], Any] = str
) -> Option:
    return Option(
        tuple(names.split()),
        target,
        lambda options, words: convert(words[0]),
        (1, 1),
        metavar,
        text,
    )


def _many(names: str, target: str, metavar: str, text: str) -> Option:
    return Option(
        tuple(names.split()),
        target,
        lambda options, words: (*getattr(options, target), words[0]),
        (1, 1),
        metavar,
        text,
    )


def _whole_number(text: str) -> int:
    try:
        value = int(text)  # every digit counts in a seed
    except ValueError:
        number = _number(text)
        value = int(number) if number == int(number) else -1
    if value < 0:
        raise UsageError(f'{text} must be a whole number, 0 or more')
    return value


def _positive_number(text: str) -> int:
    value = _whole_number(text)
    if value == 0:
        raise UsageError('must be at least 1')
    return value


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise UsageError(f'{text!r} is not a number') from error
    if not abs(value) < float('inf'):
        raise UsageError(f'{text} is not a finite number')
    return value


def _above_zero(text: str) -> float:
    value = _number(text)
    if value <= 0:
        raise UsageError(f'{text} must be above 0')
    return value


def _choice(*allowed: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        for name in allowed:
            if text.lower() == name.lower():
                return name
        raise UsageError(f'{text!r} is not one of {", ".join(allowed)}')

    return convert


def _seed(text: str) -> int:
    if text in ('twist', 'reset', 'shuffle'):
        raise UsageError(
            f'{text!r} would give another result each time. Give a number; it is written to the '
            'configuration file'
        )
    return _whole_number(text)


def _surface(options: PalmOptions, words: Sequence[str]) -> tuple[Surface, ...]:
    return (*options.surfaces, Surface(words[0], words[1] if len(words) > 1 else ''))


def _f_contrasts(options: PalmOptions, words: Sequence[str]) -> tuple[str, ...]:
    n = len(options.t_contrasts)
    if n == 0:
        raise UsageError('must come after the -t whose rows it joins')
    if len(options.f_contrasts) == n:
        raise UsageError('was given for this -t already')
    return (*options.f_contrasts, *[''] * (n - 1 - len(options.f_contrasts)), words[0])


def _approximation(options: PalmOptions, words: Sequence[str]) -> bool:
    if words[0].lower() != 'tail':
        raise UsageError(
            f'{words[0]} is not supported by ketbids-palm, only tail is; run PALM itself'
        )
    if len(words) > 1 and words[1].lower() not in ('in', 'g1in', 't1in', 'false', '0'):
        raise UsageError(
            f'tail {words[1]} is not supported by ketbids-palm: p below .10 are fitted, the data '
            'as they are included (PALM does not read a threshold either); run PALM itself'
        )
    return True


def _connectivity(text: str) -> int:
    value = _whole_number(text)
    if value not in (6, 18, 26):
        raise UsageError(f'{text} is not one of 6, 18, 26')
    return value


def _variance_groups(text: str) -> str:
    lower = text.lower()
    if lower == 'single':
        return ''
    return 'auto' if lower in ('auto', 'automatic') else text


# Column in which help begins.
_COLUMN = 26

#: Options by heading, in the order of the help.
GROUPS: dict[str, tuple[Option, ...]] = {
    'Data': (
        _many(
            '-i',
            'inputs',
            'FILE',
            'data, one observation per row or volume: dscalar or dtseries, '
            'GIFTI, NIfTI (4-D), CSV; repeat for more inputs',
        ),
        _many(
            '-m',
            'masks',
            'FILE',
            'mask, one for all inputs or one for each; without, locations '
            'with a missing value or without variance are left out',
        ),
        Option(
            ('-s', '-surf'),
            'surfaces',
            _surface,
            (1, 2),
            'MESH [AREA]',
            'surface, GIFTI or FreeSurfer (ASCII too), one for all inputs or one for each; area '
            'per vertex as a file or a number, else of the mesh itself. For a dscalar: one per '
            'hemisphere, left first',
        ),
        _many(
            '-d',
            'designs',
            'FILE',
            'design matrix, CSV or FSL .mat; without, a column of ones and sign flips',
        ),
        _many('-t', 't_contrasts', 'FILE', 't contrasts, CSV or FSL .con, one per row'),
        Option(
            ('-f',),
            'f_contrasts',
            _f_contrasts,
            (1, 1),
            'FILE',
            'F contrasts, CSV or FSL .fts: which rows of the -t before it',
        ),
        _one('-eb', 'blocks', 'FILE', 'exchangeability blocks, one column or several levels'),
        _flag('-within', 'within', 'shuffle within the blocks of one column (default)'),
        _flag('-whole', 'whole', 'shuffle blocks as a whole'),
        _one(
            '-vg',
            'variance_groups',
            'FILE',
            'variance groups: v and G statistics; auto: after the blocks; single: none',
            _variance_groups,
        ),
    ),
    'Shuffling': (
        _one(
            '-n',
            'n_shuffles',
            'N',
            'number of shuffles, the data as they are counted; 0, or more '
            'than exist: all (default: 10000)',
            _whole_number,
        ),
        _one('-seed', 'seed', 'N', 'seed of the random numbers (default: 0)', _seed),
        _flag('-ee', 'permute', 'exchangeable errors: permutations (default)'),
        _flag('-ise', 'flip', 'independent symmetric errors: sign flips'),
        _flag('-syncperms', 'synchronised', 'the same shuffles for all contrasts'),
        _many(
            '-permidx',
            'permidx',
            'FILE',
            'own option: given shuffles, as -saveperms writes them; '
            'once, or once per contrast; with -n K the first K',
        ),
    ),
    'Statistics': (
        _flag('-twotail', 'two_tailed', 'two-tailed t and v: the absolute value is tested'),
        _flag('-demean', 'demean', 'subtract the means of data and design'),
        _flag('-zstat', 'z_statistic', 'save z in place of t, F, v, G'),
        _flag('-T', 'tfce', 'TFCE (H 2, E 0.5, 6 neighbours; dscalar: vertices E 1)'),
        _flag(
            '-tfce2D -tfce2d',
            'tfce_2d',
            'H 2, E 1, 26 neighbours; changes nothing in a dscalar',
        ),
        _one('-tfce_H -tfce_h', 'height', 'H', 'exponent of the height', _number),
        _one('-tfce_E -tfce_e', 'extent', 'E', 'exponent of the extent', _number),
        _one(
            '-tfce_C -tfce_c',
            'connectivity',
            'C',
            'neighbours of a voxel: 6, 18, 26',
            _connectivity,
        ),
        _one(
            '-tfce_dh',
            'step',
            'DH',
            'height of a step; auto: a hundredth of the maximum',
            lambda text: None if text.lower() == 'auto' else _above_zero(text),
        ),
        _flag('-tfce_exact', 'exact', 'own option: the integral itself in place of steps'),
        _one('-C', 'cluster_threshold', 'Z', 'clusters above this z', _above_zero),
        _one(
            '-Cstat',
            'cluster_statistic',
            'NAME',
            'of clusters: extent (default) or mass',
            _choice('extent', 'mass'),
        ),
    ),
    'Correction': (
        _flag('-corrmod', 'correct_inputs', 'correct over inputs too'),
        _flag('-corrcon', 'correct_contrasts', 'correct over contrasts too (the same shuffles)'),
        _one(
            '-joint',
            'joint',
            'NAME',
            'own option: how cortex and subcortex of a dscalar are '
            'joined: minp (default), bonferroni, sidak',
            _choice('minp', 'bonferroni', 'sidak'),
        ),
        Option(
            ('-fdr',),
            'fdr',
            lambda options, words: _choice('BH', 'BKY')(words[0]) if words else 'BKY',
            (0, 1),
            '[NAME]',
            'false discovery rate: BH or BKY (default)',
        ),
        Option(
            ('-accel', '-approx'),
            'tail',
            _approximation,
            (1, 2),
            'tail',
            'fit a generalised Pareto distribution to the tail',
        ),
    ),
    'Results': (
        _one('-o', 'prefix', 'PREFIX', 'how names of results begin (default: palm)'),
        _flag('-logp', 'log_p', 'save -log10(p)'),
        _flag('-save1-p -savecdf', 'one_minus_p', 'save 1-p'),
        _flag('-saveparametric', 'save_parametric', 'parametric p too'),
        _flag('-nouncorrected', 'save_uncorrected', 'no uncorrected p', False),
        _flag('-saveglm', 'save_glm', "effect, its variance, Cohen's d, coefficient of variation"),
        _flag('-savedof', 'save_dof', 'degrees of freedom'),
        _flag('-savemax', 'save_max', 'maximum of each shuffle'),
        _flag('-saveperms', 'save_shuffles', 'the shuffles, and the map of each'),
        _flag('-savemask', 'save_mask', 'masks'),
        _flag(
            '-noniiclass -nonifticlass', 'nifti_class', 'NIfTI results as .nii.gz, double', False
        ),
        _flag('-quiet', 'quiet', 'no line of progress'),
        _one(
            '-threads',
            'threads',
            'N',
            'own option: threads; without effect on results (default: 1)',
            _positive_number,
        ),
    ),
}

#: Options of PALM that are refused by name, some with what to do.
_REFUSED: dict[str, str] = dict.fromkeys(
    """
    -evperdat -imiss -dmiss -mcar -con -conskipcount -tonly -fonly -swe -Cuni -Cnpc -Cmv
    -Tstat -Tuni -Tnpc -Tmv -tfce1D -tfce1d -tableasvolume -cmcp -cmcx -concordant
    -reversemasks -rmethod -npc -npcmethod -npcmod -npccon -mv -savemetrics -inormal -probit
    -vgdemean -ev4vg -removevgbysize -pearson -noranktest -transposedata -inputmv
    -verbosefilenames -designperinput -erie -subjidx -nounivariate -saveuncorrected -pmethodp
    -pmethodr -precision -forceintersectionmask -basic -advanced
    """.split(),  # noqa: SIM905
    '',
) | {
    '-precision': 'ketbids-palm always computes in double precision: leave it out, or ',
    '-saveuncorrected': 'uncorrected p are saved anyway: leave it out, or ',
    '-tonly': 'give the t contrasts only, or ',
    '-fonly': 'give a design whose contrasts are wanted, or ',
}


def parse_options(words: Sequence[str]) -> PalmOptions:
    """Read a command line.

    Parameters
    ----------
    words : sequence of str
        Without the name of the program.

    Returns
    -------
    PalmOptions

    Raises
    ------
    UsageError
        An option that is unknown, not supported, or without its argument; options that exclude
        each other.
    """
    table = {
        name: option for group in GROUPS.values() for option in group for name in option.names
    }
    options = PalmOptions(permute=False, words=tuple(words))
    for name, arguments in _split(words):
        option = table.get(name)
        if option is None:
            raise UsageError(_refusal(name))
        least, most = option.arguments
        if not least <= len(arguments) <= most:
            wanted = option.metavar or 'no argument'
            given = ' '.join(arguments) or 'none'
            raise UsageError(f'{name} takes {wanted}; given: {given}.')
        try:
            changes = {option.target: option.convert(options, arguments)}
        except UsageError as error:
            raise UsageError(f'{name}: {error}.') from error
        if option.target == 'tfce_2d':  # of PALM's parameters the last word holds
            changes |= dict.fromkeys(('height', 'extent', 'connectivity'))
        options = replace(options, **changes)
    return checked(options)


def _split(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each option with the words up to the next one."""
    starts = [k for k, word in enumerate(words) if _is_option(word)]
    if words and starts[:1] != [0]:
        raise UsageError(f'{words[0]!r} belongs to no option. See ketbids-palm -help.')
    for start, stop in itertools.pairwise([*starts, len(words)]):
        yield words[start], list(words[start + 1 : stop])


def _is_option(word: str) -> bool:
    if not word.startswith('-') or len(word) == 1:
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False


def _refusal(name: str) -> str:
    if name in _REFUSED:
        return f'{name} is not supported by ketbids-palm: {_REFUSED[name]}run PALM itself.'
    return f'{name} is not an option of ketbids-palm. See ketbids-palm -help.'


def help_text() -> str:
    """Describe every option."""
    lines = [
        'ketbids-palm: permutation inference with the options, and the answers, of PALM.',
        '',
        'Usage: ketbids-palm -i FILE [-i FILE ...] [-d FILE -t FILE] [options]',
    ]
    for heading, group in GROUPS.items():
        lines += ['', f'{heading}:']
        for option in group:
            names = f'  {", ".join(option.names)} {option.metavar}'.rstrip()
            text = textwrap.wrap(option.help, 74)
            fits = len(names) < _COLUMN
            lines.append(f'{names:{_COLUMN}}{text.pop(0)}' if fits else names)
            lines += [' ' * _COLUMN + line for line in text]
    lines += [
        '',
        'Other options of PALM are refused by name. -version and -help say so and end.',
        'Exit codes: 0 done; 1 failed; 2 wrong usage; 3 invalid input; 130/143 interrupted.',
    ]
    return '\n'.join(lines)
