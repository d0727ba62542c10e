"""Which stages of the HCP pipelines are to be done, and with which commands."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from nipype.interfaces.base import isdefined
from nipype.interfaces.utility import IdentityInterface, Merge
from nipype.pipeline import engine as pe

from ketbids.errors import ToolError
from ketbids.interfaces.hcp.script import STAGES, HcpScript, StageState
from ketbids.interfaces.hcp.structural import FreeSurfer
from ketbids.interfaces.refix import ApplyHandReClassifications

__all__ = ['StageCommand', 'lacking_stages', 'settle', 'to_run', 'walk']

#: The stage that is no script, and those that it does not build on.
_FIRST_LEVEL = 'FirstLevel'
_FOR_THE_EYE = ('PostFix',)


@dataclass(frozen=True)
class StageCommand:
    """A stage of a session, and the command that does it.

    Attributes
    ----------
    session : str
        E.g. ``sub-01_ses-TP1``.
    stage : str
        One of `ketbids.io.hcpnames.STAGES`.
    label : str
        Run, or what FIX cleans together; empty for the anatomy.
    command : str
        Quoted for a shell; begins with the script's path. Empty if the tools that are there do
        not allow it.
    todo : bool
        It is not done, or must be done again.
    why : str
        Why it is (not) to be done.
    node : str
        Full name of its node.
    needs : tuple of str
        Full names of the nodes of all stages that it builds on.
    labelled : bool
        It applies labels that were given by hand, and there are some.
    record : str
        Path of its record.
    lacking : str
        Why there is no command.
    """

    session: str
    stage: str
    label: str
    command: str
    todo: bool
    why: str
    node: str
    needs: tuple[str, ...] = ()
    labelled: bool = False
    record: str = ''
    lacking: str = ''

    @property
    def title(self) -> str:
        """Stage and label, e.g. ``fMRIVolume of task-carit_dir-PA_run-1``."""
        return f'{self.stage} of {self.label}' if self.label else self.stage


def walk(workflow: pe.Workflow) -> list[StageCommand]:
    """List the commands of a workflow, without running or changing anything.

    What a stage hands to the next one is known before it runs: the names of the files follow
    from its inputs. A stage that is to be done makes all that build on it to be done, too.

    Parameters
    ----------
    workflow : Workflow
        With nodes of HCP scripts; other nodes are passed over.

    Returns
    -------
    list of StageCommand
        By session, then stage; each behind those that it builds on.

    Raises
    ------
    InputError, UsageError, ToolError
        If no command can be made of the inputs (see `HcpScript.argv`).
    """
    before = _filled(workflow)
    commands = _commands(before, {})
    anew = _to_begin_anew(before, commands)
    if anew:
        reasons = {node: command.why for node, command in commands.items() if command.todo}
        commands = _commands(before, anew | reasons)
    return sorted(
        commands.values(), key=lambda command: (command.session, STAGES.index(command.stage))
    )


def to_run(commands: Iterable[StageCommand], stages: Collection[str] = ()) -> list[StageCommand]:
    """Choose the commands that will run: those to be done of the selected stages (empty: all)."""
    return [command for command in commands if command.todo and _selected(command.stage, stages)]


def lacking_stages(commands: Sequence[StageCommand], stages: Collection[str]) -> list[str]:
    """Say why the selected stages cannot be done.

    Others are needed that are neither done nor selected, or labels given by hand would be lost.

    Parameters
    ----------
    commands : sequence of StageCommand
        Of `walk`.
    stages : collection of str
        The selected ones; empty means all.

    Returns
    -------
    list of str
        Sentences: of which session, what is needed, and which stages to add.
    """
    nodes = {command.node: command for command in commands}
    problems = []
    for session in dict.fromkeys(command.session for command in commands):
        mine = [command for command in commands if command.session == session]
        runs = to_run(mine, stages)
        needed: dict[str, StageCommand] = {}
        for command in runs:
            for node in command.needs:
                needed.setdefault(node, command)
        lacking = {
            node: f'{needed[node].title} builds on it'
            for node in nodes
            if node in needed and nodes[node].todo and not _selected(nodes[node].stage, stages)
        }
        if _selected(_FIRST_LEVEL, stages):
            for command in mine:
                wanted = command.stage not in _FOR_THE_EYE
                if wanted and command.todo and not _selected(command.stage, stages):
                    lacking.setdefault(command.node, f'{_FIRST_LEVEL} builds on it')
        if lacking:
            problems.append(_sentence(session, lacking, nodes))
        problems += _lost_labels(session, mine, runs)
    return problems


def _lost_labels(
    session: str, commands: Sequence[StageCommand], runs: Sequence[StageCommand]
) -> list[str]:
    """Name labels given by hand that would be removed with the components that they are for.

    FIX removes them when it is done again, and some stages before it, too.
    """
    labelled = {command.label for command in commands if command.labelled}
    chosen = {command.node for command in runs}
    return [
        f'{session}: components of {command.label} have labels by hand, but FIX will have to '
        f'compute the components again ({command.why}), and these will be removed. Move '
        f'ReclassifyAsSignal.txt and ReclassifyAsNoise.txt out of MNINonLinear/Results/'
        f'{command.label}, and look at the new components once they are there.'
        for command in commands
        if command.stage == 'ICAFIX'
        and command.label in labelled
        and chosen & {command.node, *command.needs}
    ]


def _sentence(session: str, lacking: dict[str, str], nodes: dict[str, StageCommand]) -> str:
    listed = dict.fromkeys(
        f'{nodes[node].title} ({reason}) is not done: {nodes[node].why}'
        for node, reason in lacking.items()
    )
    add = [name for name in STAGES if name in {nodes[node].stage for node in lacking}]
    return f'{session}: {"; ".join(listed)}. Add {", ".join(add)} to --stages, or leave it out.'


def _selected(stage: str, stages: Collection[str]) -> bool:
    return not stages or stage in stages


def settle(workflow: pe.Workflow, commands: Sequence[StageCommand]) -> None:
    """Make a workflow do exactly these commands.

    Records of what is to be done are forgotten before anything runs: whenever the run is
    interrupted, no stage passes for done that was made from what has gone. All other scripts of
    the workflow are passed over.

    Parameters
    ----------
    workflow : Workflow
        That was walked; its nodes are changed.
    commands : sequence of StageCommand
        Of `to_run`.
    """
    chosen = {command.node for command in commands}
    for name in workflow.list_node_names():
        node = workflow.get_node(name)
        if not isinstance(node.interface, HcpScript):
            continue
        runs = f'{workflow.name}.{name}' in chosen
        node.inputs.skip = not runs
        if runs:
            Path(node.inputs.record).unlink(missing_ok=True)


def _filled(workflow: pe.Workflow) -> dict[pe.Node, set[pe.Node]]:
    """Copy the nodes, and give each what it will get from those before it.

    Returns
    -------
    dict
        All nodes that a node builds on, by node; each behind those.
    """
    graph = workflow._create_flat_graph()  # of copies
    direct = {node: list(graph.predecessors(node)) for node in graph}
    before: dict[pe.Node, set[pe.Node]] = {}
    for node in TopologicalSorter(direct).static_order():
        before[node] = set(direct[node]).union(*(before[other] for other in direct[node]))
        for source, _, data in graph.in_edges(node, data=True):
            _hand_over(source, node, data['connect'])
    return before


def _hand_over(source: pe.Node, target: pe.Node, connections: Iterable[tuple[Any, str]]) -> None:
    """Set the inputs of a node that come from another one."""
    kinds = (HcpScript, IdentityInterface, Merge)
    if not isinstance(target.interface, kinds) or not isinstance(source.interface, kinds):
        return
    outputs = source.interface._list_outputs()
    for output, name in connections:
        value = outputs.get(output)
        if value is not None and isdefined(value):
            target.set_input(name, value)


def _commands(
    before: dict[pe.Node, set[pe.Node]], anew: dict[pe.Node, str]
) -> dict[pe.Node, StageCommand]:
    """Ask the stages, in order; those of `anew` are to be done, for the reason given there."""
    found: dict[pe.Node, StageCommand] = {}
    for node, others in before.items():
        script = node.interface
        if not isinstance(script, HcpScript):
            continue
        earlier = [command for other, command in found.items() if other in others]
        again = node in anew or any(command.todo for command in earlier)
        try:
            state, command, lacking = script.state(redo=again), script.cmdline, ''
        except ToolError as error:
            state, command, lacking = StageState(False, str(error)), '', str(error)
        found[node] = StageCommand(
            session=script.session,
            stage=script.stage,
            label=script.label,
            command=command,
            todo=not state.done,
            why=anew.get(node, state.why),
            lacking=lacking,
            node=node.fullname,
            needs=tuple(command.node for command in earlier),
            labelled=isinstance(script, ApplyHandReClassifications) and script.labelled,
            record=str(script.inputs.record),
        )
    return found


def _to_begin_anew(
    before: dict[pe.Node, set[pe.Node]], commands: dict[pe.Node, StageCommand]
) -> dict[pe.Node, str]:
    """Find stages that are done, but must be done again before FreeSurfer can be.

    PostFreeSurfer replaces the images that FreeSurfer starts from.
    """
    found: dict[pe.Node, str] = {}
    for node, command in commands.items():
        script = node.interface
        if isinstance(script, FreeSurfer) and command.todo and script.needs_fresh_start():
            for other in before[node] & commands.keys():
                if not commands[other].todo:
                    found[other] = (
                        'FreeSurfer has to be done again, and PostFreeSurfer has replaced the '
                        'images that it starts from'
                    )
    return found
