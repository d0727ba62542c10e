"""Graphs of the preprocessing are built and expanded for many settings; nothing runs."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from ketbids.interfaces.hcp.script import HcpScript
from ketbids.io.bids import RunKey
from ketbids.io.hcpinputs import AnatInputs, BoldInputs, GradientEcho, HcpSession, SpinEcho
from ketbids.workflows.session import (
    groups_of,
    init_preprocessing_wf,
    init_session_wf,
    msmall_problem,
    session_wf_name,
)
from tests.workflows.studies import settings, touch
from tests.workflows.test_graphs import check, expand, fed_inputs


def spin_echo(root, number=1):
    paths = (touch(root / f'{way}_{number}_epi.nii.gz') for way in ('AP', 'PA'))
    return SpinEcho(*paths, echo_spacing=0.00058, axis='y')


def gradient_echo(root):
    paths = (touch(root / f'{name}.nii.gz') for name in ('magnitude1', 'phasediff'))
    return GradientEcho(*paths, echo_difference=2.46)


MAPS = {'epi': spin_echo, 'phasediff': gradient_echo, 'none': lambda root: None}


def session(
    root, *, label='TP1', tasks=('carit',), t2w=1, kind='epi', reference=True, volumes=300
):
    field_map = MAPS[kind](root)
    readout = {'t1w_spacing': 7.1e-06, 't2w_spacing': 2.1e-06, 'unwarp': 'z'}
    anat = AnatInputs(
        t1w=(touch(root / 'T1w.nii.gz'),),
        t2w=tuple(touch(root / f'T2w_{n}.nii.gz') for n in range(t2w)),
        template='0.8',
        field_map=field_map,
        **(readout if field_map else {}),
    )
    runs = []
    for number, task in enumerate(tasks, start=1):
        name = f'{task}_{number}'
        runs.append(
            BoldInputs(
                key=RunKey('01', label, task, run=str(number)),
                series=touch(root / f'{name}_bold.nii.gz'),
                reference=touch(root / f'{name}_sbref.nii.gz') if reference else None,
                n_volumes=volumes,
                repetition_time=0.8,
                field_map=field_map,
                **({'echo_spacing': 0.00058, 'direction': 'y'} if field_map else {}),
            )
        )
    return HcpSession('01', label, anat, tuple(runs))


def build(root, one, **hcp):
    hcp.setdefault('hcp_dir', root / 'HCPpipelines')
    return init_session_wf(settings(root, hcp=hcp), one, environ={'A': 'b'}, matlab_mode=0)


def graph_of(root, one, **hcp):
    graph, nodes = expand(build(root, one, **hcp))
    return graph, {name.partition('.')[2]: node for name, node in nodes.items()}


@pytest.mark.parametrize(
    ('n_runs', 'label', 'kind', 't2w', 'fix', 'grouping', 'msmall'),
    [
        *product(
            (1, 2), ('TP1', ''), ('epi',), (1,), ('pyfix', 'legacy'), ('auto', 'single'), (False,)
        ),
        *product((1, 2), ('TP1',), ('epi',), (2,), ('pyfix', 'legacy'), ('multi',), (True,)),
        *product((2,), ('TP1',), ('epi',), (1,), ('pyfix', 'legacy'), ('single',), (True,)),
        *product((1,), ('TP1',), MAPS, (0, 1), ('none',), ('auto',), (False,)),
        (0, 'TP1', 'epi', 1, 'pyfix', 'auto', True),
    ],
)
def test_session(tmp_path, n_runs, label, kind, t2w, fix, grouping, msmall):
    one = session(tmp_path, label=label, kind=kind, t2w=t2w, tasks=('carit',) * n_runs)
    hcp = {'fix': fix, 'fix_runs': grouping, 'msmall': msmall, 'processing_mode': 'legacy'}
    graph, nodes = graph_of(tmp_path, one, **hcp)
    check(graph)
    scripts = [n.interface.stage for n in graph if isinstance(n.interface, HcpScript)]
    groups = len(groups_of(settings(tmp_path, hcp=hcp), one))
    assert sorted(scripts) == sorted(
        [
            *('PreFreeSurfer', 'FreeSurfer', 'PostFreeSurfer'),
            *['fMRIVolume', 'fMRISurface'] * n_runs,
            *['ICAFIX', 'PostFix'] * groups,
            *(['MSMAll', 'DeDriftAndResample'] if msmall and groups else []),
        ]
    )
    fed = fed_inputs(graph, nodes['anat_wf.freesurfer'])
    before = nodes['anat_wf.pre_freesurfer']
    assert fed['t1w_image'] == (before, 't1w_acpc_dc_restore')
    assert fed['t1w_brain'] == (before, 't1w_acpc_dc_restore_brain')
    assert ('t2w_image' in fed) == bool(t2w)
    records = set()
    for node in graph:
        if not isinstance(node.interface, HcpScript):
            continue
        assert node.overwrite
        assert node.mem_gb >= 1
        assert node.inputs.environ == {'A': 'b'}
        assert node.interface.session == one.name
        records.add(node.inputs.record)
        if node.interface.stage != 'PreFreeSurfer':
            assert 'after' in fed_inputs(graph, node)
    assert len(records) == len(scripts)


def test_several_images_are_handed_over_together(tmp_path):
    one = session(tmp_path, t2w=2)
    t1w = (*one.anat.t1w, touch(tmp_path / 'second_T1w.nii.gz'))
    one = replace(one, anat=replace(one.anat, t1w=t1w))
    _, nodes = graph_of(tmp_path, one)
    given = nodes['anat_wf.pre_freesurfer'].inputs
    assert given.t1w == [str(path) for path in t1w]
    assert given.t2w == [str(path) for path in one.anat.t2w]


def test_each_kind_of_field_map(tmp_path):
    found = {}
    for kind in MAPS:
        one = session(tmp_path, kind=kind)
        _, nodes = graph_of(tmp_path, one, processing_mode='legacy')
        volume = nodes['func_task_carit_run_1_wf.volume'].inputs
        anatomy = nodes['anat_wf.pre_freesurfer'].inputs
        found[kind] = (
            anatomy.avgrdc_method,
            volume.distortion_correction,
            volume.bias_correction,
        )
    assert found == {
        'epi': ('TOPUP', 'TOPUP', 'SEBASED'),
        'phasediff': ('SiemensFieldMap', 'SiemensFieldMap', 'NONE'),
        'none': ('NONE', 'NONE', 'NONE'),
    }


def test_without_a_reference_image(tmp_path):
    _, nodes = graph_of(tmp_path, session(tmp_path, reference=False))
    assert (
        'reference_image' not in nodes['func_task_carit_run_1_wf.volume'].inputs.get_traitsfree()
    )


def test_threads_are_planned_for(tmp_path):
    made = settings(tmp_path, omp_nthreads=4)
    workflow = init_session_wf(made, session(tmp_path), environ={}, matlab_mode=None)
    assert workflow.get_node('anat_wf.freesurfer').n_procs == 4
    assert (
        'matlab_run_mode'
        not in workflow.get_node('fix_ICAFIX_taskcarit_run1_wf.fix').inputs.get_traitsfree()
    )


def test_sessions_do_not_depend_on_each_other(tmp_path):
    sessions = [session(tmp_path, label=label) for label in ('TP1', 'TP2', '')]
    made = settings(tmp_path, hcp={'hcp_dir': tmp_path})
    workflow = init_preprocessing_wf(made, sessions, environ={}, matlab_mode=0)
    assert workflow.base_dir == str(made.paths.work_dir)
    graph, nodes = expand(workflow)
    assert {name.split('.')[1] for name in nodes} == {session_wf_name(one) for one in sessions}
    for source, target in graph.edges:
        assert source.fullname.split('.')[1] == target.fullname.split('.')[1]


@pytest.mark.parametrize(
    ('changes', 'hcp', 'words'),
    [
        ({}, {'msmall': False}, None),
        ({'tasks': ()}, {}, None),
        ({'volumes': 749}, {}, 'at least 10 minutes of other runs; there are 9.99 minutes'),
        ({'volumes': 750}, {}, None),
        ({'volumes': 375, 'tasks': ('carit', 'carit')}, {}, None),
        ({}, {}, 'there are 4.00 minutes. Leave out --msmall'),
        ({'tasks': ('carit', 'rest')}, {}, None),
        ({'tasks': ('restingstate',)}, {}, None),
        ({'tasks': ('arrest',)}, {}, 'runs of a resting-state task (task-rest)'),
        ({'volumes': 750, 't2w': 0}, {}, 'needs a T2w image'),
        ({'volumes': 750}, {'fix': 'none'}, 'needs runs that FIX cleaned'),
    ],
)
def test_what_msmall_needs(tmp_path, changes, hcp, words):
    one = session(tmp_path, **changes)
    problem = msmall_problem(settings(tmp_path, hcp={'msmall': True, **hcp}), one)
    if words is None:
        assert problem is None
    else:
        assert problem.startswith('sub-01_ses-TP1: --msmall ')
        assert words in problem


def test_msmall_takes_resting_state_runs_if_there_are_any(tmp_path):
    one = session(tmp_path, tasks=('carit', 'rest', 'rest'))
    _, nodes = graph_of(tmp_path, one, msmall=True)
    align = nodes['msmall_wf.align'].inputs
    assert align.multirun_fix_names == ['task-carit_run-1', 'task-rest_run-2', 'task-rest_run-3']
    assert align.multirun_fix_names_to_use == ['task-rest_run-2', 'task-rest_run-3']
    _, nodes = graph_of(tmp_path, one, msmall=True, fix_runs='single')
    assert nodes['msmall_wf.align'].inputs.fmri_names_list == [
        'ICAFIX_taskrest_run2',
        'ICAFIX_taskrest_run3',
    ]


def test_training_data(tmp_path):
    def training(**hcp):
        _, nodes = graph_of(tmp_path, session(tmp_path), **hcp)
        (node,) = (node for name, node in nodes.items() if name.endswith('.fix'))
        return node.inputs.training_file

    assert training() == 'HCP_Style_Single_Multirun_Dedrift'
    assert training(fix='legacy') == 'HCP_hp2000'
    assert training(fix='legacy', fix_runs='multi') == 'HCP_Style_Single_Multirun_Dedrift'
    assert training(fix_training='UKBiobank') == 'UKBiobank'


def test_records_and_logs_are_with_the_session(tmp_path):
    _, nodes = graph_of(tmp_path, session(tmp_path))
    volume = nodes['func_task_carit_run_1_wf.volume'].inputs
    folder = tmp_path / 'out/sourcedata/hcp/sub-01_ses-TP1/ketbids'
    assert Path(volume.record) == folder / 'fMRIVolume_task-carit_run-1.json'
    assert Path(volume.log) == folder / 'fMRIVolume_task-carit_run-1.log'
