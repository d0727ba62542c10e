"""Workflows are built and expanded for many settings; nothing runs."""

from dataclasses import replace
from itertools import product

import pytest
from nipype.interfaces.base import isdefined
from nipype.pipeline.engine.utils import generate_expanded_graph

from ketbids.interfaces.bids import DerivativesDataSink
from ketbids.interfaces.inference import GroupTest
from ketbids.interfaces.palm import PalmTest
from ketbids.io.inventory import link_name
from ketbids.model import load_model
from ketbids.stats.autoregression import NOISE_FWHM
from ketbids.studymodel import RunContrast
from ketbids.workflows.base import init_group_wf, init_participant_wf
from ketbids.workflows.group import AtlasPlan
from tests.workflows.studies import plan, settings, touch, visit

MODEL = load_model()


def expand(workflow):
    """Expand a graph as Nipype does before it runs it; nodes by their full names."""
    workflow._generate_flatgraph()
    graph = generate_expanded_graph(workflow._graph)
    return graph, {node.fullname: node for node in graph.nodes}


def fed_inputs(graph, node):
    """Inputs of a node that an edge feeds, with the node and output that feed it."""
    return {
        target: (source, output if isinstance(output, str) else output[0])
        for source, _, data in graph.in_edges(node, data=True)
        for output, target in data['connect']
    }


def check(graph):
    """Every mandatory input is set or fed; every edge joins an output and an input."""
    for node in graph.nodes:
        fed = fed_inputs(graph, node)
        for name, (source, output) in fed.items():
            assert name in node.inputs.copyable_trait_names(), (node.fullname, name)
            assert output in source.outputs.copyable_trait_names(), (source.fullname, output)
        for name, trait in node.inputs.traits(mandatory=True).items():
            given = isdefined(getattr(node.inputs, name)) or name in fed
            assert given or trait.usedefault, f'{node.fullname}: {name} is open'


def hashes(graph):
    """What Nipype compares to see if a node must run again; without what edges bring."""
    return {node.fullname: node.inputs.get_hashval(hash_method='timestamp')[1] for node in graph}


def short(names, ending):
    return sorted(name for name in names if name.endswith(ending))


def participant(root, visits, *, model=MODEL, **changes):
    return expand(init_participant_wf(settings(root, **changes), model.run, visits))


@pytest.mark.parametrize(
    ('runs', 'session', 'workbench', 'fwhm', 'denoised', 'labels'),
    [
        *product([('',), ('1', '2')], ['TP1', ''], [True, False], [5.0, 0.0], [True], [True]),
        (('',), 'TP1', True, 5.0, False, True),
        (('1', '2', '3'), 'TP1', False, 2.5, False, False),
        (('01',), '', False, 5.0, True, False),
    ],
)
def test_participant_level(tmp_path, runs, session, workbench, fwhm, denoised, labels):
    one = visit(tmp_path, runs=runs, session=session, denoised=denoised, labels=labels)
    smoother = 'wb_command' if workbench else 'native'
    graph, nodes = participant(tmp_path, [one], smoother=smoother, smoothing_fwhm=fwhm)
    check(graph)
    name = f'participant_wf.{one.name.replace("-", "_")}_wf'
    several = len(runs) > 1
    smoothers = short(nodes, '.smooth')
    assert len(smoothers) == (len(runs) if fwhm else 0)
    kind = 'CiftiSmoothing' if workbench else 'SmoothSeries'
    assert all(type(nodes[s].interface).__name__ == kind for s in smoothers)
    # One file of weights serves all runs, and the noise model too where the kernels are the same.
    kernels = {NOISE_FWHM, *([fwhm] if fwhm and not workbench else [])}
    weights = [node for full, node in nodes.items() if '.weights_' in full]
    assert sorted(node.inputs.fwhm for node in weights) == sorted(kernels)
    for n, full in enumerate(smoothers):
        if workbench:
            assert nodes[full].inputs.fwhm == fwhm
            assert nodes[full].inputs.left_surface == str(
                one.runs[n].preprocessed.anatomy.midthickness[0]
            )
        else:
            source = fed_inputs(graph, nodes[full])['weights_file'][0]
            assert source.inputs.fwhm == fwhm
    assert len(short(nodes, '.fit')) == len(runs)
    assert (f'{name}.combine' in nodes) == several
    assert (f'{name}.ds_anatomy_wf.ds_labels' in nodes) == labels
    for n, run in enumerate(one.runs):
        start = f'{name}.run_{runs[n] or "single"}_wf'
        trials = nodes[f'{start}.run_glm_wf.trials'].inputs
        assert trials.events_file == str(run.events)
        assert trials.series_file == str(run.preprocessed.series)
        design = nodes[f'{start}.run_glm_wf.design'].inputs
        assert design.sets == ([] if denoised else ['24'])
        assert design.confounds_file == str(run.preprocessed.confounds)
        fit = nodes[f'{start}.run_glm_wf.fit']
        assert fit.inputs.noise_model == 'ar6'
        assert fed_inputs(graph, fit)['smoothing_file'][0].inputs.fwhm == NOISE_FWHM
        if not fwhm:
            assert fit.inputs.series_file == str(run.preprocessed.series)
        else:
            assert fed_inputs(graph, fit)['series_file'][0].fullname == smoothers[n]
        for node in nodes.values():
            if node.fullname.startswith(start) and isinstance(node.interface, DerivativesDataSink):
                assert node.inputs.source_file == [str(run.events)]
    if several:
        sinks = [n for f, n in nodes.items() if f.startswith(f'{name}.ds_statmaps_wf.ds_')]
        assert len(sinks) == 4
        trials = fed_inputs(graph, nodes[f'{name}.performance'])['trials_files'][0]
        assert len(fed_inputs(graph, trials)) == len(runs)
        assert all('run' in n.inputs.dismiss_entities for n in sinks)
        assert 'run' in nodes[f'{name}.ds_section'].inputs.dismiss_entities
    for node in nodes.values():
        if isinstance(node.interface, DerivativesDataSink):
            assert node.inputs.base_directory == str(tmp_path / 'out')


@pytest.mark.parametrize('noise_model', ['ols', 'ar1', 'film'])
def test_the_noise_model_chooses_the_engine(tmp_path, noise_model):
    graph, nodes = participant(
        tmp_path, [visit(tmp_path)], noise_model=noise_model, smoother='wb_command'
    )
    check(graph)
    (fit,) = (nodes[name] for name in short(nodes, '.fit'))
    assert type(fit.interface).__name__ == ('FitFilm' if noise_model == 'film' else 'FitGLM')
    assert fit.inputs.noise_model == noise_model
    # Only an autoregressive model is smoothed in space by ketbids.
    assert any('.weights_' in name for name in nodes) == (noise_model == 'ar1')
    assert ('smoothing_file' in fed_inputs(graph, fit)) == (noise_model == 'ar1')


def test_maps_of_f_contrasts_have_sinks_if_the_model_has_any(tmp_path):
    rows = ({'correctGo': 1.0}, {'correctNogo': 1.0})
    contrasts = (*MODEL.run.contrasts, RunContrast('anyTrial', rows, 'F'))
    model = replace(MODEL, run=replace(MODEL.run, contrasts=contrasts))
    for study, count in ((MODEL, 0), (model, 3)):
        graph, nodes = participant(tmp_path, [visit(tmp_path, runs=('1', '2'))], model=study)
        check(graph)
        assert len(short(nodes, '.ds_f')) == len(short(nodes, '.ds_f_z')) == count
        for name in short(nodes, '.design'):
            asked = nodes[name].inputs.contrasts
            assert ('anyTrial' in asked) == bool(count)
            assert asked['nogoVsGo']['rows'] == [{'correctNogo': 1, 'correctGo': -1}]
            assert [asked[c]['test'] for c in asked] == ['t', 't', 't', 'F'][: len(asked)]


def test_no_behaviour_without_stimuli_in_the_model(tmp_path):
    events = replace(MODEL.run.events, stimuli=None)
    model = replace(MODEL, run=replace(MODEL.run, events=events))
    _, nodes = participant(tmp_path, [visit(tmp_path)], model=model)
    assert not short(nodes, '.performance')


def test_visits_do_not_depend_on_each_other(tmp_path):
    visits = [visit(tmp_path, participant=p) for p in ('01', '02', '03')]
    graph, _ = participant(tmp_path, visits)
    for source, target in graph.edges:
        assert source.fullname.split('.')[1] == target.fullname.split('.')[1]


def test_sidecars_name_sources_by_uri(tmp_path):
    _, nodes = participant(tmp_path, [visit(tmp_path, runs=('1', '2'))])
    said = [nodes[name].inputs.meta_dict for name in short(nodes, '.ds_effect')]
    (combine,) = short(nodes, '.combine')
    # What is in a combined map depends on what can be estimated.
    assert [about['Sources'] for about in said if 'Sources' in about] == [
        about['Sources'] for about in nodes[combine].inputs.metadata
    ]
    for about in nodes[combine].inputs.metadata:
        sources = about['Sources']
        link = link_name(tmp_path / 'hcp')
        assert all(s.startswith(('bids:raw:sub-01/', f'bids:{link}:sub-01_')) for s in sources)
        assert len(sources) == 2


@pytest.mark.parametrize(
    'change',
    [
        {'seed': 5},
        {'permutations': 7},
        {'tails': 'each'},
        {'analyses': ('meanHC',)},
        {'nprocs': 1},
        {'omp_nthreads': 2},
        {'mem_mb': 100},
    ],
)
def test_unrelated_settings_change_no_node(tmp_path, change):
    one = visit(tmp_path)
    before, after = (
        hashes(participant(tmp_path, [one], **changes)[0]) for changes in ({}, change)
    )
    assert before == after


@pytest.mark.parametrize(
    ('change', 'changed'),
    [
        ({'smoothing_fwhm': 6.0}, {'weights_0'}),
        ({'smoothing_fwhm': 6.0, 'smoother': 'wb_command'}, {'smooth'}),
        ({'hrf_model': 'glover'}, {'design'}),
        ({'high_pass': 0.01}, {'design'}),
        ({'drop_volumes': 4}, {'trials', 'design'}),
        ({'noise_model': 'ar2'}, {'fit'}),
        ({'smoothing_mode': 'total'}, {'weights_0'}),
    ],
)
def test_a_setting_changes_its_own_node(tmp_path, change, changed):
    one = visit(tmp_path)
    before, after = (
        hashes(participant(tmp_path, [one], **changes)[0]) for changes in ({}, change)
    )
    names = {name.rsplit('.', 1)[1] for name in before if before[name] != after[name]}
    # Sidecars and the page say how the maps were made.
    said = {'describe', 'ds_effect', 'ds_variance', 'ds_t', 'ds_z', 'ds_whiteness'}
    assert changed <= names
    assert names <= changed | said


def group(root, plans, *, labels=True, atlases=(), **changes):
    surfaces = {
        kind: tuple(touch(root / f'{n}_{kind}.surf.gii') for n in range(3))
        for kind in ('L_midthickness', 'R_midthickness', 'L_inflated', 'R_inflated')
    }
    workflow = init_group_wf(
        settings(root, 'group', **changes),
        plans,
        atlas=AtlasPlan(
            map_file=touch(root / 'map.dscalar.nii'),
            surfaces=surfaces,
            stamp='maps',
            labels=(touch(root / 'a.dlabel.nii'),) if labels else (),
            atlases={name: touch(root / f'{name}.dlabel.nii') for name in atlases},
            declared={'front': {'atlas': 'Yeo7', 'labels': ['L_Default']}},
        ),
        maps_files={p.contrast: p.maps_file for p in plans},
    )
    return expand(workflow)


@pytest.mark.parametrize('tails', ['two', 'each', 'positive'])
def test_group_level(tmp_path, tails):
    plans = [
        plan(tmp_path, 'meanHC'),
        plan(tmp_path, 'hcVsTrd', scheme='permutations', minimum_size=20.0),
        plan(tmp_path, 'meanHC', contrast='correctGo'),
    ]
    graph, nodes = group(tmp_path, plans, tails=tails, permutations=77, seed=3, min_coverage=0.75)
    check(graph)
    for p in plans:
        start = f'group_wf.{p.name}_{p.contrast}_wf'
        test = nodes[f'{start}.test_wf.shuffle'].inputs
        assert (test.n_shuffles, test.seed, test.tails) == (77, 3, tails)
        assert test.min_coverage == 0.75
        assert test.scheme == p.scheme
        assert test.design_file == str(p.design_file)
        assert test.predictors == list(p.predictors)
        assert test.weights == list(p.weights)
        assert len(test.left_midthickness) == len(test.right_midthickness) == 3
        sinks = [f for f in nodes if f.startswith(f'{start}.ds_analysis_wf')]
        maps = {f.rsplit('_', 1)[1] for f in sinks} & {'plain', 'pos', 'neg'}
        assert maps == ({'plain', 'pos'} if tails == 'positive' else {'plain', 'pos', 'neg'})
        roi = nodes[f'{start}.test_wf.roi'].inputs
        assert (roi.atlas, roi.minimum_size) == (p.atlas, p.minimum_size)
        assert (roi.selected_by, roi.maps_file) == (p.name, str(p.maps_file))
        assert {'ds_roi', 'ds_roi_labels'} <= {f.rsplit('.', 1)[1] for f in sinks}
        for name in sinks:
            assert nodes[name].inputs.node == p.name
            assert nodes[name].inputs.contrast == p.contrast
    # One atlas per first-level contrast; every table of parcels is of its own contrast.
    assert short(nodes, '.atlas') == [
        f'group_wf.atlas_{contrast}_wf.atlas' for contrast in ('correctGo', 'nogoVsGo')
    ]


def test_the_engine_is_chosen_by_a_setting_and_nothing_else_changes(tmp_path):
    plans = [plan(tmp_path, 'hcVsTrd', scheme='permutations', variance_columns=('age',))]
    chosen = {'tfce': '100', 'joint': 'sidak', 'connectivity': 18}
    found = {e: group(tmp_path, plans, engine=e, **chosen) for e in ('native', 'palm')}
    name = 'group_wf.hcVsTrd_nogoVsGo_wf.test_wf.shuffle'
    native, palm = (found[engine][1][name] for engine in ('native', 'palm'))
    assert (type(native.interface), type(palm.interface)) == (GroupTest, PalmTest)
    assert native.inputs.get() == palm.inputs.get()
    assert (native.mem_gb, palm.mem_gb) == (1.0, 1.5)
    assert type(native.inputs) is type(palm.inputs)
    assert set(native.outputs.get()) == set(palm.outputs.get())
    for key, value in chosen.items():
        assert getattr(native.inputs, key) == value
    assert native.inputs.variance_columns == ['age']
    edges = [
        {(a.fullname, b.fullname, str(d)) for a, b, d in graph.edges(data=True)}
        for graph, _ in found.values()
    ]
    assert edges[0] == edges[1]


def test_nothing_is_written_of_labels_that_nobody_has(tmp_path):
    for labels in (True, False):
        _, nodes = group(tmp_path, [plan(tmp_path)], labels=labels)
        written = {name.rsplit('_wf.', 1)[1] for name in nodes if '.ds_atlas_' in name}
        assert {'ds_desikan_killiany', 'ds_agreement'} & written == (
            {'ds_desikan_killiany', 'ds_agreement'} if labels else set()
        )
        assert {'ds_yeo7', 'ds_parcels', 'ds_laterality', 'ds_inflated'} <= written


@pytest.mark.parametrize(('atlases', 'further'), [((), []), (('own', 'DesikanKilliany'), ['own'])])
def test_given_atlases(tmp_path, atlases, further):
    one = plan(tmp_path, atlas='own', atlas_names=tuple(further))
    graph, nodes = group(tmp_path, [one], atlases=atlases)
    check(graph)
    start = 'group_wf.atlas_nogoVsGo_wf'
    voted = 'DesikanKilliany' not in atlases
    made = nodes[f'{start}.atlas'].inputs
    assert made.atlas_names == list(atlases)
    assert bool(made.label_files) == voted
    parcels = nodes[f'{start}.parcels'].inputs
    assert parcels.atlas_names == further
    assert parcels.declared == {'front': {'atlas': 'Yeo7', 'labels': ['L_Default']}}
    assert nodes['group_wf.meanHC_nogoVsGo_wf.test_wf.roi'].inputs.atlas_names == further
    sinks = {name.rsplit('.', 1)[1]: node for name, node in nodes.items() if '.ds_' in name}
    assert 'ds_desikan_killiany' in sinks
    assert ('ds_agreement' in sinks) == voted
    assert ('ds_given' in sinks) == bool(further)
    if further:
        assert list(sinks['ds_given'].inputs.atlas) == further
        assert 'given' in sinks['ds_desikan_killiany'].inputs.meta_dict['Description']


def test_threads_are_reserved_and_do_not_change_results(tmp_path):
    one = plan(tmp_path)
    (before, few), (after, many) = (
        group(tmp_path, [one], omp_nthreads=threads) for threads in (1, 2)
    )
    name = 'group_wf.meanHC_nogoVsGo_wf.test_wf.shuffle'
    assert (few[name].n_procs, many[name].n_procs) == (1, 2)
    assert hashes(before) == hashes(after)


def test_analyses_do_not_depend_on_each_other(tmp_path):
    _, nodes = group(tmp_path, [plan(tmp_path, 'meanHC'), plan(tmp_path, 'meanTRD')])
    graph = group(tmp_path, [plan(tmp_path, 'meanHC'), plan(tmp_path, 'meanTRD')])[0]
    for source, target in graph.edges:
        ends = {name.fullname.split('.')[1] for name in (source, target)}
        assert not ({'meanHC_nogoVsGo_wf', 'meanTRD_nogoVsGo_wf'} <= ends)
    assert len(short(nodes, '.shuffle')) == 2
