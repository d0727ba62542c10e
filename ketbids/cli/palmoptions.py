"""What a call of ketbids-palm asks for."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ketbids.errors import UsageError

__all__ = ['PalmOptions', 'Surface', 'checked']


class Surface(NamedTuple):
    """Argument of ``-s``: a mesh, and its area as a file or a number; empty: computed."""

    mesh: str
    area: str


@dataclass(frozen=True)
class PalmOptions:
    """A call of ketbids-palm; each field is the option in the comment.

    ``words`` is the command line as it was given.
    """

    inputs: tuple[str, ...] = ()  # -i
    masks: tuple[str, ...] = ()  # -m
    surfaces: tuple[Surface, ...] = ()  # -s
    designs: tuple[str, ...] = ()  # -d
    t_contrasts: tuple[str, ...] = ()  # -t
    f_contrasts: tuple[str, ...] = ()  # -f, one per -t; empty for none
    blocks: str = ''  # -eb
    within: bool = False
    whole: bool = False
    variance_groups: str = ''  # -vg; 'auto', a file, or empty for one group
    permute: bool = True  # -ee
    flip: bool = False  # -ise
    n_shuffles: int | None = None  # -n; None: 10000, or all that are given
    seed: int = 0
    synchronised: bool = False  # -syncperms
    permidx: tuple[str, ...] = ()
    two_tailed: bool = False
    demean: bool = False
    z_statistic: bool = False  # -zstat
    tfce: bool = False  # -T
    tfce_2d: bool = False
    height: float | None = None  # -tfce_H
    extent: float | None = None  # -tfce_E
    connectivity: int | None = None  # -tfce_C
    step: float | None = None  # -tfce_dh
    exact: bool = False  # -tfce_exact
    cluster_threshold: float | None = None  # -C
    cluster_statistic: str = 'extent'  # -Cstat
    correct_inputs: bool = False  # -corrmod
    correct_contrasts: bool = False  # -corrcon
    joint: str = 'minp'
    fdr: str = ''  # BH or BKY
    tail: bool = False  # -accel tail
    prefix: str = 'palm'  # -o
    log_p: bool = False
    one_minus_p: bool = False
    save_parametric: bool = False
    save_uncorrected: bool = True
    save_glm: bool = False
    save_dof: bool = False
    save_max: bool = False
    save_shuffles: bool = False  # -saveperms
    save_mask: bool = False
    nifti_class: bool = True  # off by -noniiclass
    quiet: bool = False
    threads: int = 1
    words: tuple[str, ...] = field(default=(), repr=False)


def checked(options: PalmOptions) -> PalmOptions:
    """Refuse options that exclude each other; fill in what depends on others."""
    o = options
    if not o.inputs:
        raise UsageError('There is no input: give at least one with -i.')
    if not o.permute and not o.flip:
        o = replace(o, permute=True)
    n_designs = max(1, len(o.designs))
    rules = {
        '-logp and -save1-p exclude each other.': o.log_p and o.one_minus_p,
        '-fdr needs uncorrected p: leave -nouncorrected out.': o.fdr and not o.save_uncorrected,
        f'There are {len(o.masks)} masks for {len(o.inputs)} inputs: give one for all, or one for '
        'each.': len(o.masks) > 1 and len(o.masks) != len(o.inputs),
        f'There are {len(o.t_contrasts)} files of contrasts (-t) for {len(o.designs)} designs '
        '(-d): give one for all, or one for each.': len(o.t_contrasts) > 1
        and len(o.t_contrasts) != n_designs,
        'Contrasts (-t) need a design (-d).': o.t_contrasts and not o.designs,
        '-within and -whole need blocks (-eb).': (o.within or o.whole) and not o.blocks,
        '-tfce_exact and -tfce_dh exclude each other: the integral has no steps.': o.exact
        and o.step is not None,
        'Options of TFCE need -T.': not o.tfce
        and (
            o.exact
            or o.tfce_2d
            or any(v is not None for v in (o.height, o.extent, o.connectivity, o.step))
        ),
        '-Cstat needs -C.': o.cluster_statistic != 'extent' and o.cluster_threshold is None,
    }
    for message, broken in rules.items():
        if broken:
            raise UsageError(message)
    return o
